"""Whether a scenario's sample is large enough for what its claims say, known before anything runs.

A quantile has a two-sided 95 % order-statistic interval only where the sample's largest value lies beyond it surely
enough: the largest of n values falls short of quantile q with probability q^n, which may be at most 2.5 % (and, for
quantiles below the median, the same for the smallest). P99 needs 368 values, P99.9 3,688. Where blocks
are resampled whole, fewer than five of them give too few distinct resamples to say anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from orchestrator.plan.blocks import Plan
from orchestrator.plan.eta import stalled_requests
from orchestrator.scenario.claim_grammar import FUNCTIONS, Call, parse_claim
from orchestrator.scenario.models import Scenario

TAIL = 0.025
MIN_BLOCKS = 5


@dataclass(frozen=True)
class Judgement:
    """Whether one claim can be judged: `shortfalls` says in words what it lacks, empty where it lacks nothing."""

    claim_id: str
    expect: str
    shortfalls: tuple[str, ...]


def samples_needed(quantile: float) -> int:
    """The smallest sample in which `quantile` (0 < quantile < 1) has a two-sided 95 % interval."""
    extreme = max(quantile, 1 - quantile)
    needed, probability = 1, extreme
    while probability > TAIL:
        needed += 1
        probability = extreme**needed
    return needed


def judgeable(scenario: Scenario, plan: Plan) -> list[Judgement]:
    """For each claim of `scenario`, what its sample lacks."""
    hedges = expected_hedges(scenario, plan)
    judgements = []
    for claim in scenario.claims:
        calls = parse_claim(claim.expect).calls()
        short = [text for call in calls if (text := _too_few(call, scenario, hedges))]
        if scenario.design.blocks < MIN_BLOCKS and not all(FUNCTIONS[call.function].counted for call in calls):
            short.append(f"{scenario.design.blocks} blocks give no interval, {MIN_BLOCKS} are needed")
        judgements.append(Judgement(claim.id, claim.expect, tuple(dict.fromkeys(short))))
    return judgements


def expected_hedges(scenario: Scenario, plan: Plan) -> int:
    """Requests of one strategy that stay unanswered beyond the hedge delay: the stalled, and the merely slow."""
    stalled = sum(stalled_requests(scenario, block) for block in plan.of(scenario.strategies[0]))
    time, delay_ns = scenario.service.service_time, scenario.hedging.delay_ns
    if time.sigma:
        slow = 1 - NormalDist().cdf(math.log(delay_ns / time.median_ns) / time.sigma)
    else:
        slow = float(time.median_ns > delay_ns)
    return stalled + round((scenario.workload.requests - stalled) * slow)


def _too_few(call: Call, scenario: Scenario, hedges: int) -> str:
    quantile = FUNCTIONS[call.function].quantile
    if quantile is None:
        return ""
    needed = samples_needed(quantile)
    about_hedges = call.function.startswith("lateness")
    expected = hedges if about_hedges else scenario.workload.requests
    if expected >= needed:
        return ""
    unit = "expected hedges" if about_hedges else "requests"
    return f"{call.text} needs {needed} {unit}, there are {expected}"
