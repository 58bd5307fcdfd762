"""What the server does with a copy: how long it takes, whether it stalls, and how long it queues.

Service times do not come from a running generator but are computed from (seed, request id, copy ordinal, replica), so
every strategy meets the same servers whatever order its requests arrive in, and a hedge has a draw of its own
wherever it goes. Which requests a fault affects follows from their ids alone.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from hedgerow_node.draws import standard_normal
from hedgerow_node.expression import Expression, ExpressionError, parse
from hedgerow_node.protocol.server import DropFault, ServiceFault, ServiceSettings, SlowFault, StallFault
from hedgerow_node.records import FIRST_WARMUP_ID, NO_TIME, Action
from hedgerow_node.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MEMORY_NS = NS_PER_S  #: a copy counts as a duplicate if the one before came at most this long ago
GENERATION_SIZE = 1 << 19  #: requests; at least so many, the latest, are remembered

Source = tuple[str, int] | tuple[str, int, int, int]  #: a socket address, IPv4 or IPv6


class CopyMemory:
    """Copies by (source, request id), bounded: a server that runs for days must not grow for days.

    A request is known by where it comes from and by its id, as the published server knows it: a client that hedges
    from a second socket sends, to the server, another request. There are two generations; a full one becomes the old
    one, and what was older is forgotten.
    """

    def __init__(self, generation_size: int = GENERATION_SIZE) -> None:
        self._size = generation_size
        self._young: dict[tuple[Source, int], tuple[int, int]] = {}
        self._old: dict[tuple[Source, int], tuple[int, int]] = {}

    def note(self, source: Source, request_id: int, received_ns: int) -> tuple[int, bool]:
        """Remember a copy that came from `source`; returns its ordinal (1 = first) and whether it is a duplicate,
        that is, whether the copy before it came at most `MEMORY_NS` earlier.
        """
        key = (source, request_id)
        known = self._young.get(key) or self._old.get(key)
        if known is None:
            ordinal, recent = 1, False
        else:
            ordinal, recent = known[0] + 1, received_ns - known[1] <= MEMORY_NS
        if len(self._young) >= self._size and key not in self._young:
            self._old, self._young = self._young, {}
        self._young[key] = (ordinal, received_ns)
        return ordinal, recent


class NumberedFault(NamedTuple):
    """A fault, its place among the block's, and its condition, if it has one."""

    number: int
    fault: ServiceFault
    when: Expression | None


class FaultRanges:
    """The faults by request id: a search instead of a look at every one of them, for each datagram."""

    def __init__(self, faults: Sequence[ServiceFault]) -> None:
        self._starts = sorted({0, *(id_ for fault in faults for id_ in (fault.first_id, fault.last_id + 1))})
        over: list[list[NumberedFault]] = [[] for _ in self._starts]
        places = {start: place for place, start in enumerate(self._starts)}
        for number, fault in enumerate(faults):
            numbered = NumberedFault(number, fault, None if isinstance(fault, SlowFault) else parse(fault.when))
            for place in range(places[fault.first_id], places[fault.last_id + 1]):
                over[place].append(numbered)
        self._over = [tuple(entries) for entries in over]

    def at(self, request_id: int) -> tuple[NumberedFault, ...]:
        """The faults whose range `request_id` lies in."""
        return self._over[bisect_right(self._starts, request_id) - 1]


class ServiceModel:
    """One block's server: takes the copies as they arrive, and says when each is to be answered.

    `hits` counts the copies that each fault affects, by the fault's number. `failure` is the first error in a
    condition (a division by zero for some id), if any, and `failed` is called with each; the request is then served
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
        self._median_ns = settings.service_time.median_ns
        self._sigma = settings.service_time.sigma if settings.service_time.distribution == "lognormal" else 0.0
        self._memory = CopyMemory()
        self._faults = FaultRanges(settings.faults)
        self._stall_when = None if settings.stall is None else parse(settings.stall.when)
        self._free_at_ns = [0] * (settings.concurrency or 0)  # a heap: when each worker will be free

    def admit(self, source: Source, request_id: int, received_ns: int) -> tuple[int, int, Action]:
        """Take in a copy that came from the socket address `source`: when its response is due (NO_TIME: never), its
        ordinal, and what was done with it.

        With bounded concurrency the copy waits, first in first out, for the worker that is free first; that worker
        is known at once because all service times are. A stall keeps its worker busy, a dropped copy needs none.
        """
        copy, duplicate = self._memory.note(source, request_id, received_ns)
        duration_ns, action = self.service_time_ns(request_id, copy), Action.SERVED
        faults = self._faults_of(request_id) if self._settings.faults else ()
        if faults:
            if isinstance(faults[0], DropFault):
                return NO_TIME, copy, Action.DROPPED
            duration_ns, action = _faulty(faults, duration_ns)
        stall = self._settings.stall
        if stall is not None and self._stalls(request_id):
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
        if self._sigma == 0.0:
            return self._median_ns
        draw = standard_normal(self._settings.seed, request_id, copy, self._settings.replica)
        return round(self._median_ns * math.exp(self._sigma * draw))

    def _faults_of(self, request_id: int) -> list[ServiceFault]:
        """The faults that affect the request, counted: only the first that drops it where there is one."""
        if request_id >= FIRST_WARMUP_ID:
            return []
        found = [
            entry
            for entry in self._faults.at(request_id)
            if entry.when is None or self._holds(entry.when, f"fault {entry.fault.key}'s", request_id)
        ]
        found = next(([entry] for entry in found if isinstance(entry.fault, DropFault)), found)
        for entry in found:
            self.hits[entry.number] += 1
        return [entry.fault for entry in found]

    def _stalls(self, request_id: int) -> bool:
        if self._stall_when is None or request_id >= FIRST_WARMUP_ID:
            return False
        return self._holds(self._stall_when, "the stall's", request_id)

    def _holds(self, when: Expression, whose: str, request_id: int) -> bool:
        try:
            return when.evaluate(request_id)
        except ExpressionError as error:
            problem = f"{whose} condition {when.text!r} failed: {error}"
            self.failure = self.failure or problem
            if self._failed is not None:
                self._failed(problem)
            return False


def _faulty(faults: Sequence[ServiceFault], service_time_ns: int) -> tuple[int, Action]:
    """How long a service time becomes under `faults`, none of which drops the copy, and the action to record."""
    factor = math.prod(fault.factor for fault in faults if isinstance(fault, SlowFault))
    delays_ns = [fault.delay_ns for fault in faults if isinstance(fault, StallFault)]
    return round(service_time_ns * factor) + sum(delays_ns), Action.STALLED if delays_ns else Action.SLOWED
