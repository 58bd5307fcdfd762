"""Whether the kernel can hold back as many requests as a scenario's workload sends.

Each lane of HTB holds one packet at a time: those of the engine `clone`, and those of the fault `delay`. netem and fq
hold any number. The ring of the engine `queue` has a cell for each request that waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hedgerow_node import lanes, ring
from hedgerow_node.units import NS_PER_S, format_duration
from orchestrator.errors import Finding, ScenarioError
from orchestrator.scenario.engines import engines_of
from orchestrator.scenario.faults import targets_of
from orchestrator.scenario.models import OpenArrivals, Scenario
from orchestrator.scenario.network_faults import Delay

if TYPE_CHECKING:
    from collections.abc import Iterator


def capacity_findings(scenario: Scenario) -> Iterator[Finding]:
    """What is too much for the ring, or for the delay line that the scenario names."""
    if any(engine != "clone" for engine in engines_of(scenario)):
        yield from _ring(scenario)
    if scenario.hedging.delay_line == "htb" and "clone" in engines_of(scenario):
        yield from _hedging_lanes(scenario)
        yield from _fault_lanes(scenario)


def needs_netem(scenario: Scenario) -> list[Finding]:
    """What fails where an `auto` comes to mean htb, which only the host can tell.

    Beside the queue, the delay line of the fault `delay` is always such a one.
    """
    engines, line = engines_of(scenario), scenario.hedging.delay_line
    return [
        *(_hedging_lanes(scenario) if line == "auto" and "clone" in engines else ()),
        *(_fault_lanes(scenario) if line == "auto" or engines != ("clone",) else ()),
    ]


def check_capacity(scenario: Scenario, engine: str, delay_line: str) -> None:
    """Refuse a run whose highest request rate is too much for what the hedger has chosen.

    `validate` does this where the scenario names it; a run does it once it is known what `auto` means, which `plan`
    warns of (`needs_netem`). Raises ScenarioError (exit code 2) with the numbers and the remedy.
    """
    if (engine, delay_line) == ("clone", "htb"):
        findings = [*_hedging_lanes(scenario), *_fault_lanes(scenario)]
        if findings:
            raise ScenarioError(findings)


def highest_rate_per_s(scenario: Scenario) -> float:
    """The highest request rate that the workload can reach: in open arrivals, their mean rate.

    Closed ones reach users / (think + median service time); where workers are limited, at most workers / median
    service time.
    """
    arrivals, service = scenario.workload.arrivals, scenario.service
    if isinstance(arrivals, OpenArrivals):
        return arrivals.rate_per_s
    median_ns = service.service_time.median_ns
    rate = arrivals.users * NS_PER_S / (arrivals.think_ns + median_ns)
    return rate if service.concurrency is None else min(rate, service.concurrency * NS_PER_S / median_ns)


def _hedging_lanes(scenario: Scenario) -> Iterator[Finding]:
    rate, capacity = highest_rate_per_s(scenario), lanes.capacity_per_s(scenario.hedging.delay_ns)
    if scenario.hedges_in_kernel and rate > capacity:
        yield Finding(
            ("hedging", "delay_line"),
            f"{lanes.LANES} HTB lanes hold {capacity:.0f} requests per second for "
            f"{format_duration(scenario.hedging.delay_ns)}, the workload can reach {rate:.0f} per second",
            f"use {_slower(scenario)}, a shorter hedge delay, the engine queue, or a host with netem",
        )


def _ring(scenario: Scenario) -> Iterator[Finding]:
    delay_ns = scenario.hedging.delay_ns
    rate, capacity = highest_rate_per_s(scenario), ring.capacity_per_s(delay_ns)
    if scenario.hedges_in_kernel and rate > capacity:
        yield Finding(
            ("hedging", "delay"),
            f"the queue holds {ring.cells_for(delay_ns)} requests, so {capacity:.0f} per second for "
            f"{format_duration(delay_ns)}; the workload can reach {rate:.0f} per second",
            f"use {_slower(scenario)} or a shorter hedge delay",
        )


def _slower(scenario: Scenario) -> str:
    return "a lower rate" if scenario.is_open else "fewer users, a longer think time"


def _fault_lanes(scenario: Scenario) -> Iterator[Finding]:
    """Whether primaries alone exceed what the fault can hold back; hedges may too, which a run counts."""
    for index, fault in enumerate(scenario.faults):
        if not isinstance(fault, Delay) or fault.model != "ebpf":
            continue
        targets, replicas = targets_of(fault, scenario.topology.replicas), scenario.topology.replicas
        share = len(targets) / replicas if scenario.workload.spread == "round-robin" else "server-0" in targets
        rate = highest_rate_per_s(scenario) * share * fault.percent / 100 * (2 if fault.direction == "both" else 1)
        capacity = lanes.capacity_per_s(fault.delay_ns)
        if rate > capacity:
            yield Finding(
                ("faults", index, "delay"),
                f"{lanes.LANES} HTB lanes hold {capacity:.0f} copies per second back for "
                f"{format_duration(fault.delay_ns)}, the workload can reach {rate:.0f} per second",
                "use a lower rate, a shorter delay, or a host with netem",
            )
