"""Whether a sample carries a claim is known before the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.plan.faults import expected_hedges
from orchestrator.plan.sample_size import TAIL, Judgement, judgeable, samples_needed, too_few_blocks
from orchestrator.scenario.experiment import Experiment
from support.run_folder_factory import plan_of, scenario_from

if TYPE_CHECKING:
    from orchestrator.scenario.models import Scenario


@pytest.mark.parametrize(("quantile", "needed"), [(0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368), (0.999, 3_688)])
def test_samples_needed_for_a_two_sided_interval(quantile: float, needed: int) -> None:
    assert samples_needed(quantile) == needed


@given(st.floats(0.01, 0.999))
def test_one_sample_less_would_not_do(quantile: float) -> None:
    extreme, needed = max(quantile, 1 - quantile), samples_needed(quantile)
    assert extreme**needed <= TAIL < extreme ** (needed - 1)


def judgements(scenario: Scenario) -> list[Judgement]:
    """What is known beforehand of each claim of `scenario`."""
    return judgeable(Experiment.of(scenario), plan_of(scenario))


def shortfalls(scenario: Scenario) -> dict[str, tuple[str, ...]]:
    """What each claim of `scenario` lacks."""
    return {judgement.claim_id: judgement.shortfalls for judgement in judgements(scenario)}


@pytest.mark.parametrize("name", ["paper", "smoke"])
def test_our_own_scenarios_carry_their_claims(name: str) -> None:
    assert not any(shortfalls(scenario_from(name)).values())


def test_too_few_requests_carry_no_p99() -> None:
    lacking = shortfalls(scenario_from("smoke", "workload.requests=300"))
    assert lacking["p99-kernel"] == ("p99(kernel) needs 368 requests, there are 300",)
    assert lacking["stalls-hedged"] == ()


def test_a_hundred_hedges_carry_no_p99_of_lateness() -> None:
    scenario = scenario_from("paper", "claims.5.expect=lateness_p99(kernel) <= 500us")
    assert shortfalls(scenario)["lateness"] == ("lateness_p99(kernel) needs 368 expected hedges, there are 100",)


def test_few_blocks_give_no_interval_but_what_is_counted_needs_none() -> None:
    lacking = shortfalls(scenario_from("paper", "design.blocks=4"))
    assert lacking["p99-cut"] == ("4 blocks give no interval, 5 are needed",)
    assert lacking["no-duplicates"] == ()
    warnings = too_few_blocks(Experiment.of(scenario_from("paper", "design.blocks=4")))
    assert "p99-cut will be inconclusive: 4 blocks give no interval, 5 are needed" in warnings
    assert not any(warning.startswith("no-duplicates") for warning in warnings)
    assert too_few_blocks(Experiment.of(scenario_from("paper"))) == []


def test_what_only_a_run_can_tell_is_a_condition() -> None:
    claim = "{id: late, expect: lateness_p99(kernel) <= 1ms}"

    def judgement(*overrides: str) -> Judgement:
        scenario = scenario_from("paper", f"claims=[{claim}]", *overrides)
        (found,) = judgements(scenario)
        return found

    stress = judgement("faults=[{fault: cpu-stress, target: client}]")
    assert stress.shortfalls == ()
    assert stress.conditions == ("lateness_p99(kernel) needs 368 hedges, which depends on cpu-stress",)
    queue = judgement("service.concurrency=1")
    assert queue.conditions == ("lateness_p99(kernel) needs 368 hedges, which depends on queueing",)
    certain = judgement("faults=[{fault: cpu-stress, target: client}]", "hedging.delay=1ms")
    assert (certain.shortfalls, certain.conditions) == ((), ())


def test_slow_requests_are_hedged_too() -> None:
    def hedges(*overrides: str) -> int:
        scenario = scenario_from("paper", *overrides)
        return expected_hedges(scenario, plan_of(scenario))

    assert hedges() == 100
    assert hedges("hedging.delay=1ms") == 5_000
    half_of_the_rest = 100 + 4_900 // 2
    assert hedges("service.service_time={distribution: lognormal, median: 10ms, sigma: 0.5}") == half_of_the_rest
