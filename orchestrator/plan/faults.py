"""Faults as planned: when each happens within a block, which requests it concerns, and how many hedges to expect.

All of it is known before the run. Offsets count from the block's first measured send and are the same in every block
of every strategy; jitter is drawn from the scenario's seed, not from the clock.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from hedgerow_node.protocol.limits import CLIENT, replica_of, server_name
from hedgerow_node.workload import primary_replica, send_offsets_ns
from orchestrator.scenario.fault_base import Deadline
from orchestrator.scenario.fault_checks import nominal_block_ns
from orchestrator.scenario.faults import targets_of
from orchestrator.scenario.models import OpenArrivals

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from orchestrator.plan.blocks import Block, Plan
    from orchestrator.scenario.fault_base import Carrier
    from orchestrator.scenario.faults import Fault
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

    def overlaps(self, other: Span) -> bool:
        """Whether there is a time that both contain."""

        def end(span: Span) -> float:
            return math.inf if span.until_ns is None else span.until_ns

        return self.from_ns < end(other) and other.from_ns < end(self)

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
            lasts_ns = 0 if fault.is_instant else fault.duration_ns
            until_ns = None if lasts_ns is None else offset_ns + lasts_ns
            occurrences.append(Occurrence(index, number, offset_ns, until_ns))
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
        ids = (id_ for id_ in ids if server_name(primary_of(scenario, id_, observed)) in targets)
    condition = fault.condition
    return [id_ for id_ in ids if condition is None or condition.evaluate(id_)]


def send_offset_ns(scenario: Scenario, block: Block, request_id: int) -> int:
    """When a request of `block` is meant to be sent, counted from the block's first; 0 in closed arrivals."""
    arrivals = scenario.workload.arrivals
    if not isinstance(arrivals, OpenArrivals):
        return 0
    return _offsets(arrivals, scenario.workload.seed, block.first_id, block.count)[request_id - block.first_id]


@dataclass(frozen=True)
class PlannedFault:
    """One occurrence of `fault` in `block` at `node`, one of its targets; at each of them it has to be proven.

    `affected_ids` are the measured ids of the block that are meant to be sent while it is on. Times are offsets from
    the block's first measured send.
    """

    fault: Fault
    occurrence: Occurrence
    block: Block
    node: str
    affected_ids: range

    @property
    def key(self) -> str:
        """The occurrence's name in messages to a node."""
        return self.occurrence.key

    @property
    def name(self) -> str:
        """Its name among all faults of its block, for a program that injects those of several nodes."""
        return f"{self.key}@{self.node}"

    @property
    def at_ns(self) -> int:
        """When it is to begin."""
        return self.occurrence.offset_ns

    @property
    def until_ns(self) -> int | None:
        """When it is to end; None: with the block."""
        return self.occurrence.until_ns

    @property
    def replica(self) -> int:
        """The number of the server that it is injected into; ValueError for the client."""
        replica = replica_of(self.node)
        if replica is None:
            raise ValueError(f"{self.node} is not a server")
        return replica

    @property
    def carrier(self) -> Carrier:
        """Who injects it."""
        return self.fault.carrier_at(self.node)

    def span_from(self, start_ns: int) -> Span:
        """When it is to be on, where `start_ns` is the block's first measured send."""
        return Span(start_ns + self.at_ns, None if self.until_ns is None else start_ns + self.until_ns)

    def overlaps(self, other: PlannedFault) -> bool:
        """Whether the two are planned to be on at the same time."""
        return self.occurrence.span.overlaps(other.occurrence.span)


class BlockFaults(NamedTuple):
    """The faults of a block, by time; `too_late` are those to begin when it has no requests any more.

    The random gaps of its schedule make one block a little shorter than another.
    """

    planned: tuple[PlannedFault, ...]
    too_late: tuple[PlannedFault, ...]


def plan_faults(scenario: Scenario, block: Block) -> BlockFaults:
    """What is to happen in `block` at which node."""
    planned: list[PlannedFault] = []
    too_late: list[PlannedFault] = []
    for occurrence in timeline(scenario):
        fault = scenario.faults[occurrence.fault]
        affected = affected_ids(scenario, block, occurrence)
        still_to_come = affected_ids(scenario, block, replace(occurrence, until_ns=None))
        for node in targets_of(fault, scenario.topology.replicas):
            each = PlannedFault(fault, occurrence, block, node, affected)
            (planned if still_to_come or not block.count else too_late).append(each)
    return BlockFaults(tuple(planned), tuple(too_late))


def expected_hedges(scenario: Scenario, plan: Plan, arm: str | None = None) -> int:
    """Requests of one strategy that stay unanswered beyond the hedge delay: stalled, in a fault, or merely slow.

    Only what a scenario says for certain is counted. How long a garbage collection stops a process, or how late a
    starved one is, is what a run is for; such faults are expected to cause no hedges here.
    """
    time = scenario.service.service_time
    deadline = Deadline(scenario.hedging.delay_ns, time.median_ns, time.sigma)
    slow = deadline.chance_missed(1.0)
    occurrences = timeline(scenario)
    expected = 0.0
    for block in plan.of(scenario.strategies[0], arm):
        #: By id, the chance that it is answered in time; those not listed have that of any request.
        in_time: dict[int, float] = dict.fromkeys(_stalled(scenario, deadline, block), 0.0)
        for occurrence in occurrences:
            fault = scenario.faults[occurrence.fault]
            until_ns = math.inf if occurrence.until_ns is None else occurrence.until_ns
            if fault.target == CLIENT or not fault.chance_late(deadline, until_ns - occurrence.offset_ns):
                continue
            for request_id in eligible_ids(scenario, block, occurrence):
                chance = fault.chance_late(deadline, until_ns - send_offset_ns(scenario, block, request_id))
                in_time[request_id] = in_time.get(request_id, 1 - slow) * (1 - chance)
        expected += sum(1 - chance for chance in in_time.values()) + (block.count - len(in_time)) * slow
    return round(expected)


def unforeseen(scenario: Scenario) -> tuple[str, ...]:
    """What may cause hedges, or keep them from being needed, by an amount that only a run can tell; in words."""
    kinds = [fault.fault for fault in scenario.faults if fault.hedges_are_unknown]
    queue = ["queueing"] if scenario.service.concurrency is not None else []
    return tuple(dict.fromkeys([*kinds, *queue]))


def _stalled(scenario: Scenario, deadline: Deadline, block: Block) -> Iterator[int]:
    stall = scenario.service.stall
    if stall is not None and deadline.is_missed_when_held(stall.duration_ns):
        for request_id in range(block.first_id, block.first_id + block.count):
            if stall.when.evaluate(request_id):
                yield request_id


@lru_cache(maxsize=256)
def _offsets(arrivals: OpenArrivals, seed: int, first_id: int, count: int) -> tuple[int, ...]:
    return tuple(send_offsets_ns(arrivals.process, arrivals.rate_per_s, seed, first_id, count))
