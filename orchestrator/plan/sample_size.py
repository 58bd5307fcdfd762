"""Whether a scenario's sample is large enough for its claims, known before anything runs.

A quantile has a two-sided 95 % order-statistic interval only where the sample's largest value lies beyond it surely
enough: the largest of n values falls short of quantile q with probability q^n, which may be at most 2.5 % (and, for
quantiles below the median, the same for the smallest). P99 needs 368 values, P99.9 3,688. Blocks are resampled whole,
and at least five are wanted: with fewer, Student's t is a guess about how blocks vary.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.plan.faults import expected_hedges, unforeseen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.claims.grammar import Call
    from orchestrator.plan.blocks import Plan
    from orchestrator.scenario.experiment import Experiment
    from orchestrator.scenario.models import Claim, Scenario

TAIL = 0.025
MIN_BLOCKS = 5


@dataclass(frozen=True)
class Judgement:
    """Whether one claim can be judged: `shortfalls` says in words what it lacks, empty where it lacks nothing.

    `conditions` says what it needs that only the run can show. `arm` is the arm that it is judged in, None for
    a claim across arms and where there are no arms.
    """

    claim_id: str
    expect: str
    shortfalls: tuple[str, ...]
    arm: str | None = None
    conditions: tuple[str, ...] = ()


def samples_needed(quantile: float) -> int:
    """The smallest sample in which `quantile` (0 < quantile < 1) has a two-sided 95 % interval."""
    extreme = max(quantile, 1 - quantile)
    needed, probability = 1, extreme
    while probability > TAIL:
        needed += 1
        probability = extreme**needed
    return needed


def too_few_blocks(experiment: Experiment) -> list[str]:
    """For each claim that this experiment has too few blocks to judge, a warning."""
    claims = [(arm.name, claim, arm.scenario) for arm in experiment.arms for claim in arm.scenario.claims]
    claims += [(None, claim, experiment.scenario) for claim in experiment.claims]
    return [
        f"{'' if arm is None else f'{arm}: '}{claim.id} will be inconclusive: {shortfall}"
        for arm, claim, scenario in claims
        if (shortfall := _lacks_blocks(claim, scenario))
    ]


def _lacks_blocks(claim: Claim, scenario: Scenario) -> str:
    blocks, counted = scenario.design.blocks, all(call.definition.counted for call in claim.expect.calls())
    return "" if counted or blocks >= MIN_BLOCKS else f"{blocks} blocks give no interval, {MIN_BLOCKS} are needed"


def judgeable(experiment: Experiment, plan: Plan) -> list[Judgement]:
    """For each claim, of each arm and then across them, what its sample lacks."""
    samples = {arm.name: _Sample(arm.scenario, plan, arm.name) for arm in experiment.arms}
    judgements = [_judgement(claim, samples, arm.name) for arm in experiment.arms for claim in arm.scenario.claims]
    return judgements + [_judgement(claim, samples, None) for claim in experiment.claims]


@dataclass(frozen=True)
class _Sample:
    """What a strategy's figures in one arm are computed from."""

    scenario: Scenario
    plan: Plan
    arm: str | None

    @property
    def requests(self) -> int:
        return self.scenario.workload.requests

    @cached_property
    def hedges(self) -> int:
        return expected_hedges(self.scenario, self.plan, self.arm)


def _judgement(claim: Claim, samples: Mapping[str | None, _Sample], arm: str | None) -> Judgement:
    calls = claim.expect.calls()
    short: list[str] = []
    conditions: list[str] = []
    for call in calls:
        sample = samples[arm if call.arm is None else call.arm]
        short += _too_few(call, sample)
        conditions += _perhaps_too_few(call, sample)
    lacking = _lacks_blocks(claim, next(iter(samples.values())).scenario)
    if lacking:
        short.append(lacking)
    return Judgement(claim.id, claim.expect.text, tuple(dict.fromkeys(short)), arm, tuple(dict.fromkeys(conditions)))


def _too_few(call: Call, sample: _Sample) -> Iterator[str]:
    quantile, of = call.definition.quantile, call.definition.measure.of
    if quantile is None or (of == "hedges" and unforeseen(sample.scenario)):
        return
    needed = samples_needed(quantile)
    expected, unit = (sample.hedges, "expected hedges") if of == "hedges" else (sample.requests, of)
    if expected < needed:
        yield f"{call.text} needs {needed} {unit}, there are {expected}"


def _perhaps_too_few(call: Call, sample: _Sample) -> Iterator[str]:
    quantile, causes = call.definition.quantile, unforeseen(sample.scenario)
    of_hedges = call.definition.measure.of == "hedges"
    if quantile is not None and of_hedges and causes and sample.hedges < samples_needed(quantile):
        yield f"{call.text} needs {samples_needed(quantile)} hedges, which depends on {', '.join(causes)}"
