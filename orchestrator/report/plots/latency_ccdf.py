"""latency-ccdf: share of requests slower than x, both axes logarithmic, with 95 % bands: the whole tail."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from orchestrator.analysis.bootstrap import interval
from orchestrator.analysis.measures import Measures
from orchestrator.analysis.quantiles import Weights
from orchestrator.analysis.run_data import ArmData
from orchestrator.report.plots.style import (
    NS_PER_MS,
    STYLES,
    canvas,
    legend,
    log_ticks,
    percent_ticks,
    say_nothing_there,
)

_BAND_POINTS = 60


def latency_ccdf(arm: ArmData, resamples: Weights | None) -> Figure:
    """The figure for one arm; `resamples` None where there are too few blocks for bands."""
    figure, axes = canvas("Latency of all requests", "latency (ms)", "share of requests that took longer", arm.name)
    timeout_ms = arm.scenario.workload.timeout_ns / NS_PER_MS
    drawn = {strategy: measures for strategy, measures in arm.measures.items() if len(measures.latency)}
    for strategy, measures in drawn.items():
        colour, dashes = STYLES[strategy]
        values, longer = _survival(measures.latency.merged / NS_PER_MS, timeout_ms)
        axes.step(values, longer, where="post", color=colour, linestyle=dashes, label=strategy, lw=1.8)
        if resamples is not None:
            _band(axes, measures, resamples, colour, timeout_ms)
    if not drawn:
        say_nothing_there(axes)
        return figure
    axes.set_xscale("log")
    axes.set_yscale("log")
    log_ticks(axes.xaxis, *axes.get_xlim())
    percent_ticks(axes.yaxis)
    axes.grid(which="minor", axis="y", alpha=0.15, lw=0.5)
    legend(figure, "no intervals: too few blocks" if resamples is None else "shaded: 95 % intervals")
    return figure


def _survival(ordered: NDArray[np.float64], timeout_ms: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The steps of the share of `ordered` values beyond x; unanswered requests (+inf) hold it up to the time-out."""
    longer = 1 - np.arange(1, len(ordered) + 1) / len(ordered)
    seen = np.isfinite(ordered) & (longer > 0)
    values, longer = ordered[seen], longer[seen]
    unanswered = np.isinf(ordered).mean()
    return (np.append(values, timeout_ms), np.append(longer, unanswered)) if unanswered else (values, longer)


def _band(axes: Axes, measures: Measures, weights: Weights, colour: str, timeout_ms: float) -> None:
    """Shade where the curve lies in 95 % of the resamples: the interval of each quantile, drawn sideways."""
    shares = np.geomspace(1, 1 / len(measures.latency), _BAND_POINTS)[1:-1]
    ends = [interval(measures.latency.quantile(1 - share, weights) / NS_PER_MS) for share in shares]
    low, high = np.array([(np.nan, np.nan) if end is None else end for end in ends]).T
    high = np.where(np.isinf(high), timeout_ms, high)
    axes.fill_betweenx(shares, low, high, where=np.isfinite(low), color=colour, alpha=0.18, lw=0)
