"""Quantiles, maxima and means of values that come in rounds, for any weighting of the rounds.

A bootstrap resample of whole rounds is a weight per round (how often it was drawn). All resamples of a figure are
computed at once by bisecting over the values, counting in each round's sorted values: the cost hardly grows with the
sample, where sorting 2,000 resamples would take minutes for a long run.

A quantile is the order statistic x_(ceil(q n)): a value that occurred, never an interpolation between a fast and a
stalled request. Requests without an answer count as +inf, so a quantile that falls among them is +inf, not a number
that the time-out happened to be.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Weights = NDArray[np.int64]  #: shape (resamples, rounds): how often each resample holds each round

#: Absorbs the error of q · n in floating point: 0.07 · 100 is a little more than 7.
_RANK_SLACK = 1e-9


def plain(rounds: int) -> Weights:
    """The weighting of the sample itself: one "resample" that holds every round once."""
    return np.ones((1, rounds), np.int64)


class Rounds:
    """Values of one figure (latencies, latenesses), kept by round."""

    def __init__(self, values: Floats, round_index: NDArray[np.int64], rounds: int) -> None:
        """`values` may hold +inf; `round_index` says for each which of the `rounds` rounds (from 0) it belongs to."""
        self.groups = [np.sort(values[round_index == index]) for index in range(rounds)]
        self.merged = np.sort(values)
        self._sizes = np.array([len(group) for group in self.groups], np.int64)
        self._kept: dict[float, tuple[Weights, Floats]] = {}

    def __len__(self) -> int:
        return len(self.merged)

    def quantile(self, q: float, weights: Weights) -> Floats:
        """The `q` quantile of each resample, NaN for resamples without values."""
        if not len(self):
            return np.full(len(weights), np.nan)
        totals = weights @ self._sizes
        ranks = np.ceil(q * totals - _RANK_SLACK)
        low = np.zeros(len(weights), np.int64)
        high = np.full(len(weights), len(self) - 1, np.int64)
        while (low < high).any():
            middle = (low + high) // 2
            enough = self._count_up_to(self.merged[middle], weights) >= ranks
            high = np.where(enough, middle, high)
            low = np.where(enough, low, middle + 1)
        return np.where(totals > 0, self.merged[low], np.nan)

    def kept_quantile(self, q: float, weights: Weights) -> Floats:
        """The same, kept for when it is asked for again with the same `weights`; not to be written to.

        One claim asks ten times, and claims, comparisons and figures all ask for the same few quantiles.
        """
        known = self._kept.get(q)
        if known is None or known[0] is not weights:
            known = (weights, self.quantile(q, weights))
            if len(weights) > 1:  # the whole sample is quickly asked again, and must not push the resamples out
                self._kept[q] = known
        return known[1]

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

    def _count_up_to(self, bounds: Floats, weights: Weights) -> NDArray[np.int64]:
        """How many values of each resample are at most its bound."""
        counts = np.zeros(len(bounds), np.int64)
        for index, group in enumerate(self.groups):
            counts += weights[:, index] * np.searchsorted(group, bounds, side="right")
        return counts
