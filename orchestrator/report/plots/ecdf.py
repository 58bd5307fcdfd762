"""Empirical distribution functions: one curve a strategy, how many values it has in the legend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.report.plots.style import STYLES, legend, percent_ticks, say_nothing_there

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray


def add_ecdf(axes: Axes, strategy: str, values: NDArray[Any], right: float = np.inf) -> None:
    """Draw the share of `values` up to x; those above `right` are left out and counted."""
    if not len(values):
        return
    colour, dashes = STYLES[strategy]
    ordered = np.sort(values)
    shares = np.arange(len(values) + 1) / len(values)
    beyond = int((ordered > right).sum())
    label = f"{strategy}, n = {len(values)}" + (f", {beyond} beyond the scale" if beyond else "")
    seen = int(np.isfinite(ordered).sum())
    # the curve rises from zero at its first value
    steps = np.concatenate([ordered[:1], ordered[:seen]])[: seen + 1]
    axes.step(steps, shares[: len(steps)], where="post", color=colour, linestyle=dashes, label=label, lw=1.8)


def finish_ecdf(figure: Figure, axes: Axes) -> None:
    """Scale and legend, or words where nothing was drawn."""
    axes.set_ylim(0, 1.02)
    percent_ticks(axes.yaxis)
    if axes.get_lines() and axes.get_legend_handles_labels()[0]:
        legend(figure)
    else:
        say_nothing_there(axes)
