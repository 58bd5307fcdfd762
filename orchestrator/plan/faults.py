"""Faults as planned: when each happens within a block, which requests it concerns, and how many hedges to expect.

All of it is known before the run. Offsets count from the block's first measured send and are the same in every block
of every strategy; jitter is drawn from the scenario's seed, not from the clock.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING

from hedgerow_node.replicas import primary_replica
from hedgerow_node.schedule import send_offsets_ns
from orchestrator.scenario.fault_checks import nominal_block_ns
from orchestrator.scenario.faults import (
    CLIENT,
    Corrupt,
    CpuQuota,
    CpuStress,
    Delay,
    DropRequests,
    Fault,
    Freeze,
    Gc,
    Kill,
    Loss,
    Partition,
    Pause,
    RateLimit,
    Reorder,
    Restart,
    ServiceStall,
    Slow,
    targets_of,
)
from orchestrator.scenario.models import OpenArrivals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from orchestrator.plan.blocks import Block, Plan
    from orchestrator.scenario.models import Scenario

#: The replica that each request's primary went to, by id, where clients choose it while they run. A request that is
#: missing has an unknown primary, as all have before the run.
ObservedPrimaries = Mapping[int, int]
UNKNOWN = -1  #: in place of a replica


@dataclass(frozen=True)
class Span:
    """From when to when a fault is on, ns; `until_ns` is None where that is the end of the block."""

    from_ns: int
    until_ns: int | None

    def contains(self, time_ns: int) -> bool:
        """Whether the fault is on at that time."""
        return self.from_ns <= time_ns and (self.until_ns is None or time_ns < self.until_ns)

    def of(self, ascending_ns: Sequence[int] | NDArray[np.int64]) -> slice:
        """Which of these times, in ascending order, it contains."""
        begin = bisect_left(ascending_ns, self.from_ns)
        return slice(begin, None if self.until_ns is None else bisect_left(ascending_ns, self.until_ns))


@dataclass(frozen=True)
class Occurrence:
    """One time that a fault happens in a block.

    `fault` is its index in the scenario's faults, `number` counts its occurrences from 0. `until_ns` is None where it
    lasts to the end of the block, and equal to `offset_ns` where it is over at once.
    """

    fault: int
    number: int
    offset_ns: int
    until_ns: int | None

    @property
    def key(self) -> str:
        """What it is called in messages and in the journal."""
        return f"{self.fault}.{self.number}"

    @property
    def span(self) -> Span:
        """When it is planned to be on."""
        return Span(self.offset_ns, self.until_ns)


def timeline(scenario: Scenario) -> tuple[Occurrence, ...]:
    """Every occurrence of every fault of `scenario` in a block, by time; the same in each of its blocks."""
    horizon_ns = nominal_block_ns(scenario)
    occurrences = []
    for index, fault in enumerate(scenario.faults):
        draws = random.Random(f"{scenario.workload.seed}:fault:{index}")
        number = 0
        while True:
            jitter_ns = draws.randrange(fault.jitter_ns) if fault.jitter_ns else 0
            offset_ns = fault.at_ns + number * (fault.every_ns or 0) + jitter_ns
            if horizon_ns is not None and offset_ns >= horizon_ns:
                break
            occurrences.append(Occurrence(index, number, offset_ns, _until_ns(fault, offset_ns)))
            number += 1
            if not fault.every_ns or horizon_ns is None:
                break
    return tuple(sorted(occurrences, key=lambda occurrence: (occurrence.offset_ns, occurrence.fault)))


def affected_ids(scenario: Scenario, block: Block, occurrence: Occurrence) -> range:
    """The measured ids of `block` that are meant to be sent while `occurrence` is on."""
    everything = range(block.first_id, block.first_id + block.count)
    arrivals = scenario.workload.arrivals
    if not isinstance(arrivals, OpenArrivals):
        return everything
    return everything[occurrence.span.of(_offsets(arrivals, scenario.workload.seed, block.first_id, block.count))]


def primary_of(scenario: Scenario, request_id: int, observed: ObservedPrimaries | None = None) -> int:
    """The replica that the primary of `request_id` goes to: by the spread, or as `observed`, or `UNKNOWN`."""
    if observed is not None:
        return observed.get(request_id, UNKNOWN)
    return primary_replica(scenario.workload.spread, request_id, scenario.topology.replicas)


def eligible_ids(
    scenario: Scenario,
    block: Block,
    occurrence: Occurrence,
    node: str | None = None,
    observed: ObservedPrimaries | None = None,
) -> list[int]:
    """Of the affected ids, those whose primary goes to the fault's target and that meet the fault's condition.

    With `node` only to that one of its targets. A target that is the client, or every server, is met by each
    request; otherwise one whose primary is unknown is left out.
    """
    fault, replicas = scenario.faults[occurrence.fault], scenario.topology.replicas
    targets = set(targets_of(fault, replicas)) if node is None else {node}
    ids: Iterator[int] = iter(affected_ids(scenario, block, occurrence))
    if CLIENT not in targets and len(targets) < replicas:
        ids = (id_ for id_ in ids if f"server-{primary_of(scenario, id_, observed)}" in targets)
    if isinstance(fault, ServiceStall | DropRequests):
        return [id_ for id_ in ids if fault.when.evaluate(id_)]
    return list(ids)


def send_offset_ns(scenario: Scenario, block: Block, request_id: int) -> int:
    """When a request of `block` is meant to be sent, counted from the block's first; 0 in closed arrivals."""
    arrivals = scenario.workload.arrivals
    if not isinstance(arrivals, OpenArrivals):
        return 0
    return _offsets(arrivals, scenario.workload.seed, block.first_id, block.count)[request_id - block.first_id]


def _until_ns(fault: Fault, offset_ns: int) -> int | None:
    if isinstance(fault, Restart | Gc):
        return offset_ns
    return None if fault.duration_ns is None else offset_ns + fault.duration_ns


@lru_cache(maxsize=256)
def _offsets(arrivals: OpenArrivals, seed: int, first_id: int, count: int) -> tuple[int, ...]:
    return tuple(send_offsets_ns(arrivals.process, arrivals.rate_per_s, seed, first_id, count))


def expected_hedges(scenario: Scenario, plan: Plan, arm: str | None = None) -> int:
    """Requests of one strategy that stay unanswered beyond the hedge delay: stalled, in a fault, or merely slow.

    Only what a scenario says for certain is counted. How long a garbage collection stops a process, or how late a
    starved one is, is what a run is for; such faults are expected to cause no hedges here.
    """
    slow = _slower_than_delay(scenario, 1.0)
    occurrences = timeline(scenario)
    expected = 0.0
    for block in plan.of(scenario.strategies[0], arm):
        #: By id, the chance that it is answered in time; those not listed have that of any request.
        in_time: dict[int, float] = dict.fromkeys(_stalled(scenario, block), 0.0)
        for occurrence in occurrences:
            late = _lateness_of(scenario, occurrence)
            if late is None:
                continue
            for request_id in eligible_ids(scenario, block, occurrence):
                chance = late(send_offset_ns(scenario, block, request_id))
                in_time[request_id] = in_time.get(request_id, 1 - slow) * (1 - chance)
        expected += sum(1 - chance for chance in in_time.values()) + (block.count - len(in_time)) * slow
    return round(expected)


def unforeseen(scenario: Scenario) -> tuple[str, ...]:
    """What may cause hedges, or keep them from being needed, by an amount that only a run can tell; in words."""
    kinds = [fault.fault for fault in scenario.faults if isinstance(fault, Gc | CpuStress | CpuQuota | RateLimit)]
    queue = ["queueing"] if scenario.service.concurrency is not None else []
    return tuple(dict.fromkeys([*kinds, *queue]))


def _stalled(scenario: Scenario, block: Block) -> Iterator[int]:
    stall = scenario.service.stall
    if stall is not None and _held_too_long(scenario, stall.duration_ns):
        for request_id in range(block.first_id, block.first_id + block.count):
            if stall.when.evaluate(request_id):
                yield request_id


def _lateness_of(scenario: Scenario, occurrence: Occurrence) -> Callable[[int], float] | None:
    """The chance that a request is late beyond the hedge delay, by its send offset in ns; None where none is."""
    fault = scenario.faults[occurrence.fault]
    if fault.target == CLIENT:
        return None
    if isinstance(fault, Pause | Freeze):
        until_ns = occurrence.offset_ns + fault.duration_ns
        return lambda offset_ns: float(until_ns - offset_ns > scenario.hedging.delay_ns)
    chance = _chance(scenario, fault)
    return (lambda _: chance) if chance else None


def _chance(scenario: Scenario, fault: Fault) -> float:
    """The chance that `fault` makes any request that it concerns late beyond the hedge delay."""
    if isinstance(fault, Kill | Partition | DropRequests):
        return 1.0
    if isinstance(fault, Slow):
        return _slower_than_delay(scenario, fault.factor)
    if isinstance(fault, ServiceStall):
        return float(_held_too_long(scenario, fault.delay_ns))
    return _chance_on_the_way(scenario, fault)


def _chance_on_the_way(scenario: Scenario, fault: Fault) -> float:
    if isinstance(fault, Reorder):
        return (1 - fault.percent / 100) * _held_too_long(scenario, fault.delay_ns)
    if isinstance(fault, Delay):
        ways = 2 if fault.direction == "both" else 1
        held_ns = ways * fault.delay_ns if fault.percent == 100 else fault.delay_ns
        return _any_of(fault.percent / 100, ways) * _held_too_long(scenario, held_ns)
    if isinstance(fault, Loss | Corrupt):
        return _any_of(fault.percent / 100, 2 if fault.direction == "both" else 1)
    return 0.0


def _any_of(chance: float, ways: int) -> float:
    return 1 - (1 - chance) ** ways


def _held_too_long(scenario: Scenario, held_ns: int) -> bool:
    return held_ns + scenario.service.service_time.median_ns > scenario.hedging.delay_ns


def _slower_than_delay(scenario: Scenario, factor: float) -> float:
    """The share of requests whose service time, times `factor`, is longer than the hedge delay."""
    time, delay_ns = scenario.service.service_time, scenario.hedging.delay_ns
    if time.sigma:
        return 1 - NormalDist().cdf(math.log(delay_ns / (factor * time.median_ns)) / time.sigma)
    return float(factor * time.median_ns > delay_ns)
