"""Where claims stand from their bounds: how far blocks differ, and how much of that chance within them explains."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from orchestrator.analysis.judge.standing import Standing, standing
from orchestrator.analysis.judge.verdicts import judge
from orchestrator.claims.algebra import normal
from orchestrator.claims.grammar import parse_claim
from support.simulated_runs import TIMEOUT_NS, Values, measures, simulated

if TYPE_CHECKING:
    from orchestrator.analysis.judge.evidence import Evidence

MS = 1e6


def stands(claim: str, evidence: Evidence) -> Standing:
    assert evidence.resamples is not None
    return standing(normal(parse_claim(claim)), evidence, evidence.resamples)


def hedged(*events: int, requests: int = 600) -> Evidence:
    latency = np.full((len(events), requests), MS)
    return simulated({"kernel": measures(latency, np.array(events)), "baseline": measures(latency)})


def lognormal(blocks: int, sigma: float, requests: int = 400) -> Values:
    draws = np.random.default_rng(4)
    found: Values = draws.lognormal(0, 1, (blocks, requests)) * np.exp(draws.normal(0, sigma, (blocks, 1))) * 10 * MS
    return found


def test_a_share_of_few_events_a_block_is_decided_where_chance_explains_how_blocks_differ() -> None:
    """About 5 % of 600 requests a block, as a sweep of hedge delays has them, and a bound of 8 %."""
    evidence = hedged(26, 36, 37, 27, 35)
    found = stands("rate(kernel) <= 8%", evidence)
    assert found.between_blocks > 0.15
    assert found.beyond_chance == pytest.approx(found.between_blocks * math.sqrt(1 / 2))
    assert found.steady
    assert judge(parse_claim("rate(kernel) <= 8%"), evidence).verdict == "supported"


def test_it_is_not_decided_where_blocks_differ_by_more_than_chance() -> None:
    evidence = hedged(20, 45, 25, 42, 28)
    found = stands("rate(kernel) <= 8%", evidence)
    assert found.beyond_chance > 0.9 * found.between_blocks
    assert not found.steady
    decision = judge(parse_claim("rate(kernel) <= 8%"), evidence)
    assert (decision.verdict, "blocks differ" in decision.reason) == ("inconclusive", True)


@pytest.mark.parametrize(("blocks", "left"), [(5, 1 / 2), (6, 2 / 5), (10, 2 / 9)])
def test_more_blocks_know_better_what_chance_explains(blocks: int, left: float) -> None:
    alike = stands("p99(kernel) <= 1s", simulated({"kernel": measures(lognormal(blocks, 0))}))
    assert alike.beyond_chance >= alike.between_blocks * math.sqrt((1 + left) / 2) * (1 - 1e-12)
    by_chance = stands("rate(kernel) <= 8%", hedged(*[30, 31] * (blocks // 2), *[30] * (blocks % 2)))
    assert by_chance.beyond_chance == pytest.approx(by_chance.between_blocks * math.sqrt(left))


@pytest.mark.parametrize("function", ["p50", "p99", "mean"])
def test_chance_within_blocks_is_about_what_blocks_that_are_alike_differ_by(function: str) -> None:
    kernel = measures(lognormal(200, 0))
    low, high = (np.log(side) for side in kernel.around(function, TIMEOUT_NS) or ())
    chance = float((((high - low) / 2) ** 2).mean())
    by_block = np.log(kernel.evaluate(function, np.eye(200, dtype=np.int64)))
    assert chance == pytest.approx(float(by_block.var(ddof=1)), rel=0.35)


def test_requests_without_an_answer_are_taken_to_last_as_long_as_the_time_out() -> None:
    latency = lognormal(5, 0)
    latency[:2, :8] = np.inf  # 2 % of two blocks
    timeout_ns = 3 * int(latency[np.isfinite(latency)].max())
    kernel = measures(latency)
    around = kernel.around("p99", timeout_ns)
    assert around is not None
    low, high = around
    assert (low[:2] == timeout_ns).all()
    assert (high[:2] == timeout_ns).all()
    assert (high[2:] < timeout_ns).all()
    (mean_low, mean_high) = kernel.around("mean", timeout_ns) or ((), ())
    middle = (np.array(mean_low) + np.array(mean_high)) / 2
    assert middle == pytest.approx(np.minimum(latency, timeout_ns).mean(axis=1), rel=1e-6)


def test_counts_and_maxima_have_no_such_chance() -> None:
    kernel = measures(lognormal(5, 0))
    assert kernel.around("duplicates", TIMEOUT_NS) is None
    assert kernel.around("max", TIMEOUT_NS) is None


def test_blocks_that_differ_by_a_few_percent_are_taken_as_alike_but_shares_and_means_less_readily() -> None:
    assert Standing(3.0, 0.01, 0.09, 0.09, 5).steady
    assert not Standing(3.0, 0.01, 0.11, 0.11, 5).steady
    assert stands("rate(kernel) <= 8%", hedged(30, 31, 30, 31, 30)).steady_up_to == 0.05
    assert stands("mean(kernel) <= 8ms", simulated({"kernel": measures(lognormal(5, 0))})).steady_up_to == 0.05
    assert stands("p50(kernel) <= 8ms", simulated({"kernel": measures(lognormal(5, 0))})).steady_up_to == 0.1
