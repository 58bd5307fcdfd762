"""Which engine a strategy gets, and what is refused for it: a delay line without use, a rate beyond its capacity."""

from __future__ import annotations

import pytest

from orchestrator.errors import ScenarioError
from orchestrator.scenario.capacity import check_capacity, needs_netem
from orchestrator.scenario.engines import engine_for, engines_of
from support.experiments import experiment_of

EXAMPLE = """
version: 1
name: example
workload: {requests: 30000, arrivals: {mode: open, rate: 100/s}}
hedging: {delay: 10ms}
strategies: [baseline, app-deadline, kernel, kernel-clone, kernel-queue]
"""
HASTY = "workload.arrivals.rate=20000/s"  # 256 lanes hold 12,800/s, a ring 102,400/s


@pytest.mark.parametrize(
    ("hedging", "of_kernel"),
    [
        ("{delay: 10ms}", "auto"),
        ("{delay: 10ms, engine: clone}", "clone"),
        ("{delay: 10ms, engine: queue, delay_line: fq}", "queue"),
    ],
)
def test_a_strategy_has_its_own_engine_or_that_of_hedging(hedging: str, of_kernel: str) -> None:
    scenario = experiment_of(EXAMPLE, f"hedging={hedging}").scenario
    found = {strategy: engine_for(scenario, strategy) for strategy in scenario.strategies}
    named = {"kernel": of_kernel, "kernel-clone": "clone", "kernel-queue": "queue"}
    assert found == {"baseline": None, "app-deadline": None, **named}
    assert engines_of(scenario) == tuple(dict.fromkeys([of_kernel, "clone", "queue"]))


def test_netem_decides_for_clones() -> None:
    netem = experiment_of(EXAMPLE, "hedging.delay_line=netem", "strategies=[baseline, kernel]").scenario
    assert engines_of(netem) == ("clone",)
    watched = experiment_of(EXAMPLE, "hedging.engine=queue", "strategies=[baseline]").scenario
    assert engines_of(watched) == ("queue",), "what the hedger is set to where it only watches"


@pytest.mark.parametrize("line", ["auto", "fq", "htb"])
def test_the_queue_takes_any_line_but_netem(line: str) -> None:
    experiment_of(EXAMPLE, "hedging.engine=queue", f"hedging.delay_line={line}")
    with pytest.raises(ScenarioError, match=r"strategies\[4\]: kernel-queue cannot use hedging.delay_line netem"):
        experiment_of(EXAMPLE, "hedging.delay_line=netem")


def test_only_clones_need_lanes() -> None:
    queued = ["strategies=[baseline, kernel, kernel-queue]", HASTY]
    assert needs_netem(experiment_of(EXAMPLE, *queued).scenario) == []
    scenario = experiment_of(EXAMPLE, *queued, "hedging.delay_line=htb").scenario
    check_capacity(scenario, "queue", "htb")
    with pytest.raises(ScenarioError, match="256 HTB lanes hold 12800 requests per second"):
        check_capacity(scenario, "clone", "htb")  # as a hedger may choose for auto
    cloned = experiment_of(EXAMPLE, HASTY).scenario
    assert [finding.path for finding in needs_netem(cloned)] == [("hedging", "delay_line")]
    with pytest.raises(ScenarioError, match="the engine queue, or a host with netem"):
        experiment_of(EXAMPLE, HASTY, "hedging.delay_line=htb")


def test_more_than_the_ring_holds_is_refused_but_for_clones() -> None:
    late = ["workload.timeout=2m", "hedging.delay=1m", "hedging.delay_line=fq", "workload.arrivals.rate=1100/s"]
    with pytest.raises(ScenarioError, match="the queue holds 65536 requests, so 1092 per second for 60s"):
        experiment_of(EXAMPLE, *late)
    experiment_of(EXAMPLE, *late, "strategies=[baseline, app-deadline]")
    experiment_of(EXAMPLE, *late, "strategies=[baseline, kernel-clone]")


@pytest.mark.parametrize(
    ("engine", "line", "warned"),
    [
        ("queue", "auto", True),
        ("queue", "htb", True),
        ("queue", "fq", True),
        ("clone", "auto", True),
        ("clone", "netem", False),
    ],
)
def test_the_delay_of_a_fault_has_lanes_beside_the_queue_too(engine: str, line: str, warned: bool) -> None:
    fault = "faults=[{fault: delay, target: server-0, delay: 50ms}]"  # 2,560 copies a second
    hedging = f"hedging={{delay: 10ms, engine: {engine}, delay_line: {line}}}"
    rate = "workload.arrivals.rate=2600/s"
    scenario = experiment_of(EXAMPLE, "strategies=[baseline, kernel]", hedging, rate, fault).scenario
    assert [finding.path[0] for finding in needs_netem(scenario)] == ["faults"] * warned
