"""One claim tested on a run's evidence: which way it leans, and how surely, before other claims are considered.

The statistic is left side minus right side over the resampled rounds. Subtracted terms are moved to the other side
first (`normal_form`), so that a claim is judged alike however it is written. For times that are then positive on both
sides it is the difference of their logarithms, since tails are heavy and the sign is the same. Claims that only count
what happened in this run (duplicates delivered, stalled requests hedged) are judged by the count.

A quantile that falls among unanswered requests is only known to be longer than the time-out. The claim is then tested
with both ends of what it may be, the time-out and infinity; where the two disagree the run cannot decide it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from hedgerow_node.units import format_duration
from orchestrator.analysis.statistics import Bools, Floats, Weights, p_value, plain, spread
from orchestrator.claims.algebra import Sum, figures_of, normal_form, substitute
from orchestrator.claims.functions import Dimension
from orchestrator.claims.grammar import Call, Comparison, Number, Operation
from orchestrator.plan.sample_size import MIN_BLOCKS, samples_needed

if TYPE_CHECKING:
    from orchestrator.analysis.judge.evidence import Evidence, Unanswered

Leaning = Literal["supported", "refuted"]

_COMPARISONS: dict[str, np.ufunc] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
}
_ROUNDING = 1e-12
_STEP = 1e-6  #: by which a share is moved to see what that does to the claim
_ENDS: tuple[Unanswered, Unanswered] = ("forever", "timeout")


@dataclass(frozen=True)
class Counted:
    """A claim that was decided by counting."""

    leaning: Leaning


@dataclass(frozen=True)
class Tested:
    """Which way a claim leans, and how surprising that would be if it were not so.

    `by_rounds` is the p-value from how the rounds differ. `by_number` is that of shares that are 0 or 1 in every
    round, from the number of requests, which must be independent of each other for it; it may exceed 1.
    """

    leaning: Leaning
    by_rounds: float
    by_number: float = 0.0

    @property
    def p_value(self) -> float:
        return max(self.by_rounds, self.by_number)

    @property
    def assumes_independence(self) -> bool:
        """Whether p holds only if requests are independent of each other, which those of a block need not be."""
        return self.by_number > self.by_rounds


@dataclass(frozen=True)
class Undecidable:
    """Why a claim cannot be decided, and how many requests a sample that is too small should have, where known."""

    reason: str
    requests_needed: int | None = None


Trial = Counted | Tested | Undecidable


def is_counted(claim: Comparison) -> bool:
    """Whether all that the claim names is counted exactly."""
    return all(call.definition.counted for call in claim.calls())


def try_claim(claim: Comparison, evidence: Evidence) -> Trial:
    """How `claim` fares on `evidence`, no other claim considered."""
    short = _shortfall(claim, evidence)
    if short is not None:
        return short
    if is_counted(claim):
        return _count(claim, evidence)
    weights = evidence.resamples
    if weights is None:
        return Undecidable(f"{evidence.rounds} blocks give no interval, {MIN_BLOCKS} are needed")
    distance = _distance(claim, evidence, weights)
    found = []
    for unanswered in _ENDS:
        resampled, once = differences(claim, evidence, weights, unanswered)
        if np.isnan(resampled).any() or np.isnan(once):
            return Undecidable(_undefined(claim, evidence) or "the claim divides by zero in some resamples")
        leaning, against = _leaning(claim.operator, resampled, once)
        found.append(Tested(leaning, p_value(against, evidence.rounds, distance, time=_heavy(claim))))
    if found[0].leaning != found[1].leaning:
        return Undecidable(_undefined(claim, evidence))
    by_number = 0.0 if claim.operator == "==" else _p_by_number(claim, evidence, weights)
    return Tested(found[0].leaning, max(tested.by_rounds for tested in found), by_number)


def _count(claim: Comparison, evidence: Evidence) -> Counted | Undecidable:
    holds = []
    for unanswered in _ENDS:
        apart = _apart(evidence.once(claim.left, unanswered), evidence.once(claim.right, unanswered))
        if np.isnan(apart):
            return Undecidable(_undefined(claim, evidence) or "the claim divides by zero")
        holds.append(bool(_holds(claim.operator, apart)))
    if holds[0] != holds[1]:
        return Undecidable(_undefined(claim, evidence))
    return Counted("supported" if holds[0] else "refuted")


def _p_by_number(claim: Comparison, evidence: Evidence, weights: Weights) -> float:
    """The p-value of a share that is 0 or 1 in every block, so that all resamples are alike.

    If the true share lay at the bound, at a distance `gap` from that end, n independent requests would still all turn
    out alike with the probability (1 - gap)^n. Twice that is the p-value; where it exceeds 1, it still serves to
    compute how many requests would be enough.
    """
    chances = [0.0]
    for call in figures_of(claim):
        if call.dimension is Dimension.RATIO:
            measures = evidence.measured(call)
            values = measures.evaluate(call.function, weights)
            if (values == values[0]).all() and values[0] in (0, 1):
                gap = _gap(claim, evidence, call)
                chances.append(2 * (1 - gap) ** measures.sample_size(call.function))
    return max(chances)


def _gap(claim: Comparison, evidence: Evidence, call: Call) -> float:
    """How far the share `call`, which stands at 0 or 1, is from where the claim's sides would be equal; at most 1."""
    once = [evidence.once(side, "timeout") for side in (claim.left, claim.right)]
    inwards = Number(_STEP if evidence.once(call) == 0 else -_STEP, Dimension.RATIO, f"{_STEP:g}", call.column)
    shifted = Operation("+", call, inwards, call.dimension, call.column)
    moved = [evidence.once(substitute(side, call, shifted), "timeout") for side in (claim.left, claim.right)]
    by_step = abs((moved[0] - moved[1]) - (once[0] - once[1]))
    apart = abs(float(_apart(*once)))
    return min(1.0, apart * _STEP / by_step) if by_step else 1.0


def differences(
    claim: Comparison, evidence: Evidence, weights: Weights, unanswered: Unanswered
) -> tuple[Floats, float]:
    """Left side minus right side over the resamples `weights` and over all rounds; NaN where there is no value."""
    left, right = (evidence.evaluate(side, weights, unanswered) for side in (claim.left, claim.right))
    once = [evidence.once(side, unanswered) for side in (claim.left, claim.right)]
    return _apart(left, right), float(_apart(*once))


def _apart(left: Floats | float, right: Floats | float) -> Floats:
    """`left` minus `right`, and 0 where rounding alone makes a difference: 1 - 0.998 is a little more than 0.002."""
    with np.errstate(invalid="ignore"):
        apart = np.subtract(left, right)
    scale = np.maximum(1.0, np.maximum(np.abs(left), np.abs(right)))
    return np.where(np.isfinite(apart) & (np.abs(apart) <= _ROUNDING * scale), 0.0, apart)


def _leaning(operator: str, resampled: Floats, once: float) -> tuple[Leaning, Bools]:
    """Which way the sample leans, and which resamples lean the other way."""
    holds = bool(_holds(operator, once))
    against = _holds(operator, resampled) != holds
    if operator == "==" and not holds:
        against = np.sign(resampled) != np.sign(once)
    return "supported" if holds else "refuted", against


def _holds(operator: str, apart: Floats | float) -> Bools:
    """Whether a claim with `operator` holds where its sides are `apart`."""
    holds: Bools = _COMPARISONS[operator](apart, 0)
    return holds


def _distance(claim: Comparison, evidence: Evidence, weights: Weights) -> float:
    """From the bound, in standard errors; with unanswered requests as long as the time-out, which is a number."""
    sums = normal_form(claim)
    left, right = (_added_up(side, evidence, weights) for side in sums)
    once = [float(_added_up(side, evidence, plain(evidence.rounds))[0]) for side in sums]
    if _heavy(claim) and min(once) > 0 and (left > 0).all() and (right > 0).all():
        left, right, once = np.log(left), np.log(right), [float(np.log(value)) for value in once]
    error = spread(left - right, evidence.rounds)
    # A spread that only rounding makes among equal rounds is none.
    return math.inf if error <= _ROUNDING * max(1.0, *map(abs, once)) else abs(once[0] - once[1]) / error


def _added_up(side: Sum, evidence: Evidence, weights: Weights) -> Floats:
    total: Floats = np.zeros(len(weights))
    for factor, figure in side:
        total = total + factor * evidence.evaluate(figure, weights, "timeout")
    return total


def _heavy(claim: Comparison) -> bool:
    """Whether the claim is about times, whose tails are heavy."""
    return any(call.dimension is Dimension.DURATION for call in claim.calls())


def _shortfall(claim: Comparison, evidence: Evidence) -> Undecidable | None:
    """Why the claim's figures cannot be judged at all, None where they can."""
    for call in claim.calls():
        measures, quantile, of = evidence.measured(call), call.definition.quantile, call.definition.measure.of
        values = measures.sample_size(call.function)
        if quantile is not None and (values or of == "hedges") and values < samples_needed(quantile):
            needed = samples_needed(quantile)
            requests = int(measures.requests.sum())
            wanted = -(-requests * needed // values) if values else None
            return Undecidable(f"{call.text} needs {needed} {of}, there are {values}", wanted)
        if np.isnan(measures.evaluate(call.function, plain(evidence.rounds))[0]):
            return Undecidable(f"{call.text} has no value in this run")
    return None


def _undefined(claim: Comparison, evidence: Evidence) -> str:
    """Which of the claim's figures is not a plain number in some resample, in words; empty where all are."""
    weights = plain(evidence.rounds) if evidence.resamples is None else evidence.resamples
    for call in claim.calls():
        values = evidence.measured(call).evaluate(call.function, weights)
        if np.isinf(values).any():
            timeout = format_duration(evidence.of(call).timeout_ns)
            return f"{call.text} falls among requests without an answer (> {timeout})"
        if np.isnan(values).any():
            return f"{call.text} has no value in some rounds"
    return ""
