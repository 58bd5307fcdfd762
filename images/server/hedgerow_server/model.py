"""What the server does with a copy: how long it takes, whether it stalls, and how long it queues.

Service times do not come from a running generator but are computed from (seed, request id, copy ordinal, replica), so
every strategy meets the same servers whatever order its requests arrive in, and a hedge draws anew wherever it goes.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hedgerow_node.draws import standard_normal
from hedgerow_node.expression import Expression, ExpressionError, parse
from hedgerow_node.records import FIRST_WARMUP_ID, NO_TIME, Action
from hedgerow_node.wire import RequestIdPlaces, read_places
from hedgerow_server.faults import DROP, SLOW, STALL, FaultRanges, ServiceFault, read_faults
from hedgerow_server.memory import CopyMemory

if TYPE_CHECKING:
    from collections.abc import Callable

    from hedgerow_node.fields import Fields


@dataclass(frozen=True)
class Stall:
    """Which requests stall and for how long; `heal_on_duplicate`: but not their duplicates."""

    when: Expression
    duration_ns: int
    heal_on_duplicate: bool


@dataclass(frozen=True)
class ServiceSettings:
    """How to serve: the service time's median and its sigma (0: constant, else lognormal), workers, stalls and
    faults.
    """

    places: RequestIdPlaces
    replica: int = 0
    seed: int = 42
    median_ns: int = 2_000_000
    sigma: float = 0.0
    concurrency: int | None = None
    stall: Stall | None = None
    faults: tuple[ServiceFault, ...] = ()


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
        faults=read_faults(fields) if "faults" in fields else (),
    )


def _read_stall(fields: Fields) -> Stall:
    return Stall(parse(fields.text("when")), fields.integer("duration_ns", 0), fields.boolean("heal_on_duplicate"))


class ServiceModel:
    """One block's server: give it the copies as they arrive, it says when each is to be answered.

    `hits` counts the copies that each fault struck, by the fault's number. `failure` is the first error in a
    condition (a division by zero for some id), if any, and `failed` is told of each; the request concerned is served
    as if the condition did not hold.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        hits: list[int] | memoryview[int] | None = None,
        failed: Callable[[str], None] | None = None,
    ) -> None:
        self.failure: str | None = None
        self.hits: list[int] | memoryview[int] = [0] * len(settings.faults) if hits is None else hits
        self._settings, self._failed = settings, failed
        self._memory = CopyMemory()
        self._faults = FaultRanges(settings.faults)
        self._free_at_ns = [0] * (settings.concurrency or 0)  # a heap: when each worker will be free

    def admit(self, source: Any, request_id: int, received_ns: int) -> tuple[int, int, Action]:
        """Take in a copy that came from the socket address `source`: when its response is due (NO_TIME: never), its
        ordinal, and what was done with it.

        With bounded concurrency the copy waits, first in first out, for the worker that is free first; that worker
        is known at once because all service times are. A stall keeps its worker busy, a dropped copy needs none.
        """
        copy, duplicate = self._memory.note(source, request_id, received_ns)
        duration_ns, action = self.service_time_ns(request_id, copy), Action.SERVED
        struck = self._struck(request_id) if self._settings.faults else ()
        if struck:
            if struck[0].kind == DROP:
                return NO_TIME, copy, Action.DROPPED
            duration_ns, action = _faulty(struck, duration_ns)
        stall = self._settings.stall
        if stall is not None and self._stalls(stall, request_id):
            if not (duplicate and stall.heal_on_duplicate):
                action = Action.STALLED
                duration_ns += stall.duration_ns
            elif action is not Action.STALLED:
                action = Action.HEALED
        if not self._free_at_ns:
            return received_ns + duration_ns, copy, action
        due_ns = max(received_ns, self._free_at_ns[0]) + duration_ns
        heapq.heapreplace(self._free_at_ns, due_ns)
        return due_ns, copy, action

    def service_time_ns(self, request_id: int, copy: int) -> int:
        """How long this copy of the request takes without faults, stall and queue, in nanoseconds."""
        settings = self._settings
        if settings.sigma == 0.0:
            return settings.median_ns
        draw = standard_normal(settings.seed, request_id, copy, settings.replica)
        return round(settings.median_ns * math.exp(settings.sigma * draw))

    def _struck(self, request_id: int) -> list[ServiceFault]:
        """The faults that strike the request, counted: only the first that drops it where there is one."""
        if request_id >= FIRST_WARMUP_ID:
            return []
        struck = [
            (number, fault)
            for number, fault in self._faults.at(request_id)
            if fault.when is None or self._holds(fault.when, f"fault {fault.key}'s", request_id)
        ]
        struck = next(([entry] for entry in struck if entry[1].kind == DROP), struck)
        for number, _ in struck:
            self.hits[number] += 1
        return [fault for _, fault in struck]

    def _stalls(self, stall: Stall, request_id: int) -> bool:
        return request_id < FIRST_WARMUP_ID and self._holds(stall.when, "the stall's", request_id)

    def _holds(self, when: Expression, whose: str, request_id: int) -> bool:
        try:
            return when.evaluate(request_id)
        except ExpressionError as error:
            problem = f"{whose} condition {when.text!r} failed: {error}"
            self.failure = self.failure or problem
            if self._failed is not None:
                self._failed(problem)
            return False


def _faulty(faults: list[ServiceFault], service_time_ns: int) -> tuple[int, Action]:
    """How long a service time becomes under `faults`, none of which drops the copy, and what it is to be called."""
    factor = math.prod(fault.factor for fault in faults if fault.kind == SLOW)
    delays_ns = [fault.delay_ns for fault in faults if fault.kind == STALL]
    return round(service_time_ns * factor) + sum(delays_ns), Action.STALLED if delays_ns else Action.SLOWED
