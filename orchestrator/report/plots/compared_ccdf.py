"""compared-ccdf: the tails of two runs over each other, a panel a strategy on common axes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D

from orchestrator.report.plots.ccdf import add_ccdf, finish_ccdf
from orchestrator.report.plots.style import (
    HEIGHT,
    NOTE,
    NS_PER_MS,
    WIDTH,
    legend,
    new_figure,
    say_nothing_there,
    titled,
    undress,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from orchestrator.analysis.run_data import ArmData, RunData

#: Two of Okabe and Ito's colours, told apart by the colour-blind, and by their dashes in print without colour.
_STYLES: tuple[tuple[str, Any], ...] = (("#0072B2", "solid"), ("#D55E00", (0, (5, 1.5))))
_COLUMNS, _PANEL, _REST = 2, 2.9, 1.4  #: inches for a row of panels, and for title and legend


def compared_ccdf(
    runs: Sequence[RunData], arms: Sequence[ArmData], strategies: Sequence[str], names: Sequence[str]
) -> Figure:
    """The figure for one arm that both `runs` have, under `names` that tell them apart."""
    columns = min(_COLUMNS, len(strategies))
    rows = math.ceil(len(strategies) / columns)
    figure = new_figure(WIDTH, HEIGHT if rows == 1 else _REST + _PANEL * rows)
    grid: list[Axes] = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel())
    drawn = [_panel(axes, strategy, runs, arms, names) for axes, strategy in zip(grid, strategies, strict=False)]
    for number, axes in enumerate(grid):
        axes.set_visible(number < len(strategies))
        if number % columns == 0:
            axes.set_ylabel("share that took longer")
        if number + columns >= len(strategies):
            axes.set_xlabel("latency (ms)")
            axes.tick_params(labelbottom=True)  # also where the row below ends before this column
    if any(drawn):
        for axes in grid:
            finish_ccdf(axes)
    figure.suptitle(titled("Latency of all requests", arms[0].name), x=0.01, ha="left", fontsize=12)
    handles = [Line2D([], [], color=colour, linestyle=dashes, lw=1.8) for colour, dashes in _STYLES]
    legend(figure, _bands(runs), columns=1, handles=handles, labels=list(names))
    return figure


def _panel(axes: Axes, strategy: str, runs: Sequence[RunData], arms: Sequence[ArmData], names: Sequence[str]) -> bool:
    """Draw one strategy of both runs; whether there was anything to draw."""
    undress(axes)
    axes.set_title(strategy, loc="left", fontsize=10, color=NOTE)
    drawn = False
    for run, arm, style, name in zip(runs, arms, _STYLES, names, strict=True):
        measures = arm.measures[strategy]
        if len(measures.latency):
            timeout_ms = arm.scenario.workload.timeout_ns / NS_PER_MS
            add_ccdf(axes, measures, run.resamples, timeout_ms, style, name)
            drawn = True
    if not drawn:
        say_nothing_there(axes)
    return drawn


def _bands(runs: Sequence[RunData]) -> str:
    """What is shaded; a run with too few blocks has no intervals."""
    if all(run.resamples is None for run in runs):
        return "no intervals: too few blocks"
    some = any(run.resamples is None for run in runs)
    whose = " of the run that has blocks enough" if some else ""
    return f"shaded: 95 % intervals{whose}, as far as the sample bounds them"
