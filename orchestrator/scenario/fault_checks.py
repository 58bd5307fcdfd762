"""Whether a scenario's faults can happen as declared: in every block, at nodes that there are, one at a time."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from hedgerow_node.protocol.limits import CLIENT, replica_of, server_name
from hedgerow_node.strategies import strategy_named
from hedgerow_node.units import format_duration
from orchestrator.errors import Finding
from orchestrator.scenario.faults import Fault, Gc, has_times, targets_of
from orchestrator.scenario.models import OpenArrivals
from orchestrator.scenario.network_faults import Delay

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.scenario.models import Scenario

MAX_OCCURRENCES = 1_000


def fault_findings(scenario: Scenario) -> Iterator[Finding]:
    """What keeps the faults of `scenario` from happening as declared."""
    horizon_ns = nominal_block_ns(scenario)
    for index, fault in enumerate(scenario.faults):
        path = ("faults", index)
        found = (*_target(scenario, fault), *_times(fault, horizon_ns))
        yield from (finding.below(path) for finding in found)
        if isinstance(fault, Gc) and fault.target == CLIENT:
            compiled = [name for name in scenario.strategies if not strategy_named(name).collects_garbage]
            for name in compiled:
                yield Finding(
                    (*path, "target"), f"{name} is compiled, it collects no garbage", "remove it from strategies"
                )
    yield from _one_delay(scenario)
    if horizon_ns is not None:
        yield from _overlaps(scenario, horizon_ns)


def nominal_block_ns(scenario: Scenario) -> int | None:
    """How long the shortest block's requests take at their mean rate, ns; None in closed arrivals."""
    arrivals = scenario.workload.arrivals
    if not isinstance(arrivals, OpenArrivals):
        return None
    return arrivals.nominal_ns(scenario.workload.requests // scenario.design.blocks)


def _target(scenario: Scenario, fault: Fault) -> Iterator[Finding]:
    replicas = scenario.topology.replicas
    replica = replica_of(fault.target)
    if replica is not None and replica >= replicas:
        first, last = server_name(0), server_name(replicas - 1)
        yield Finding(
            ("target",),
            f"there is no {fault.target}, topology.replicas is {replicas}",
            f"write {last if replicas == 1 else f'{first} to {last}'}, or more replicas",
        )


def _times(fault: Fault, horizon_ns: int | None) -> Iterator[Finding]:
    if horizon_ns is None:
        if has_times(fault):
            yield Finding(
                ("fault",),
                f"{fault.fault} has times, but with closed arrivals no two blocks send at the same times",
                "use arrivals: {mode: open, rate: 500/s}",
            )
        return
    latest_ns = fault.at_ns + fault.jitter_ns
    if latest_ns >= horizon_ns > 0:  # 0: a block without requests, which has a finding of its own
        yield Finding(
            ("at",),
            f"may come as late as {format_duration(latest_ns)}, after the shortest block, "
            f"{format_duration(horizon_ns)} of requests",
            "use an earlier time, less jitter, more requests or fewer blocks",
        )
    if fault.every_ns is None:
        return
    busy_ns = (fault.duration_ns or 0) + fault.jitter_ns
    repeats = f"repeats every {format_duration(fault.every_ns)}"
    if fault.duration_ns is None and not fault.is_instant:
        yield Finding(("every",), f"{repeats} but lasts to the end of the block", "add a duration")
    elif fault.every_ns <= busy_ns:
        lasts = f"lasts {format_duration(fault.duration_ns)}" if fault.duration_ns else ""
        late = f"may come {format_duration(fault.jitter_ns)} late" if fault.jitter_ns else ""
        yield Finding(
            ("every",), f"{repeats} but {' and '.join(part for part in (lasts, late) if part)}", "use a longer time"
        )
    occurrences = horizon_ns // fault.every_ns
    if occurrences > MAX_OCCURRENCES:
        yield Finding(
            ("every",),
            f"comes {occurrences} times in a block",
            f"use a longer time, at most {MAX_OCCURRENCES} times",
        )


def _one_delay(scenario: Scenario) -> Iterator[Finding]:
    delays = [
        index for index, fault in enumerate(scenario.faults) if isinstance(fault, Delay) and fault.model == "ebpf"
    ]
    for index in delays[1:]:
        message = f"conflicts with faults[{delays[0]}]: only one delay per link"
        yield Finding(("faults", index), message, "use one, or model: netem")


def _overlaps(scenario: Scenario, horizon_ns: int) -> Iterator[Finding]:
    """Two faults that might be on at one node at once, jitter at its worst."""
    replicas = scenario.topology.replicas
    for (first, one), (second, other) in combinations(enumerate(scenario.faults), 2):
        if not one.conflicts_with(other):
            continue
        nodes = set(targets_of(one, replicas)) & set(targets_of(other, replicas))
        met_ns = _meeting_ns(one, other, horizon_ns) if nodes else None
        if met_ns is not None:
            yield Finding(
                ("faults", second),
                f"may affect {min(nodes)} at {format_duration(met_ns)} while faults[{first}] ({one.fault}) does",
                "move one of them, or give it another target",
            )


def _meeting_ns(one: Fault, other: Fault, horizon_ns: int) -> int | None:
    """The first time at which both may be on, None where they never meet."""
    theirs = list(_spells(other, horizon_ns))
    position = 0
    for start_ns, end_ns in _spells(one, horizon_ns):
        while position < len(theirs) and theirs[position][1] < start_ns:
            position += 1
        if position < len(theirs) and theirs[position][0] <= end_ns:
            return max(start_ns, theirs[position][0])
    return None


def _spells(fault: Fault, horizon_ns: int) -> Iterator[tuple[int, int]]:
    """From when to when each occurrence may be on, ns."""
    lasts_ns = horizon_ns if fault.duration_ns is None else fault.duration_ns
    if fault.is_instant:
        lasts_ns = 0
    for number in range(MAX_OCCURRENCES):
        start_ns = fault.at_ns + number * (fault.every_ns or 0)
        if start_ns >= horizon_ns or (number and not fault.every_ns):
            return
        yield start_ns, start_ns + fault.jitter_ns + lasts_ns
