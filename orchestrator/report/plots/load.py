"""What a shorter tail costs: P99 against extra load, the copies that servers received beyond one per request.

Each strategy is a point with 95 % intervals both ways; over a matrix, a path through the swept values that begins at
the hollow mark. Each arm has its own panel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hedgerow_node.units import NS_PER_MS
from orchestrator.analysis.statistics import Estimate, estimate
from orchestrator.report.plots.style import (
    BEYOND,
    HEIGHT,
    MARKS,
    NOTE,
    STYLES,
    TOO_FEW,
    WIDTH,
    counted_from,
    faint,
    fit_y,
    handles_of,
    legend,
    new_figure,
    note_no_data,
    percent_ticks,
    simplify,
)
from orchestrator.report.plots.sweep import series_of, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from orchestrator.analysis.run_data import ArmData, RunData
    from orchestrator.analysis.statistics import Resamples

_COLUMNS = 3
_MARK, _RING = 6.0, 7.0  #: points across a mark, and how much more across each one around it
_TOUCHING = 12.0  #: marks that are not as many pixels apart touch
_PANEL = 3.1  # inches
_LEAST_LOAD = 0.005  #: an axis shows at least this much extra load, so that noise is not blown up


@dataclass(frozen=True)
class _Mark:
    """A mark, and where in the data it is."""

    axes: Axes
    x: float
    y: float
    line: Line2D


@dataclass
class _Extent:
    """What the axes must include: extra loads, and latencies in ms; and the marks, none of which may hide another."""

    loads: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    marks: list[_Mark] = field(default_factory=list)


def extra_load(run: RunData) -> Figure:
    """The figure of a whole run; the panels of a matrix have common axes."""
    notes = []
    if run.matrix:
        key, series = series_of(run)
        panels = [(one.title, one.arms) for one in series]
        notes.append(f"{short(key)} from {series[0].values[0]} (hollow) to {series[0].values[-1]}")
    else:
        panels = [(arm.name or "", (arm,)) for arm in run.arms]
    columns = min(_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = new_figure(WIDTH if columns < _COLUMNS else 1.2 * WIDTH, HEIGHT if rows == 1 else 1.2 + _PANEL * rows)
    together = bool(run.matrix)
    grid: list[Axes] = list(figure.subplots(rows, columns, sharex=together, sharey=together, squeeze=False).ravel())
    everywhere = _Extent()
    for number, (axes, (title, arms)) in enumerate(zip(grid, panels, strict=False)):
        simplify(axes)
        axes.set_title(title, fontsize=10, color=NOTE)
        extent = everywhere if together else _Extent()
        _draw(axes, arms, run.resamples, extent)
        if not together or number == len(panels) - 1:
            _fit(axes, extent)
            _uncover(extent.marks)
        if number + columns >= len(panels):
            axes.set_xlabel("extra load")
            axes.tick_params(labelbottom=True)
        if number % columns == 0:
            axes.set_ylabel("P99 latency (ms)")
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    figure.suptitle(
        "Extra load (copies received by servers / requests \N{MINUS SIGN} 1) against P99",
        x=0.01,
        ha="left",
        fontsize=12,
    )
    notes.append(f"latency: {counted_from(run.arms)}")
    notes.append("no intervals: too few blocks" if run.resamples is None else "bars: 95 % intervals")
    if not all(measures.enough_for("p99") for arm in run.arms for measures in arm.measures.values()):
        notes.append(TOO_FEW)
    handles, labels = handles_of(grid)
    legend(figure, "; ".join(notes), handles=handles, labels=labels)
    return figure


def _uncover(marks: Sequence[_Mark]) -> None:
    """Make marks that lie on each other rings around each other, the first one innermost."""
    drawn: list[tuple[Axes, float, float]] = []
    for mark in marks:
        x, y = mark.axes.transData.transform(np.array([mark.x, mark.y]))
        below = sum(axes is mark.axes and math.hypot(x - at, y - up) < _TOUCHING for axes, at, up in drawn)
        if below:
            mark.line.set(markersize=_MARK + _RING * below, markerfacecolor="none", markeredgewidth=1.6)
        drawn.append((mark.axes, float(x), float(y)))


def _fit(axes: Axes, extent: _Extent) -> None:
    fit_y(axes, extent.latencies)
    low, high = min([0.0, *extent.loads]), max([_LEAST_LOAD, *extent.loads])
    margin = 0.06 * (high - low)
    axes.set_xlim(low - margin, high + margin)
    axes.locator_params(axis="x", nbins=6)
    percent_ticks(axes.xaxis)


def _draw(axes: Axes, arms: Sequence[ArmData], resamples: Resamples | None, extent: _Extent) -> None:
    """Draw a point or a path for each strategy, and extend `extent` by it."""
    strategies = [name for name in STYLES if any(name in arm.measures for arm in arms)]
    drawn = 0
    for strategy in strategies:
        colour, dashes = STYLES[strategy]
        path: list[tuple[float, float]] = []
        points = 0
        for number, arm in enumerate(arms):
            if strategy not in arm.measures:
                continue
            load = estimate(arm.measures[strategy], "extra_load", resamples)
            p99_ms = estimate(arm.measures[strategy], "p99", resamples).scaled(NS_PER_MS)
            timeout_ms = arm.scenario.workload.timeout_ns / NS_PER_MS
            if math.isnan(load.value) or math.isnan(p99_ms.value):
                path.append((math.nan, math.nan))  # the path is broken there
                continue
            x, y = load.value, min(p99_ms.value, timeout_ms)
            across, along = _ends(load, math.inf), _ends(p99_ms, timeout_ms)
            if across:
                axes.plot(across, [y, y], color=colour, lw=1.1, marker="|", ms=5, zorder=3)
            if along:
                axes.plot([x, x], along, color=colour, lw=1.1, marker="_", ms=5, zorder=3)
            mark, size = (BEYOND, 9.0) if math.isinf(p99_ms.value) else (MARKS[strategy], _MARK)
            hollow = number == 0 and len(arms) > 1
            edge = colour if arm.measures[strategy].enough_for("p99") else faint(colour)
            face = "white" if hollow else edge
            (line,) = axes.plot([x], [y], marker=mark, color=colour, ms=size, mec=edge, mfc=face, zorder=4)
            if len(arms) == 1 and mark != BEYOND:
                extent.marks.append(_Mark(axes, x, y, line))
            extent.loads += [x, *across]
            extent.latencies += [y, *along]
            path.append((x, y))
            points += 1
        if len(path) > 1:
            axes.plot(*zip(*path, strict=True), color=colour, ls=dashes, lw=1.2, alpha=0.7, zorder=2)
        if points:
            joined = dashes if len(path) > 1 else "none"
            axes.plot([], [], marker=MARKS[strategy], color=colour, ls=joined, label=strategy)
        drawn += points
    if not drawn:
        note_no_data(axes)


def _ends(found: Estimate, limit: float) -> list[float]:
    return [] if found.low is None or found.high is None else [found.low, min(found.high, limit)]
