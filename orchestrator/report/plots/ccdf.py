"""Complementary distribution functions on two logarithmic axes, with bands: how a tail is drawn in every plot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.analysis.intervals import interval
from orchestrator.analysis.quantiles import Weights, plain
from orchestrator.plan.sample_size import TAIL
from orchestrator.report.plots.style import NS_PER_MS, log_ticks, percent_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from orchestrator.analysis.measures import Measures

_BAND_POINTS = 60


def add_ccdf(
    axes: Axes, measures: Measures, resamples: Weights | None, timeout_ms: float, style: tuple[str, Any], label: str
) -> None:
    """Draw the share of requests that took longer than x ms; no band where `resamples` is None (too few blocks)."""
    colour, dashes = style
    values, longer = _survival(measures.latency.merged / NS_PER_MS, timeout_ms)
    axes.step(values, longer, where="post", color=colour, linestyle=dashes, label=label, lw=1.8)
    if resamples is not None:
        _band(axes, measures, resamples, colour, timeout_ms)


def finish_ccdf(axes: Axes) -> None:
    """Scales and ticks, once every curve is drawn."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    log_ticks(axes.xaxis, *axes.get_xlim())
    percent_ticks(axes.yaxis)
    axes.grid(which="minor", axis="y", alpha=0.15, lw=0.5)


def _survival(ordered: NDArray[np.float64], timeout_ms: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The steps of the share of `ordered` values beyond x; unanswered requests (+inf) hold it up to the time-out."""
    longer = 1 - np.arange(1, len(ordered) + 1) / len(ordered)
    seen = np.isfinite(ordered) & (longer > 0)
    values, longer = ordered[seen], longer[seen]
    unanswered = np.isinf(ordered).mean()
    return (np.append(values, timeout_ms), np.append(longer, unanswered)) if unanswered else (values, longer)


def _band(axes: Axes, measures: Measures, weights: Weights, colour: str, timeout_ms: float) -> None:
    """Shade where the curve lies in 95 % of the resamples: the interval of each quantile, drawn sideways.

    The band ends where the sample is too small for a quantile's interval (`samples_needed`): of n values the largest
    falls short of the share s with the probability (1 - s)^n, and the curve's last steps are known to nobody.
    """
    rarest = float(1 - TAIL ** (1 / len(measures.latency)))
    if rarest >= 1 - rarest:
        return
    shares = np.geomspace(1 - rarest, rarest, _BAND_POINTS)
    once = plain(measures.rounds)
    ends = [
        interval(
            measures.latency.quantile(1 - share, weights) / NS_PER_MS,
            float(measures.latency.quantile(1 - share, once)[0]) / NS_PER_MS,
            measures.rounds,
            time=True,
        )
        for share in shares
    ]
    low, high = np.array([(np.nan, np.nan) if end is None else end for end in ends]).T
    high = np.where(np.isinf(high), timeout_ms, high)
    axes.fill_betweenx(shares, low, high, where=np.isfinite(low), color=colour, alpha=0.18, lw=0)
