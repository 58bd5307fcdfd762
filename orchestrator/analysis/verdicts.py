"""Whether a run supports a claim, refutes it, or cannot tell: judged by an interval, never by a point.

The interval is that of left side minus right side over the resampled rounds. If all of it satisfies the comparison
the claim is supported, if none of it does it is refuted, else the run cannot tell. Claims that only count what
happened in this run (duplicates delivered, stalled requests hedged) are judged by the count: one is one.

A quantile that falls among unanswered requests is only known to be longer than the time-out. The claim is then judged
for both ends of what it may be, the time-out and infinity; where the two disagree the run cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from hedgerow_node.units import format_duration
from orchestrator.analysis.bootstrap import Interval, interval
from orchestrator.analysis.measures import Measures
from orchestrator.analysis.quantiles import Floats, Weights, plain
from orchestrator.plan.sample_size import MIN_BLOCKS, samples_needed
from orchestrator.scenario.claim_grammar import (
    FUNCTIONS,
    Call,
    Comparison,
    Dimension,
    Expression,
    Negation,
    Number,
    Operation,
    calls,
)

Verdict = Literal["supported", "refuted", "inconclusive"]
#: What a request without an answer is taken to have taken: the two ends of what it may be.
Unanswered = Literal["forever", "timeout"]

_NS_PER = {"ms": 1e6, "us": 1e3, "ratio": 1.0, "count": 1.0}


@dataclass(frozen=True)
class Finding:
    """The verdict on one claim.

    `observed` and `ci95` are the ratio of both sides where the claim compares two figures (`p99(a) <= 0.04 * p99(b)`:
    p99(a) / p99(b)), else the figure itself, in `unit` ("ms", "us", "ratio", "count"). None stands for what does not
    exist or, in an interval, lies beyond the time-out. `reason` says why nothing could be told.
    """

    verdict: Verdict
    observed: float | None
    ci95: tuple[float | None, float | None] | None
    unit: str
    reason: str = ""


@dataclass(frozen=True)
class Evidence:
    """What claims are judged on: figures by strategy, resamples (None with too few rounds), time-out in ns.

    `arms` holds the evidence of each arm, for claims that name arms; all have the same resamples, so that rounds are
    paired across arms too.
    """

    measures: Mapping[str, Measures]
    resamples: Weights | None
    timeout_ns: int
    arms: Mapping[str | None, Evidence] = field(default_factory=dict)

    @classmethod
    def across(cls, arms: Mapping[str | None, Evidence]) -> Evidence:
        """What claims that name the arm of every figure are judged on."""
        return replace(next(iter(arms.values())), arms=arms)

    def of(self, call: Call) -> Evidence:
        """The evidence of the arm that `call` names; this one where it names none."""
        return self if call.arm is None else self.arms[call.arm]

    @property
    def rounds(self) -> int:
        return next(iter(self.measures.values())).rounds


def judge(claim: Comparison, evidence: Evidence) -> Finding:
    """The verdict that `evidence` gives on `claim`."""
    subject, unit = _subject(claim)
    counted = all(FUNCTIONS[call.function].counted for call in claim.calls())
    weights = plain(evidence.rounds) if counted else evidence.resamples
    observed = _scaled(_evaluate(subject, evidence, plain(evidence.rounds))[0], unit)
    resampled = None if counted or weights is None else interval(_evaluate(subject, evidence, weights))
    ci95 = _scaled_interval(resampled, unit)
    reason = _shortfall(claim, evidence)
    verdict: Verdict = "inconclusive"
    if not reason and weights is None:
        reason = f"{evidence.rounds} blocks give no interval, {MIN_BLOCKS} are needed"
    if not reason and weights is not None:
        verdict, reason = _decide(claim, evidence, weights)
    return Finding(verdict, observed, ci95, unit, reason)


def overall(verdicts: list[Verdict]) -> Verdict | None:
    """The verdict of a run: the worst of its claims', None where it makes none."""
    for verdict in ("refuted", "inconclusive", "supported"):
        if verdict in verdicts:
            return verdict
    return None


def _decide(claim: Comparison, evidence: Evidence, weights: Weights) -> tuple[Verdict, str]:
    found: list[Verdict] = []
    either: tuple[Unanswered, Unanswered] = ("forever", "timeout")
    for unanswered in either:
        with np.errstate(invalid="ignore", divide="ignore"):
            left = _evaluate(claim.left, evidence, weights, unanswered)
            right = _evaluate(claim.right, evidence, weights, unanswered)
            difference = interval(left - right)
        if difference is None:
            return "inconclusive", _undefined(claim, evidence) or "the claim divides by zero in some resamples"
        found.append(_compare(claim.operator, difference))
    if found[0] == found[1] != "inconclusive":
        return found[0], ""
    return "inconclusive", _undefined(claim, evidence) or "the 95 % interval straddles the bound"


def _compare(operator: str, difference: Interval) -> Verdict:
    holds: dict[str, Callable[[float], bool]] = {
        "<": lambda value: value < 0,
        "<=": lambda value: value <= 0,
        ">": lambda value: value > 0,
        ">=": lambda value: value >= 0,
        "==": lambda value: value == 0,
    }
    low, high = difference
    ends = {holds[operator](low), holds[operator](high)}
    if operator == "==" and ends == {False} and low < 0 < high:
        return "inconclusive"
    if ends == {True}:
        return "supported"
    return "refuted" if ends == {False} else "inconclusive"


def _shortfall(claim: Comparison, evidence: Evidence) -> str:
    """Why the claim's figures cannot be judged at all, empty where they can."""
    for call in claim.calls():
        measures, quantile = evidence.of(call).measures[call.strategy], FUNCTIONS[call.function].quantile
        values = measures.values_behind(call.function)
        if quantile is not None and values < samples_needed(quantile):
            kind = "hedges" if call.function.startswith("lateness") else "requests"
            return f"{call.text} needs {samples_needed(quantile)} {kind}, there are {values}"
        if np.isnan(measures.evaluate(call.function, plain(evidence.rounds))[0]):
            return f"{call.text} has no value in this run"
    return ""


def _undefined(claim: Comparison, evidence: Evidence) -> str:
    """Which of the claim's figures is no plain number in some resample, empty where all are."""
    for call in claim.calls():
        here = evidence.of(call)
        weights = plain(evidence.rounds) if evidence.resamples is None else evidence.resamples
        values = here.measures[call.strategy].evaluate(call.function, weights)
        if np.isinf(values).any():
            return f"{call.text} falls among requests without an answer (> {format_duration(here.timeout_ns)})"
        if np.isnan(values).any():
            return f"{call.text} has no value in some rounds"
    return ""


def _evaluate(
    expression: Expression, evidence: Evidence, weights: Weights, unanswered: Unanswered = "forever"
) -> Floats:
    """`expression` for each resample; unanswered requests take forever, or just as long as their arm's time-out."""
    if isinstance(expression, Number):
        return np.full(len(weights), expression.value)
    if isinstance(expression, Call):
        here = evidence.of(expression)
        unanswered_ns = float(here.timeout_ns) if unanswered == "timeout" else np.inf
        return here.measures[expression.strategy].evaluate(expression.function, weights, unanswered_ns)
    if isinstance(expression, Negation):
        return -_evaluate(expression.operand, evidence, weights, unanswered)
    left = _evaluate(expression.left, evidence, weights, unanswered)
    right = _evaluate(expression.right, evidence, weights, unanswered)
    with np.errstate(invalid="ignore", divide="ignore"):
        if expression.operator == "/":
            return np.where(right == 0, np.nan, left / right)
        return {"+": np.add, "-": np.subtract, "*": np.multiply}[expression.operator](left, right)


def _subject(claim: Comparison) -> tuple[Expression, str]:
    """What a claim is about, and in which unit to tell it."""
    left_calls, right_calls = list(calls(claim.left)), list(calls(claim.right))
    if left_calls and right_calls:
        other = _without_factor(claim.right)
        return Operation("/", claim.left, other, Dimension.RATIO, other.column), "ratio"
    subject = claim.left if left_calls else claim.right
    return subject, _unit(subject)


def _without_factor(expression: Expression) -> Expression:
    """`expression` without a constant that scales it: 0.04 * p99(b) → p99(b)."""
    if isinstance(expression, Operation) and expression.operator == "*":
        if isinstance(expression.left, Number):
            return expression.right
        if isinstance(expression.right, Number):
            return expression.left
    return expression


def _unit(expression: Expression) -> str:
    if expression.dimension is Dimension.DURATION:
        lateness = ("lateness", "send_lateness")
        return "us" if all(call.function.startswith(lateness) for call in calls(expression)) else "ms"
    return "count" if expression.dimension is Dimension.COUNT else "ratio"


def _scaled(value: float, unit: str) -> float | None:
    return round(float(value) / _NS_PER[unit], 6) if np.isfinite(value) else None


def _scaled_interval(ends: Interval | None, unit: str) -> tuple[float | None, float | None] | None:
    if ends is None:
        return None
    low, high = _scaled(ends[0], unit), _scaled(ends[1], unit)
    return None if low is None and high is None else (low, high)
