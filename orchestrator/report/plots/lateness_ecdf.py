"""lateness-ecdf: how late the hedges left: the jitter of each hedger, seen by one kernel tap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.report.plots.ecdf import add_ecdf, finish_ecdf
from orchestrator.report.plots.style import NS_PER_US, canvas, log_ticks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from orchestrator.analysis.run_data import ArmData


def lateness_ecdf(arm: ArmData) -> Figure:
    """One curve for each strategy that hedged; logarithmic unless some hedges left early."""
    title, x_label = "Lateness of the hedges", "departure - deadline (µs)"
    figure, axes = canvas(title, x_label, "share of hedges at most this late", arm.name)
    latenesses = {name: measures.lateness.merged for name, measures in arm.measures.items() if len(measures.lateness)}
    for strategy, values_ns in latenesses.items():
        add_ecdf(axes, strategy, values_ns / NS_PER_US)
    if latenesses and min(values.min() for values in latenesses.values()) > 0:
        axes.set_xscale("log")
        log_ticks(axes.xaxis, *axes.get_xlim())
    finish_ecdf(figure, axes)
    return figure
