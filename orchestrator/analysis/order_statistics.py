"""Exact 95 % intervals of quantiles, from the ranks of the sample alone.

Of n independent values the number below the true q quantile is binomial, whatever the distribution, so two order
statistics enclose it with a known probability. Requests of a run are not independent (a pause hits hundreds), so this
interval is too narrow where blocks differ; beside the one by blocks it shows how far they do. Verdicts rest on that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import bdtr

from orchestrator.plan.sample_size import TAIL, samples_needed

if TYPE_CHECKING:
    from orchestrator.analysis.intervals import Interval
    from orchestrator.analysis.quantiles import Floats


def order_interval(ordered: Floats, quantile: float) -> Interval | None:
    """The interval of `quantile` from values in ascending order (+inf allowed); None for too few of them.

    Each end misses the true quantile with a probability of at most 2.5 %.
    """
    count = len(ordered)
    if count < samples_needed(quantile):
        return None
    # below[k]: the probability that at most k values lie below the quantile
    below = bdtr(np.arange(count), count, quantile)
    # P(x_(low) > quantile) = P(at most low - 1 values below it), P(x_(high) < quantile) = P(at least high below it)
    low = int(np.searchsorted(below, TAIL, side="right"))
    high = int(np.searchsorted(below, 1 - TAIL, side="left")) + 1
    return float(ordered[low - 1]), float(ordered[min(high, count) - 1])
