"""One claim tested on a run's evidence: which way it leans, and how surely, before other claims are considered.

A claim is tested in its normal form, so that it is judged alike however it is written (`judge.standing`). A margin of
zero decides nothing.

A share is also a number of independent requests at best. Blocks that are all alike show nothing of how it varies, so
p is at least that of the exact binomial tail at the bound, and that of a mean at least what requests that were too
rare to be seen leave (`judge.shares`). Claims that only count what happened in
this run (duplicates delivered) are judged by the count. A maximum is only counted: no sample
says how large it can become, so nothing follows from it about figures that are estimated.

A quantile that falls among unanswered requests is only known to be longer than the time-out. The claim is then tested
with both ends of what it may be, the time-out and infinity; where the two disagree the run cannot decide it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from hedgerow_node.units import format_duration
from orchestrator.analysis.judge.shares import impossible_at_bound, p_by_number, p_of_rare, p_of_unseen
from orchestrator.analysis.judge.standing import standing
from orchestrator.analysis.statistics import Bools, Floats, Resamples, Weights, plain
from orchestrator.claims.algebra import Form, Normal, normal, one_sided
from orchestrator.claims.functions import Statistic
from orchestrator.claims.grammar import Call, Comparison
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
_ENDS: tuple[Unanswered, Unanswered] = ("forever", "timeout")


@dataclass(frozen=True)
class Counted:
    """A claim that was decided by counting."""

    leaning: Leaning


@dataclass(frozen=True)
class Tested:
    """Which way a claim leans, and how surprising that would be if it were not so.

    `by_rounds` is the p-value from how the rounds differ. `by_number` is that of shares and means from their numbers,
    which must be independent of each other for it; it may exceed 1. `all_alike` says that no request, or every one,
    has what the share counts. `unsteady` is by how much blocks differ, relative to the figure, where that is too much
    to conclude anything (`judge.standing`), else None. `by_rank` is how probable it would be, were a quantile at
    its bound, that no more requests are longer than that.
    """

    leaning: Leaning
    by_rounds: float
    by_number: float = 0.0
    all_alike: bool = False
    unsteady: float | None = None
    by_rank: float = 0.0

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
    if claim.operator == "~":
        return _equivalence(claim, evidence)
    short = _shortfall(claim, evidence)
    if short is not None:
        return short
    if is_counted(claim):
        return _count(claim, evidence)
    unjudged = _no_inference(claim)
    if unjudged:
        return Undecidable(unjudged)
    if evidence.resamples is None:
        return Undecidable(f"{evidence.rounds} blocks give no interval, {MIN_BLOCKS} are needed")
    return _test(claim, evidence, evidence.resamples)


def _test(claim: Comparison, evidence: Evidence, resamples: Resamples) -> Tested | Undecidable:
    shape = normal(claim)
    stands = standing(shape, evidence, resamples)
    found = []
    for unanswered in _ENDS:
        resampled, once = differences(claim, evidence, resamples.counts, unanswered)
        if np.isnan(resampled).any() or np.isnan(once):
            return Undecidable(_undefined(claim, evidence) or "the claim divides by zero in some resamples")
        leaning, against = _leaning(claim.operator, resampled, once)
        p_value = resamples.p_value(against, stands.distance) if once else 1.0
        found.append(Tested(leaning, min(p_value, _p_beyond(shape, evidence))))
    if found[0].leaning != found[1].leaning:
        return Undecidable(_undefined(claim, evidence))
    leaning, by_rounds = found[0].leaning, max(tested.by_rounds for tested in found)
    if claim.operator == "==" and leaning == "supported":
        return Tested(leaning, 1.0)  # no sample shows that two figures are equal
    if leaning == "refuted" and impossible_at_bound(shape, evidence):
        return Tested(leaning, 0.0)
    by_number, all_alike = p_by_number(claim, evidence)
    by_number = max(by_number, p_of_unseen(shape, evidence))
    by_rank = p_of_rare(shape, evidence)
    return Tested(leaning, by_rounds, by_number, all_alike, None if stands.steady else stands.between_blocks, by_rank)


def _equivalence(claim: Comparison, evidence: Evidence) -> Trial:
    """Two one-sided tests: supported where both are, so that the interval lies inside the margin; else refuted."""
    trials = [try_claim(side, evidence) for side in one_sided(claim)]
    undecidable = [trial for trial in trials if isinstance(trial, Undecidable)]
    if undecidable:
        return undecidable[0]
    decided = [trial for trial in trials if not isinstance(trial, Undecidable)]
    refuted = [trial for trial in decided if trial.leaning == "refuted"]

    def surprise(trial: Counted | Tested) -> float:
        return trial.p_value if isinstance(trial, Tested) else 0.0

    if refuted:
        return min(refuted, key=surprise)
    least = max(decided, key=surprise)
    tested = [trial for trial in decided if isinstance(trial, Tested)]
    if not isinstance(least, Tested):
        return least
    unsteady = [trial.unsteady for trial in tested if trial.unsteady is not None]
    by_rank = max(trial.by_rank for trial in tested)
    return replace(least, by_rank=by_rank, unsteady=max(unsteady, default=None))


def _no_inference(claim: Comparison) -> str:
    """Why nothing can be inferred about `claim`, some figure of which is estimated; empty where something can."""
    if normal(claim).form is Form.NOTHING:
        return "the same figure stands on both sides, so that nothing is claimed of it"
    largest = [call for call in claim.calls() if call.definition.statistic is Statistic.MAXIMUM]
    if largest:
        return f"{largest[0].text} is the largest of this run, from which nothing follows about estimated figures"
    return ""


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


def _p_beyond(shape: Normal, evidence: Evidence) -> float:
    """The p-value of a quantile whose bound lies beyond every value of the run; 1 for all other claims.

    All n values lie on one side of the true quantile q with the probability q^n at most, which is small enough in
    every sample that is large enough for the quantile (`samples_needed`).
    """
    figure = shape.terms[0][1]
    if shape.form is not Form.SINGLE or not isinstance(figure, Call) or figure.definition.quantile is None:
        return 1.0
    measures, quantile = evidence.measured(figure), figure.definition.quantile
    shortest, longest = measures.range_of(figure.function)
    number = measures.sample_size(figure.function)
    if shape.bound > longest:
        return 2 * quantile**number
    return 2 * (1 - quantile) ** number if shape.bound < shortest else 1.0


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
    weights = plain(evidence.rounds) if evidence.resamples is None else evidence.resamples.counts
    for call in claim.calls():
        values = evidence.measured(call).evaluate(call.function, weights)
        if np.isinf(values).any():
            timeout = format_duration(evidence.of(call).timeout_ns)
            return f"{call.text} falls among requests without an answer (> {timeout})"
        if np.isnan(values).any():
            return f"{call.text} has no value in some rounds"
    return ""
