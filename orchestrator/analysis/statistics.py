"""The statistics that figures, intervals and verdicts rest on: values by round, and resamples of whole rounds.

Values and resamples. Requests within a block depend on each other (one stall delays the next send, one busy second
hits them all), so single requests must not be resampled. Every strategy has one block in every round, and a resample
draws the same rounds for all of them: what disturbed a round disturbs both sides of a comparison alike, as in a
paired test. A resample is a weight per round (how often it was drawn). All resamples of a figure are computed at once
by bisecting over the values, counting in each round's sorted values: the cost hardly grows with the sample, where
sorting 20,000 resamples would take an hour for a long run. Up to eight rounds every multiset of them is taken, with
its probability, so that no chance is left in any figure.

A quantile is the order statistic x_(ceil(q n)): a value that occurred, never an interpolation between a fast and a
stalled request. Requests without an answer count as +inf, so a quantile that falls among them is +inf, not a number
that the time-out happened to be.

Intervals and p-values keep their word with as few as five rounds. A plain percentile interval does not: of five
rounds it covers the true P99 of a heavy tail four times in five. Two corrections are made, and what either of them
leaves open stays open:

- the percentiles are taken further out, by what Student's t with rounds - 1 degrees of freedom is wider than the
  normal distribution and by sqrt(n / (n - 1)) for the bootstrap's narrower spread (the expanded percentile interval
  of Hesterberg, "What Teachers Should Know about the Bootstrap", 2015);
- figures also get Student's t interval from the resamples' spread, of their logarithms where they are times or ratios
  (tails are heavy), and the interval is the hull of both.

No end lies outside what was observed: of as many values as a quantile needs (`samples_needed`) hardly ever all lie on
one side of it. How often intervals hold the truth, in simulated runs of many kinds, is measured by
`tests/unit/test_analysis_coverage.py`; docs/simulations.md has the table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, betaincinv, factorial, ndtr, ndtri, stdtr, stdtrit

from orchestrator.claims.functions import FUNCTIONS, Dimension
from orchestrator.plan.sample_size import MIN_BLOCKS, TAIL, samples_needed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.analysis.measures import Measures

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
LEVEL = 2 * TAIL  #: how often a 95 % interval may miss
Weights = Ints  #: shape (resamples, rounds): how often each resample holds each round
Interval = tuple[float, float]

#: Up to so many rounds all multisets of them are enumerated: 6,435 of 8; of more rounds, that many are drawn.
ENUMERATED_UP_TO = 8
DRAWS = 20_000
#: No end and no p-value of drawn resamples rests on fewer of them beyond it.
FEWEST_BEYOND = 10
#: Of the draws. It is no setting: nothing that is reported may depend on it.
_DRAWS_SEED = 20_261_127
#: Absorbs the error of q · n in floating point: 0.07 · 100 is a little more than 7.
_RANK_SLACK = 1e-9
#: Absorbs that of adding up chances.
_CHANCE_SLACK = 1e-12
_LARGEST_EXPONENT = 700.0


@cache
def plain(rounds: int) -> Weights:
    """The weighting of the sample itself: one "resample" that holds every round once."""
    weights = np.ones((1, rounds), np.int64)
    weights.setflags(write=False)  # every caller gets the same one
    return weights


class Rounds:
    """Values of one figure (latencies, latenesses), kept by round."""

    def __init__(self, values: Floats, round_index: Ints, rounds: int) -> None:
        """`values` may hold +inf; `round_index` says for each which of the `rounds` rounds (from 0) it belongs to."""
        self.groups = [np.sort(values[round_index == index]) for index in range(rounds)]
        self.merged = np.sort(values)
        self._sizes = np.array([len(group) for group in self.groups], np.int64)
        self._kept: dict[tuple[float, int], tuple[Weights, Floats]] = {}

    def __len__(self) -> int:
        return len(self.merged)

    def quantile(self, q: float, weights: Weights) -> Floats:
        """The `q` quantile of each resample, NaN for resamples without values."""
        if not len(self):
            return np.full(len(weights), np.nan)
        if len(weights) == 1 and (weights == 1).all():  # the sample itself, which is asked for most often
            rank = math.ceil(q * len(self) - _RANK_SLACK)
            return self.merged[[max(rank, 1) - 1]]
        totals = weights @ self._sizes
        ranks = np.ceil(q * totals - _RANK_SLACK)
        first, last = self._between(q)
        low, high = (np.full(len(weights), place, np.int64) for place in (first, last))
        while (low < high).any():
            middle = (low + high) // 2
            enough = self._count_up_to(middle, weights) >= ranks
            high = np.where(enough, middle, high)
            low = np.where(enough, low, middle + 1)
        return np.where(totals > 0, self.merged[low], np.nan)

    def kept_quantile(self, q: float, weights: Weights) -> Floats:
        """The same, kept for when it is asked for again with the same `weights`; not to be written to.

        One claim needs a quantile ten times, and claims, comparisons and figures need the same few quantiles.
        """
        key = q, len(weights)  # so that the whole sample does not replace the resamples
        known = self._kept.get(key)
        if known is None or known[0] is not weights:
            known = self._kept[key] = weights, self.quantile(q, weights)
        return known[1]

    def around(self, q: float) -> tuple[Floats, Floats]:
        """The values one standard error below and above the `q` quantile of each round that has any.

        That is, were they independent: the number of values below the quantile is then binomial, so that the ranks
        are sqrt(n q (1 - q)) to either side.
        """
        sizes = self._sizes[self._sizes > 0]
        reach = np.sqrt(sizes * q * (1 - q))
        ranks = [np.clip(np.ceil(q * sizes + by * reach), 1, sizes).astype(np.int64) for by in (-1, 1)]
        groups = [group for group in self.groups if len(group)]
        low, high = (np.array([group[rank - 1] for group, rank in zip(groups, each, strict=True)]) for each in ranks)
        return low, high

    def around_mean(self, unanswered: float) -> tuple[Floats, Floats]:
        """The mean of each round with two values or more, less and plus its standard error, were they independent."""
        groups = [np.minimum(group, unanswered) for group in self.groups if len(group) > 1]
        means = np.array([group.mean() for group in groups])
        errors = np.array([group.std(ddof=1) / math.sqrt(len(group)) for group in groups])
        return means - errors, means + errors

    def maximum(self, weights: Weights) -> Floats:
        """The largest value of each resample, NaN for resamples without values."""
        largest = np.array([group[-1] if len(group) else -np.inf for group in self.groups])
        found = np.where(weights > 0, largest, -np.inf).max(axis=1)
        return np.where(found == -np.inf, np.nan, found)

    def mean(self, weights: Weights, unanswered: float = np.inf) -> Floats:
        """The mean of each resample with +inf taken for `unanswered`; NaN for resamples without values."""
        finite = weights @ np.array([group[np.isfinite(group)].sum() for group in self.groups])
        infinite = weights @ np.array([np.isinf(group).sum() for group in self.groups])
        # a resample without infinite values adds none, and 0 · inf would be NaN
        sums = finite + np.multiply(infinite, unanswered, out=np.zeros(len(weights)), where=infinite > 0)
        totals = weights @ self._sizes
        means: Floats = np.divide(sums, totals, out=np.full(len(weights), np.nan), where=totals > 0)
        return means

    def _between(self, q: float) -> tuple[int, int]:
        """The first and last place among all values at which the `q` quantile of some resample can be.

        That of several rounds together lies between the least and the greatest of theirs.
        """
        groups = [group for group in self.groups if len(group)]
        ranks = [(math.ceil(q * len(group) - _RANK_SLACK), math.ceil(q * len(group))) for group in groups]
        least = min(group[max(0, low - 1)] for group, (low, _) in zip(groups, ranks, strict=True))
        greatest = max(group[max(0, high - 1)] for group, (_, high) in zip(groups, ranks, strict=True))
        low = np.searchsorted(self.merged, least, side="left")
        high = np.searchsorted(self.merged, greatest, side="right") - 1
        return int(low), int(high)

    def _count_up_to(self, places: Ints, weights: Weights) -> Ints:
        """How many values of each resample are at most the merged value at its place; many have the same place."""
        first = int(places.min())
        taken = np.zeros(int(places.max()) - first + 1, np.bool_)
        taken[places - first] = True
        distinct = np.flatnonzero(taken)
        which = (np.cumsum(taken) - 1)[places - first]
        bounds = self.merged[first + distinct]
        counts = np.stack([np.searchsorted(group, bounds, side="right") for group in self.groups], axis=1)
        found: Ints = np.einsum("ij,ij->i", weights, counts[which])
        return found


@dataclass(frozen=True, eq=False)
class Resamples:
    """Samples of as many rounds as there are, with replacement: `counts` of each round, and how likely each one is.

    The methods take a figure's values over them: what the figure's `spread`, interval and p-value are.
    """

    counts: Weights
    chances: Floats
    rounds: int

    def spread(self, values: Floats) -> float:
        """The standard error of a figure: its spread over resamples is too small by sqrt((n - 1) / n)."""
        # not by `@`: its threads wait for each other longer than they compute, and sum in an order of their own
        variance = np.sum(self.chances * (values - np.sum(self.chances * values)) ** 2)
        return math.sqrt(variance * self.rounds / (self.rounds - 1))

    def interval(
        self,
        values: Floats,
        value: float,
        *,
        logs: bool = False,
        within: Interval = (-np.inf, np.inf),
        level: float = LEVEL,
    ) -> Interval | None:
        """The interval of a figure that is `value` over all rounds; it misses the truth as often as `level` says.

        `logs` says that its logarithms are what varies evenly, as those of times and ratios do; it has no effect
        where some value is not positive. No end lies outside `within`. Infinities are allowed in `values` (a quantile
        among unanswered requests) and may be ends; None where some resample has no value. What has logarithms but
        for zeros in some resamples has no negative end.
        """
        if np.isnan(values).any():
            return None
        low, high = self._expanded_percentiles(values, level)
        if np.isfinite(values).all() and np.isfinite(value):
            low_t, high_t = self._student(values, value, level, logs=logs)
            low, high = min(low, low_t), max(high, high_t)
        if logs and value > 0 and (values >= 0).all():
            low = max(0.0, low)
        return max(low, min(within[0], value)), min(high, max(within[1], value))

    def p_value(self, against: Bools, distance: float) -> float:
        """How surprising the data were, two-sided, if the truth lay just on the other side of a bound.

        `against` says which resamples lie on the other side of the bound than the sample itself, `distance` how many
        standard errors (`spread`) the sample is away from it. The larger of the p-values by distance and by resamples
        counts, so that the interval at level 1 - p is the one that ends at the bound.
        """
        by_distance = 2 * float(stdtr(self.rounds - 1, -abs(distance)))
        if not against.any():
            return by_distance
        shrunk = math.sqrt((self.rounds - 1) / self.rounds)
        share = min(1.0, float(self.chances[against].sum()))
        return max(by_distance, min(1.0, 2 * float(stdtr(self.rounds - 1, float(ndtri(share)) * shrunk))))

    def carried(self, against: Bools) -> Bools:
        """`against`, or none of them where they are too few drawn ones for a p-value to rest on.

        Where all multisets are enumerated, each one counts. It is for p-values far below 0.05; with it, such a
        p-value agrees with the interval at its level.
        """
        few = self.rounds > ENUMERATED_UP_TO and int(against.sum()) < FEWEST_BEYOND
        return np.zeros_like(against) if few else against

    def _expanded_percentiles(self, values: Floats, level: float) -> Interval:
        """Of drawn resamples no further out than they carry: from there on Student's t alone widens an interval."""
        tail = float(ndtr(-critical(level, self.rounds) * math.sqrt(self.rounds / (self.rounds - 1))))
        if self.rounds > ENUMERATED_UP_TO:
            tail = max(tail, FEWEST_BEYOND / DRAWS)
        order = np.argsort(values, kind="stable")
        up_to = np.cumsum(self.chances[order])
        low, high = np.searchsorted(up_to, [tail - _CHANCE_SLACK, 1 - tail - _CHANCE_SLACK])
        return float(values[order[low]]), float(values[order[min(high, len(values) - 1)]])

    def _student(self, values: Floats, value: float, level: float, *, logs: bool) -> Interval:
        reach = critical(level, self.rounds)
        if logs and value > 0 and (values > 0).all():
            factor = math.exp(min(reach * self.spread(np.log(values)), _LARGEST_EXPONENT))
            return value / factor, value * factor
        reach *= self.spread(values)
        return value - reach, value + reach


@cache
def resample(rounds: int) -> Resamples | None:
    """The resamples of `rounds` rounds, always the same; None with fewer rounds than an interval needs."""
    if rounds < MIN_BLOCKS:
        return None
    if rounds > ENUMERATED_UP_TO:
        draws = np.random.default_rng(_DRAWS_SEED).multinomial(rounds, np.full(rounds, 1 / rounds), size=DRAWS)
        return Resamples(draws, np.full(DRAWS, 1 / DRAWS), rounds)
    counts = np.array(
        [np.bincount(drawn, minlength=rounds) for drawn in combinations_with_replacement(range(rounds), rounds)],
        np.int64,
    )
    orders = math.factorial(rounds) / np.prod(factorial(counts), axis=1)
    return Resamples(counts, orders / float(rounds) ** rounds, rounds)


def monotone(intervals: Sequence[Interval | None]) -> list[Interval | None]:
    """Intervals of one measure's quantiles, in their order, none with an end below one before it.

    Where a smaller quantile surely exceeds a value, so does a larger one.
    """
    low = high = -np.inf
    found: list[Interval | None] = []
    for ends in intervals:
        if ends is not None:
            low, high = max(low, ends[0]), max(high, ends[1])
        found.append(None if ends is None else (low, high))
    return found


def critical(level: float, rounds: int) -> float:
    """How many standard errors from a bound are enough for a two-sided test at `level` (0.05)."""
    return float(stdtrit(rounds - 1, 1 - level / 2))


def share_interval(count: int, number: int) -> Interval:
    """The exact 95 % interval of a share of which `count` of `number` independent requests were seen.

    Clopper and Pearson, "The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial", 1934.
    """
    low = 0.0 if count == 0 else float(share_seen_with(count, number, TAIL))
    high = 1.0 if count == number else 1 - float(share_seen_with(number - count, number, TAIL))
    return low, high


def share_seen_with(count: int, number: int, chance: float) -> float:
    """The share at which at least `count` of `number` (`count` > 0) are seen with the probability `chance`."""
    return float(betaincinv(count, number - count + 1, chance))


def order_interval(ordered: Floats, quantile: float) -> Interval | None:
    """The interval of `quantile` from values in ascending order (+inf allowed); None for too few of them.

    Each end misses the true quantile with a probability of at most 2.5 %: of n independent values the number below
    the true quantile is binomial, whatever the distribution, so two order statistics enclose it with a known
    probability. Requests of a run are not independent (a pause hits hundreds), so this interval is too narrow where
    blocks differ; beside the one by blocks it shows how far they do. Verdicts rest on that one.
    """
    count = len(ordered)
    if count < samples_needed(quantile):
        return None
    # both ends are within 7 standard deviations of the binomial, beyond which lies less than TAIL (Cantelli: 1/50)
    reach = 7 * math.sqrt(count * quantile * (1 - quantile))
    first, last = max(0, math.floor(count * quantile - reach)), min(count, math.ceil(count * quantile + reach) + 1)
    # below[k]: the probability that at most `first` + k values lie below the quantile
    below = bdtr(np.arange(first, last), count, quantile)
    # P(x_(low) > quantile) = P(at most low - 1 values below it), P(x_(high) < quantile) = P(at least high below it)
    low = first + int(np.searchsorted(below, TAIL, side="right"))
    high = first + int(np.searchsorted(below, 1 - TAIL, side="left")) + 1
    return float(ordered[low - 1]), float(ordered[min(high, count) - 1])


def rounded(value: float | None, per_unit: float = 1.0, digits: int = 6) -> float | None:
    """`value` in a unit of `per_unit`, as it is reported; None where there is none, or it is not finite."""
    return None if value is None or not np.isfinite(value) else round(float(value) / per_unit, digits)


def rounded_ends(ends: Interval, per_unit: float = 1.0) -> tuple[float | None, float | None]:
    """The same of both ends; an open one is None."""
    return rounded(ends[0], per_unit), rounded(ends[1], per_unit)


@dataclass(frozen=True)
class Estimate:
    """A figure of one strategy: NaN where it has no value, +inf where it lies beyond the time-out.

    `low` and `high` are the interval's ends, None where there is no interval; `high` may be +inf.
    """

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def ends(self) -> Interval | None:
        """Both ends of the interval; None where there is none."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    def scaled(self, ns_per_unit: float) -> Estimate:
        """The same in other units."""
        low, high = (None if end is None else end / ns_per_unit for end in (self.low, self.high))
        return Estimate(self.value / ns_per_unit, low, high)


def estimate(measures: Measures, function: str, resamples: Resamples | None) -> Estimate:
    """`function` of the claim grammar with its interval, which lies within what was observed; times in ns.

    The interval of a share also holds the exact one of as many independent requests: blocks that are all alike show
    nothing of how a share varies.
    """
    value = float(measures.evaluate(function, plain(measures.rounds))[0])
    if resamples is None or not measures.enough_for(function):
        return Estimate(value)
    logs = FUNCTIONS[function].dimension is Dimension.DURATION
    values, observed = measures.evaluate(function, resamples.counts), measures.range_of(function)
    ends = resamples.interval(values, value, logs=logs, within=observed)
    if ends is None or np.isinf(ends[0]):
        return Estimate(value)
    if logs and np.isinf(observed[1]) and ends[1] > measures.longest_answered_ns:
        ends = ends[0], np.inf  # no quantile lies between the longest answered request and those without an answer
    counted = measures.counted(function)
    if counted is not None:
        exact = share_interval(*counted)
        ends = min(ends[0], exact[0]), max(ends[1], exact[1])
    return Estimate(value, *ends)
