"""How long a run is expected to take, and how that is said."""

from __future__ import annotations

import pytest

from hedgerow_node.units import NS_PER_MS, NS_PER_S
from orchestrator.plan.blocks import make_plan
from orchestrator.plan.eta import (
    BLOCK_OVERHEAD_NS,
    REQUEST_OVERHEAD_NS,
    RUN_OVERHEAD_NS,
    block_etas_ns,
    run_eta_ns,
    spoken,
    stalled_requests,
)
from support.run_folder_factory import scenario_from


def test_stalled_requests_are_counted_by_the_condition() -> None:
    scenario = scenario_from("paper")
    assert [stalled_requests(scenario, block) for block in make_plan(scenario).of("kernel")] == [10] * 10


def test_a_block_takes_its_requests_its_stalls_and_its_draining() -> None:
    scenario = scenario_from("paper")
    plan = make_plan(scenario)
    etas = {
        (block.strategy, block.number): eta for block, eta in zip(plan, block_etas_ns(scenario, plan), strict=True)
    }
    quiet_ns = 700 * (3 * NS_PER_MS + REQUEST_OVERHEAD_NS) + NS_PER_S + BLOCK_OVERHEAD_NS
    assert etas["baseline", 0] == quiet_ns + 10 * 400 * NS_PER_MS
    assert etas["kernel", 0] == quiet_ns + 10 * 10 * NS_PER_MS


def test_without_healing_a_hedge_saves_nothing() -> None:
    scenario = scenario_from("paper", "service.stall.heal_on_duplicate=false")
    plan = make_plan(scenario)
    assert len(set(block_etas_ns(scenario, plan))) == 1


def test_the_longest_stall_is_drained_even_beyond_the_time_out() -> None:
    shorter = scenario_from("paper", "workload.timeout=100ms")
    assert shorter.drain_ns == 400 * NS_PER_MS


def test_users_share_the_work_and_workers_bound_it() -> None:
    one = scenario_from("smoke", "service.stall=", "claims=[]")
    crowd = ("service.stall=", "claims=[]", "workload.arrivals.users=10")
    many = scenario_from("smoke", *crowd)
    queueing = scenario_from("smoke", *crowd, "service.concurrency=1")
    fixed_ns = one.drain_ns + BLOCK_OVERHEAD_NS
    per_block = [block_etas_ns(each, make_plan(each))[0] - fixed_ns for each in (one, many, queueing)]
    request_ns = 5 * NS_PER_MS // 2 + REQUEST_OVERHEAD_NS  # service and thinking
    assert per_block == [120 * request_ns, 12 * request_ns, 120 * 2 * NS_PER_MS]


def test_the_smoke_run_is_planned_under_half_a_minute_and_the_paper_under_four() -> None:
    smoke, paper = scenario_from("smoke"), scenario_from("paper")
    assert run_eta_ns(smoke, make_plan(smoke)) < 30 * NS_PER_S
    assert run_eta_ns(paper, make_plan(paper)) < 240 * NS_PER_S


def test_a_run_is_its_blocks_and_standing_up() -> None:
    scenario = scenario_from("smoke")
    plan = make_plan(scenario)
    assert run_eta_ns(scenario, plan) == sum(block_etas_ns(scenario, plan)) + RUN_OVERHEAD_NS


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59.6, "1 min 0 s"), (185, "3 min 5 s"), (3_720, "1 h 2 min")]
)
def test_durations_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert spoken(round(seconds * NS_PER_S)) == words
