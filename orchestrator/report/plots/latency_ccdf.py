"""latency-ccdf: share of requests slower than x, both axes logarithmic, with 95 % bands: the whole tail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.report.plots.ccdf import add_ccdf, finish_ccdf
from orchestrator.report.plots.style import NS_PER_MS, STYLES, canvas, legend, say_nothing_there

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from orchestrator.analysis.quantiles import Weights
    from orchestrator.analysis.run_data import ArmData


def latency_ccdf(arm: ArmData, resamples: Weights | None) -> Figure:
    """The figure for one arm; `resamples` None where there are too few blocks for bands."""
    figure, axes = canvas("Latency of all requests", "latency (ms)", "share of requests that took longer", arm.name)
    timeout_ms = arm.scenario.workload.timeout_ns / NS_PER_MS
    drawn = {strategy: measures for strategy, measures in arm.measures.items() if len(measures.latency)}
    for strategy, measures in drawn.items():
        add_ccdf(axes, measures, resamples, timeout_ms, STYLES[strategy], strategy)
    if not drawn:
        say_nothing_there(axes)
        return figure
    finish_ccdf(axes)
    legend(
        figure,
        "no intervals: too few blocks"
        if resamples is None
        else "shaded: 95 % intervals, as far as the sample bounds them",
    )
    return figure
