"""A figure with its 95 % interval, where the sample is large enough for one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from orchestrator.analysis.intervals import interval
from orchestrator.analysis.quantiles import Weights, plain
from orchestrator.claims.functions import FUNCTIONS, Dimension

if TYPE_CHECKING:
    from orchestrator.analysis.measures import Measures


@dataclass(frozen=True)
class Estimate:
    """A figure of one strategy: NaN where it has no value, +inf where it lies beyond the time-out.

    `low` and `high` are the interval's ends, None where there is no interval; `high` may be +inf.
    """

    value: float
    low: float | None = None
    high: float | None = None

    def scaled(self, ns_per_unit: float) -> Estimate:
        """The same in other units."""
        low, high = (None if end is None else end / ns_per_unit for end in (self.low, self.high))
        return Estimate(self.value / ns_per_unit, low, high)


def estimate(measures: Measures, function: str, resamples: Weights | None) -> Estimate:
    """`function` of the claim grammar with its interval; times in ns."""
    value = float(measures.evaluate(function, plain(measures.rounds))[0])
    if resamples is None or not measures.enough_for(function):
        return Estimate(value)
    time = FUNCTIONS[function].dimension is Dimension.DURATION
    ends = interval(measures.evaluate(function, resamples), value, measures.rounds, time=time)
    return Estimate(value) if ends is None or np.isinf(ends[0]) else Estimate(value, *ends)
