"""How long a run is expected to take, and how that is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hedgerow_node.units import NS_PER_MS, NS_PER_S
from orchestrator.plan.eta import (
    BLOCK_OVERHEAD_NS,
    REQUEST_OVERHEAD_NS,
    RUN_OVERHEAD_NS,
    block_etas_ns,
    format_rough_duration,
    run_eta_ns,
    stalled_requests,
)
from orchestrator.scenario.experiment import Experiment
from support.run_folder_factory import plan_of, scenario_from

if TYPE_CHECKING:
    from orchestrator.scenario.models import Scenario


def etas_ns(scenario: Scenario) -> list[int]:
    """How long each block of `scenario` is expected to take."""
    return block_etas_ns(Experiment.of(scenario), plan_of(scenario))


def eta_ns(scenario: Scenario) -> int:
    """How long a run of `scenario` is expected to take."""
    return run_eta_ns(Experiment.of(scenario), plan_of(scenario))


def test_stalled_requests_are_counted_by_the_condition() -> None:
    scenario = scenario_from("paper")
    assert [stalled_requests(scenario, block) for block in plan_of(scenario).of("kernel")] == [10] * 10


def test_a_block_takes_its_requests_its_stalls_and_its_draining() -> None:
    scenario = scenario_from("paper")
    plan = plan_of(scenario)
    etas = {(block.strategy, block.number): eta for block, eta in zip(plan, etas_ns(scenario), strict=True)}
    quiet_ns = 700 * (3 * NS_PER_MS + REQUEST_OVERHEAD_NS) + NS_PER_S + BLOCK_OVERHEAD_NS
    assert etas["baseline", 0] == quiet_ns + 10 * 400 * NS_PER_MS
    assert etas["kernel", 0] == quiet_ns + 10 * 10 * NS_PER_MS


def test_without_healing_a_hedge_saves_nothing() -> None:
    scenario = scenario_from("paper", "service.stall.heal_on_duplicate=false")
    assert len(set(etas_ns(scenario))) == 1


def test_the_longest_stall_is_drained_even_beyond_the_time_out() -> None:
    shorter = scenario_from("paper", "workload.timeout=100ms")
    assert shorter.drain_ns == 400 * NS_PER_MS


def test_users_share_the_work_and_workers_bound_it() -> None:
    one = scenario_from("smoke", "service.stall=", "claims=[]")
    crowd = ("service.stall=", "claims=[]", "workload.arrivals.users=10")
    many = scenario_from("smoke", *crowd)
    queueing = scenario_from("smoke", *crowd, "service.concurrency=1")
    fixed_ns = one.drain_ns + BLOCK_OVERHEAD_NS
    per_block = [etas_ns(each)[0] - fixed_ns for each in (one, many, queueing)]
    request_ns = 5 * NS_PER_MS // 2 + REQUEST_OVERHEAD_NS  # service and thinking
    assert per_block == [120 * request_ns, 12 * request_ns, 120 * 2 * NS_PER_MS]


def test_the_smoke_run_is_planned_under_half_a_minute_and_the_paper_under_four() -> None:
    smoke, paper = scenario_from("smoke"), scenario_from("paper")
    assert eta_ns(smoke) < 30 * NS_PER_S
    assert eta_ns(paper) < 240 * NS_PER_S


def test_a_run_is_its_blocks_and_standing_up() -> None:
    scenario = scenario_from("smoke")
    assert eta_ns(scenario) == sum(etas_ns(scenario)) + RUN_OVERHEAD_NS


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59.6, "1 min 0 s"), (185, "3 min 5 s"), (3_720, "1 h 2 min")]
)
def test_durations_are_formatted_for_people(seconds: float, words: str) -> None:
    assert format_rough_duration(round(seconds * NS_PER_S)) == words
