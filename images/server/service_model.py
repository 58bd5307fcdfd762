"""What the server does with a copy: how long it takes, whether it stalls, and how long it queues.

Service times do not come from a running generator but are computed from (seed, request id, copy ordinal), so every
strategy meets the same server whatever order its requests arrive in.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import Any

from hedgerow_node.expression import Expression, ExpressionError, parse
from hedgerow_node.fields import Fields
from hedgerow_node.records import FIRST_WARMUP_ID, Action
from hedgerow_node.wire import RequestIdPlaces, read_places
from server_memory import CopyMemory

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15  # splitmix64's increment: 2**64 divided by the golden ratio, made odd


@dataclass(frozen=True)
class Stall:
    """Which requests stall and for how long; `heal_on_duplicate`: but not their duplicates."""

    when: Expression
    duration_ns: int
    heal_on_duplicate: bool


@dataclass(frozen=True)
class ServiceSettings:
    """How to serve: the service time's median and its sigma (0: constant, else lognormal), workers and stalls."""

    places: RequestIdPlaces
    replica: int = 0
    seed: int = 42
    median_ns: int = 2_000_000
    sigma: float = 0.0
    concurrency: int | None = None
    stall: Stall | None = None


def read_settings(fields: Fields) -> ServiceSettings:
    """The settings in a `start-block` message; ControlError or ValueError, naming the field, where one is wrong."""
    service_time = fields.section("service_time")
    distribution = service_time.text("distribution", "constant", "lognormal")
    return ServiceSettings(
        places=read_places(fields.section("request_id")),
        replica=fields.integer("replica", 0, 255),
        seed=fields.integer("seed"),
        median_ns=service_time.integer("median_ns", 0),
        sigma=service_time.number("sigma", 0.0) if distribution == "lognormal" else 0.0,
        concurrency=fields.integer("concurrency", 1) if "concurrency" in fields else None,
        stall=_read_stall(fields.section("stall")) if "stall" in fields else None,
    )


def _read_stall(fields: Fields) -> Stall:
    return Stall(parse(fields.text("when")), fields.integer("duration_ns", 0), fields.boolean("heal_on_duplicate"))


def _mix(state: int) -> int:
    """Splitmix64's output function: a bijection of 64-bit numbers in which every bit depends on every other."""
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
    return state ^ (state >> 31)


def standard_normal(seed: int, request_id: int, copy: int) -> float:
    """A draw from the standard normal distribution that belongs to these three numbers.

    They are hashed one after the other into the state of a splitmix64 generator, whose next two outputs become,
    by Box and Muller's transform, the draw.
    """
    state = 0
    for number in (seed, request_id, copy):
        state = _mix((state + _STEP + number) & _MASK)
    first, second = _mix((state + _STEP) & _MASK), _mix((state + 2 * _STEP) & _MASK)
    radius = math.sqrt(-2.0 * math.log(((first >> 11) + 1) * 2.0**-53))  # of a number in (0, 1]: zero has no log
    return radius * math.cos(2.0 * math.pi * (second >> 11) * 2.0**-53)


class ServiceModel:
    """One block's server: give it the copies as they arrive, it says when each is to be answered.

    `failure` is the first error of the stall's condition (a division by zero for some id), if any; the request
    concerned is served without a stall.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self.failure: str | None = None
        self._settings = settings
        self._memory = CopyMemory()
        self._free_at_ns = [0] * (settings.concurrency or 0)  # a heap: when each worker will be free

    def admit(self, source: Any, request_id: int, received_ns: int) -> tuple[int, int, Action]:
        """Take in a copy that came from the socket address `source`: when its response is due, its ordinal, and
        what was done with it.

        With bounded concurrency the copy waits, first in first out, for the worker that is free first; that worker
        is known at once because all service times are. A stall keeps its worker busy.
        """
        copy, duplicate = self._memory.note(source, request_id, received_ns)
        duration_ns, action = self.service_time_ns(request_id, copy), Action.SERVED
        stall = self._settings.stall
        if stall is not None and self._stalls(stall, request_id):
            if duplicate and stall.heal_on_duplicate:
                action = Action.HEALED
            else:
                action = Action.STALLED
                duration_ns += stall.duration_ns
        if not self._free_at_ns:
            return received_ns + duration_ns, copy, action
        due_ns = max(received_ns, self._free_at_ns[0]) + duration_ns
        heapq.heapreplace(self._free_at_ns, due_ns)
        return due_ns, copy, action

    def service_time_ns(self, request_id: int, copy: int) -> int:
        """How long this copy of the request takes without stall and queue, in nanoseconds."""
        settings = self._settings
        if settings.sigma == 0.0:
            return settings.median_ns
        draw = standard_normal(settings.seed, request_id, copy)
        return round(settings.median_ns * math.exp(settings.sigma * draw))

    def _stalls(self, stall: Stall, request_id: int) -> bool:
        if request_id >= FIRST_WARMUP_ID:
            return False
        try:
            return stall.when.evaluate(request_id)
        except ExpressionError as error:
            self.failure = self.failure or f"the stall's condition {stall.when.text!r} failed: {error}"
            return False
