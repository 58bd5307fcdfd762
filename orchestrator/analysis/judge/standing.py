"""Where a claim's figure stands from its bound, measured by how it differs between blocks.

Single figures and sums are tested as they are, times, whose tails are heavy, by their logarithms, two figures by the
logarithm of their ratio. How far apart the sides are depends on the bound, how uncertain that is does not; so a
looser claim never stands closer to its bound.

Student's t takes blocks for independent draws of one distribution that is near enough to the normal one. Simulation
(tests/unit/test_analysis_at_the_bound.py) shows where that fails: where blocks differ by half or more, where each is
much like the one before, and where one in ten is slow. Such runs have one thing in common that five blocks can show:
their blocks differ by more than a few percent. So where they differ by more than `STEADY_UP_TO`, the bound must lie
outside of what one further block would have in 97 % of cases (the prediction interval of Student's t), and not only
outside of the interval of their mean.

What a further block would have is how fast it truly is, not what chance makes of its few events. So the part of the
variance between blocks that chance within them explains is taken off (binomial for shares, order statistics for
quantiles, the standard error for means). How large it is must be estimated from few blocks, and to take off all of it
would support too many false claims; taken off is (blocks - 3) / (blocks - 1) of it, half with 5 blocks and seven
ninths with 10 (Morris, "Parametric Empirical Bayes Inference: Theory and Applications", 1983), and half as much for
a single time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from orchestrator.analysis.statistics import Floats, Resamples, Weights, critical, plain
from orchestrator.claims.algebra import Form, Normal
from orchestrator.claims.functions import Dimension, Statistic
from orchestrator.claims.grammar import Call

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.analysis.judge.evidence import Evidence
    from orchestrator.claims.grammar import Expression

#: The standard deviation between blocks, relative to the figure, up to which Student's t is taken at its word.
STEADY_UP_TO = 0.1
#: The same of single shares and means, which a few slow blocks lengthen: without those they are too low.
_STEADY_SUM_UP_TO = 0.05
#: How rarely one further block would lie outside of its prediction interval.
_BEYOND = 0.03
#: What is taken off of single times, relative to all others: their tails are too low where slow blocks are rare.
_OF_SINGLE_TIMES = 0.5
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Standing:
    """A figure from its bound: `distance` in standard errors, and `apart` relative to the figure itself.

    `between_blocks` is the standard deviation between the `blocks`, in the unit of `apart`, and `beyond_chance` what
    chance within them does not explain of it. Up to `steady_up_to` blocks differ little.
    """

    distance: float
    apart: float
    between_blocks: float
    beyond_chance: float
    blocks: int
    steady_up_to: float = STEADY_UP_TO

    @property
    def steady(self) -> bool:
        """Whether Student's t holds: blocks differ little, or so little that the next one is not past the bound."""
        if self.between_blocks <= self.steady_up_to:
            return True
        if self.blocks < 2:
            return False
        of_next = math.sqrt(self.beyond_chance**2 + self.between_blocks**2 / self.blocks)
        return self.apart > critical(_BEYOND, self.blocks) * of_next


def standing(shape: Normal, evidence: Evidence, resamples: Resamples) -> Standing:
    """Where a claim stands; unanswered requests are as long as the time-out, which is a number.

    That one of two figures is the longer, by whatever amount, says more than that it is not the shorter one by some
    amount; so where the claim is of the second kind, the better of both counts.
    """
    if shape.form is Form.SINGLE:
        return _of_figure(shape, evidence, resamples)
    if shape.form is Form.RATIO:
        return _of_ratio(shape, evidence, resamples)
    total = _of_sum(shape, evidence, resamples)
    apart = float(_total(shape, evidence, plain(evidence.rounds))[0])
    if len(shape.terms) != 2 or not (shape.bound < 0 < apart or apart < 0 < shape.bound):
        return total
    return max(total, _of_ratio(shape, evidence, resamples), key=lambda each: (each.steady, each.distance))


def _of_figure(shape: Normal, evidence: Evidence, resamples: Resamples) -> Standing:
    ((_, figure),) = shape.terms
    values, once = evidence.evaluate(figure, resamples.counts, "timeout"), evidence.once(figure, "timeout")
    if figure.dimension is Dimension.DURATION and once > 0 and (values > 0).all():
        apart = math.log(once) - math.log(shape.bound) if shape.bound > 0 else math.inf
        found = _standing(
            apart,
            lambda weights: _logarithm(evidence.evaluate(figure, weights, "timeout")),
            resamples,
            1.0,
            _chance(figure, evidence, logs=True),
            taken_off=_OF_SINGLE_TIMES,
        )
        is_mean = isinstance(figure, Call) and figure.definition.statistic is Statistic.MEAN
        return replace(found, steady_up_to=_STEADY_SUM_UP_TO) if is_mean else found
    found = _standing(
        once - shape.bound,
        lambda weights: evidence.evaluate(figure, weights, "timeout"),
        resamples,
        _scale(figure, evidence),
        _chance(figure, evidence),
    )
    is_share = isinstance(figure, Call) and figure.definition.statistic is Statistic.SHARE
    return replace(found, steady_up_to=_STEADY_SUM_UP_TO) if is_share else found


def _of_ratio(shape: Normal, evidence: Evidence, resamples: Resamples) -> Standing:
    def sides(weights: Weights) -> tuple[Floats, Floats]:
        left, right = (abs(factor) * evidence.evaluate(figure, weights, "timeout") for factor, figure in shape.terms)
        return left, right

    one, other = (float(side[0]) for side in sides(plain(evidence.rounds)))
    if not (one > 0 and other > 0):
        scale = max(abs(factor) * _scale(figure, evidence) for factor, figure in shape.terms)
        return _standing(one - other, lambda weights: np.subtract(*sides(weights)), resamples, scale)
    apart = math.log(one) - math.log(other)
    if shape.terms[0][1].dimension is Dimension.DURATION and all(
        (side > 0).all() for side in sides(resamples.counts)
    ):
        chance = sum(_chance(figure, evidence, logs=True) for _, figure in shape.terms)
        return _standing(apart, lambda weights: np.subtract(*map(_logarithm, sides(weights))), resamples, 1.0, chance)

    def first_order(weights: Weights) -> Floats:  # shares may be zero in some resamples, and have no logarithm there
        left, right = sides(weights)
        return left / one - right / other

    sides_once = zip(shape.terms, (one, other), strict=True)
    chance = sum(factor**2 * _chance(figure, evidence) / side**2 for (factor, figure), side in sides_once)
    return _standing(apart, first_order, resamples, 1.0, chance)


def _of_sum(shape: Normal, evidence: Evidence, resamples: Resamples) -> Standing:
    once = float(_total(shape, evidence, plain(evidence.rounds))[0])
    scale = max(abs(once), abs(shape.bound))  # of what is claimed, however long the figures that differ by it
    chance = sum(factor**2 * _chance(figure, evidence) for factor, figure in shape.terms)
    return _standing(once - shape.bound, lambda weights: _total(shape, evidence, weights), resamples, scale, chance)


def _total(shape: Normal, evidence: Evidence, weights: Weights) -> Floats:
    """What the figures of a claim add up to in each resample."""
    total: Floats = np.zeros(len(weights))
    for factor, figure in shape.terms:
        total = total + factor * evidence.evaluate(figure, weights, "timeout")
    return total


def _scale(figure: Expression, evidence: Evidence) -> float:
    """What a difference of `figure` is relative to: itself, or of a share near 1 what is missing to that."""
    once = abs(evidence.once(figure, "timeout"))
    return 1 - once if figure.dimension is Dimension.RATIO and 0.5 < once < 1 else once


def _chance(figure: Expression, evidence: Evidence, *, logs: bool = False) -> float:
    """The variance between blocks of a share, quantile or mean, were requests independent and blocks alike.

    That of the logarithm, where `logs`; 0 for figures of which it is not known.
    """
    if not isinstance(figure, Call):
        return 0.0
    measures = evidence.measured(figure)
    around = measures.around(figure.function, float(evidence.of(figure).timeout_ns))
    if around is not None:
        low, high = map(_logarithm, around) if logs else around
        known = np.isfinite(high) & np.isfinite(low)
        widths = (high[known] - low[known]) / 2
        return float((widths**2).mean()) if len(widths) else 0.0
    counted = measures.counted(figure.function)
    if counted is None:
        return 0.0
    share = counted[0] / counted[1]
    return share * (1 - share) * evidence.rounds / counted[1]


def _logarithm(values: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(values)


def _standing(
    apart: float,
    of: Callable[[Weights], Floats],
    resamples: Resamples,
    scale: float,
    chance: float = 0.0,
    taken_off: float = 1.0,
) -> Standing:
    """From `apart`, the figure minus its bound, and what the figure is `of` any weighting of the rounds.

    All is taken relative to `scale`. `chance` is the variance between blocks that are alike, and `taken_off` how much
    is taken off of what can be known of it.
    """
    values = of(resamples.counts)
    error = resamples.spread(values)
    if error > _ROUNDING * max(1.0, float(np.abs(values).max())):
        distance = abs(apart) / error
    else:  # a spread that only rounding makes among equal rounds is none
        distance = math.inf if apart else 0.0
    by_block = of(np.eye(resamples.rounds, dtype=np.int64))
    by_block = by_block[np.isfinite(by_block)]
    relative = scale if scale > 0 else 1.0
    variance = float(by_block.var(ddof=1)) if len(by_block) > 1 else math.inf
    between = math.sqrt(variance) / relative
    explained = min(1.0, chance / variance) if 0 < variance < math.inf else 0.0
    known = max(0.0, (len(by_block) - 3) / (len(by_block) - 1)) if len(by_block) > 1 else 0.0
    beyond_chance = between * math.sqrt(1 - taken_off * known * explained)
    return Standing(distance, abs(apart) / relative, between, beyond_chance, len(by_block))
