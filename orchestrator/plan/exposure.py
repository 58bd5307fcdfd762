"""Which requests a fault concerns, and how many hedges to expect of it all: what a scenario's size is judged by.

Only what a scenario says for certain is counted. How long a collection stops a process, or how late a starved one is,
is what a run is for; such faults are expected to cause no hedges here.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

from hedgerow_node.expression import parse as parse_when
from hedgerow_node.replicas import asked_replica
from orchestrator.plan.timeline import Occurrence, send_offset_ns, struck_ids, timeline
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
    ServiceStall,
    Slow,
    targets_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.plan.blocks import Block, Plan
    from orchestrator.scenario.models import Scenario


def concerned_ids(scenario: Scenario, block: Block, occurrence: Occurrence) -> list[int]:
    """The ids of `block` that `occurrence` can touch: sent while it is on, to its target, meeting its condition."""
    fault = scenario.faults[occurrence.fault]
    ids = struck_ids(scenario, block, occurrence)
    replicas, spread = scenario.topology.replicas, scenario.workload.spread
    targets = set(targets_of(fault, replicas))
    if CLIENT in targets or len(targets) == replicas:
        touched: Iterator[int] = iter(ids)
    else:
        touched = (id_ for id_ in ids if f"server-{asked_replica(spread, id_, replicas)}" in targets)
    if isinstance(fault, ServiceStall | DropRequests):
        condition = parse_when(fault.when)
        return [id_ for id_ in touched if condition.evaluate(id_)]
    return list(touched)


def expected_hedges(scenario: Scenario, plan: Plan, arm: str | None = None) -> int:
    """Requests of one strategy that stay unanswered beyond the hedge delay: stalled, struck, or merely slow."""
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
            for request_id in concerned_ids(scenario, block, occurrence):
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
        condition = parse_when(stall.when)
        for request_id in range(block.first_id, block.first_id + block.count):
            if condition.evaluate(request_id):
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
