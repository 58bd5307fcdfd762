"""Figures of rounds: quantiles that know of lost requests, medians, ratios with intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hedgerow_node.percentiles import nearest_rank
from hedgerow_node.units import NS_PER_MS
from orchestrator.analysis.statistics import Rounds, plain, resample

if TYPE_CHECKING:
    from collections.abc import Sequence

_PERCENTS = {"p50": 50, "p90": 90, "p99": 99, "max": 100}
_DIGITS = 4

#: A value and the ends of its 95 % interval, None with too few rounds.
Estimated = tuple[float, float | None, float | None]


def quantiles_ms(answered_ns: Sequence[int], unanswered: int) -> dict[str, float | None]:
    """P50, P90, P99 and maximum in ms; None where that falls among the unanswered, which count as infinite."""
    ordered = [*sorted(answered_ns), *[math.inf] * unanswered]
    if not ordered:
        return dict.fromkeys(_PERCENTS)
    found = {name: nearest_rank(ordered, percent) for name, percent in _PERCENTS.items()}
    return {name: _rounded(value / NS_PER_MS if math.isfinite(value) else None) for name, value in found.items()}


def median(values: Sequence[float]) -> float:
    """The median as everywhere here: one of the values, the lower of the middle two."""
    return float(nearest_rank(sorted(values), 50))


def ratio(values: Sequence[float], references: Sequence[float]) -> Estimated:
    """The median over rounds of value / reference, both of the same round, and its interval.

    A resample holds the same rounds of both, so that what disturbed a round disturbs both sides.
    """
    quotients = np.array(values, float) / np.array(references, float)
    number = len(quotients)
    rounds = Rounds(quotients, np.arange(number), number)
    value = float(rounds.quantile(0.5, plain(number))[0])
    resamples = resample(number)
    ends = None if resamples is None else resamples.interval(rounds.quantile(0.5, resamples.counts), value, logs=True)
    low, high = ends or (None, None)
    return round(value, _DIGITS), _rounded(low), _rounded(high)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
