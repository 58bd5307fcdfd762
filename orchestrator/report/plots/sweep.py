"""P99 and P50 with 95 % intervals against the value of the swept key, one line per strategy.

With two swept keys there is a column for each value of the key that has fewer; the other key runs along the axis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from hedgerow_node.units import NS_PER_MS, parse_bit_rate, parse_duration_ns, parse_rate_per_s, parse_ratio
from orchestrator.analysis.statistics import Estimate, estimate
from orchestrator.report.plots.style import (
    BEYOND,
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
    simplify,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from orchestrator.analysis.run_data import ArmData, RunData
    from orchestrator.analysis.statistics import Resamples

_FUNCTIONS, _HEIGHTS = ("p99", "p50"), (3, 2)
_HEIGHT, _COLUMN = 6.2, 2.7  # inches
#: How far apart, in hundredths of the axis, the strategies' intervals at one value stand.
_DODGE = 1.0
_DECADE = 10.0
_MARGIN = 0.08  #: of the range of values, left free at either end
_CHARACTER_INCHES = 0.085  #: about the width of a digit at the ticks' size, with some air


@dataclass(frozen=True)
class Series:
    """The arms along the axis, in the order of `values`, and what the other key is in all of them ("" if none)."""

    title: str
    values: tuple[object, ...]
    arms: tuple[ArmData, ...]


def series_of(run: RunData) -> tuple[str, tuple[Series, ...]]:
    """The key that runs along the axis, and a series for each value of the other one."""
    values = {key: _in_order([run.experiment.arm(arm.name).set[key] for arm in run.arms]) for key in run.matrix}
    along = max(run.matrix, key=lambda key: len(values[key]))  # the first of equals
    other = next((key for key in run.matrix if key != along), None)
    series = []
    for outer in values[other] if other else (None,):
        found = {
            str(settings[along]): arm
            for arm in run.arms
            for settings in [run.experiment.arm(arm.name).set]
            if other is None or settings[other] == outer
        }
        ordered = _as_on_axis(values[along])
        title = "" if other is None else f"{short(other)} = {outer}"
        series.append(Series(title, ordered, tuple(found[str(value)] for value in ordered)))
    return along, tuple(series)


def short(key: str) -> str:
    """The last component of a dotted key."""
    return key.rpartition(".")[2]


def _in_order(values: Sequence[object]) -> list[object]:
    """`values` without repetitions; they need not be hashable."""
    return [value for index, value in enumerate(values) if value not in values[:index]]


def _as_on_axis(values: Sequence[object]) -> tuple[object, ...]:
    """`values` from left to right."""
    labels = sweep_axis(values).labels
    return tuple(sorted(values, key=lambda value: labels.index(str(value))))


def sweep(run: RunData) -> Figure:
    """The figure of a run over a matrix."""
    key, columns = series_of(run)
    width = max(WIDTH, _COLUMN * len(columns))
    figure = new_figure(width, _HEIGHT)
    grid = figure.subplots(
        len(_FUNCTIONS), len(columns), sharex=True, sharey="row", squeeze=False, height_ratios=_HEIGHTS
    )
    axis = sweep_axis(columns[0].values)
    for row, function in zip(grid, _FUNCTIONS, strict=True):
        visible: list[float] = []
        for axes, series in zip(row, columns, strict=True):
            simplify(axes)
            visible += _draw(axes, axis, series, function, run.resamples)
            axis.apply_to(axes, width / len(columns) - 1.0)
        fit_y(row[0], visible)
        row[0].set_ylabel(f"{function.upper()} (ms)")
    for top, bottom, series in zip(grid[0], grid[-1], columns, strict=True):
        top.set_title(series.title, fontsize=10, color=NOTE)
        bottom.set_xlabel(key if len(columns) == 1 else short(key))
    figure.align_ylabels(list(grid[:, 0]))
    title = f"P99 and P50 latency over {short(key)}: {counted_from(run.arms)}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    unanswered = any(np.isinf(m.latency.merged).any() for arm in run.arms for m in arm.measures.values())
    note = "no intervals: too few blocks" if run.resamples is None else "bars: 95 % intervals"
    if not all(measures.enough_for("p99") for arm in run.arms for measures in arm.measures.values()):
        note += f"; {TOO_FEW}"
    handles, labels = handles_of(list(grid.ravel()))
    legend(figure, note + ("; arrows: beyond the time-out" if unanswered else ""), handles=handles, labels=labels)
    return figure


def _draw(axes: Axes, axis: SweepAxis, series: Series, function: str, resamples: Resamples | None) -> list[float]:
    """Draw `function` of every strategy; the values and ends of intervals that must be seen."""
    strategies = [name for name in STYLES if any(name in arm.measures for arm in series.arms)]
    visible: list[float] = []
    for number, strategy in enumerate(strategies):
        colour, dashes = STYLES[strategy]
        dodge = _DODGE * (number - (len(strategies) - 1) / 2)
        line: list[tuple[float, float]] = []  # broken by NaN where there is no number
        drawn = False
        weak: list[tuple[float, float]] = []
        for place, arm in zip(axis.places, series.arms, strict=True):
            if strategy not in arm.measures:
                continue
            timeout_ms = arm.scenario.workload.timeout_ns / NS_PER_MS
            found = estimate(arm.measures[strategy], function, resamples)
            at = axis.dodged(place, dodge)
            visible += _interval(axes, at, found, timeout_ms, colour)
            beyond = np.isinf(found.value)
            drawn |= not np.isnan(found.value)
            line.append((at, np.nan if beyond else found.value / NS_PER_MS))
            if beyond:
                axes.plot([at], [timeout_ms], marker=BEYOND, ms=9, color=colour, ls="none")
                visible.append(timeout_ms)
            elif not np.isnan(found.value):
                visible.append(found.value / NS_PER_MS)
                if not arm.measures[strategy].enough_for(function):
                    weak.append((at, found.value / NS_PER_MS))
        if drawn:  # also where every value is an arrow: the legend names whose they are
            places, heights = zip(*line, strict=True)
            axes.plot(places, heights, color=colour, ls=dashes, lw=1.6, marker=MARKS[strategy], ms=5, label=strategy)
        for at, height in weak:
            axes.plot([at], [height], color=faint(colour), marker=MARKS[strategy], ms=5, ls="none", zorder=2.5)
    return visible


def _interval(axes: Axes, at: float, found: Estimate, timeout_ms: float, colour: str) -> list[float]:
    """Draw the bar of `found`; where it ends."""
    if found.low is None or found.high is None:
        return []
    low, high = found.low / NS_PER_MS, min(found.high / NS_PER_MS, timeout_ms)
    axes.plot([at, at], [low, high], color=colour, lw=1.2, marker="_", ms=6, solid_capstyle="butt")
    return [low, high]


@dataclass(frozen=True)
class SweepAxis:
    """The places of values as written in the scenario, in ascending order of place."""

    labels: tuple[str, ...]
    places: tuple[float, ...]
    logarithmic: bool

    def dodged(self, place: float, steps: float) -> float:
        """`place`, moved sideways by `steps` hundredths of the axis, so that intervals do not cover each other."""
        if len(self.places) == 1:
            return place + steps * 0.01
        share = steps * 0.01
        if self.logarithmic:
            return float(place * (max(self.places) / min(self.places)) ** share)
        return place + share * (max(self.places) - min(self.places))

    def apply_to(self, axes: Axes, width_inches: float) -> None:
        """Scale, limits and ticks: each value as it was written, but for those that would touch their neighbours."""
        low, high = min(self.places), max(self.places)
        if self.logarithmic:
            axes.set_xscale("log")
            margin = (high / low) ** _MARGIN
            axes.set_xlim(low / margin, high * margin)
        else:
            margin = _MARGIN * (high - low) or 0.5
            axes.set_xlim(low - margin, high + margin)
        kept = self._that_fit(width_inches / (1 + 2 * _MARGIN))
        axes.xaxis.set_major_locator(FixedLocator([self.places[index] for index in kept]))
        written = [self.labels[index].replace("$", r"\$") for index in kept]  # a value is no formula
        axes.xaxis.set_major_formatter(FixedFormatter(written))
        axes.xaxis.set_minor_locator(NullLocator())

    def _that_fit(self, width_inches: float) -> list[int]:
        """Which labels can be written without overlap, beginning with the last: a sweep is about its far end."""
        measure: Callable[[float], float] = math.log if self.logarithmic else float
        low, high = measure(min(self.places)), measure(max(self.places))
        at = [(measure(place) - low) / ((high - low) or 1) * width_inches for place in self.places]
        kept: list[int] = []
        for index in reversed(range(len(self.places))):
            halves = (len(self.labels[index]) + len(self.labels[kept[-1]])) / 2 if kept else 0
            if not kept or at[kept[-1]] - at[index] >= halves * _CHARACTER_INCHES:
                kept.append(index)
        return sorted(kept)


def sweep_axis(values: Sequence[object]) -> SweepAxis:
    """The axis of `values`: durations, rates, percentages and numbers by size, all else in the order given."""
    labels = [str(value) for value in values]
    sizes = _sizes(values)
    if sizes is None:
        return SweepAxis(tuple(labels), tuple(float(index) for index in range(len(values))), logarithmic=False)
    ordered = sorted(zip(sizes, labels, strict=True))
    low, high = ordered[0][0], ordered[-1][0]
    return SweepAxis(
        tuple(label for _, label in ordered), tuple(size for size, _ in ordered), low > 0 and high / low > _DECADE
    )


def _sizes(values: Sequence[object]) -> list[float] | None:
    """`values` as numbers of one unit; None where they are something else, or where two of them are equal."""
    sizes = [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(sizes) < len(values):
        sizes = _quantities([value for value in values if isinstance(value, str)])
    return sizes if len(set(sizes)) == len(values) else None


def _quantities(texts: Sequence[str]) -> list[float]:
    """`texts` as numbers of the unit that they share; empty where they share none."""
    parsers: tuple[Callable[[str], float], ...] = (parse_duration_ns, parse_rate_per_s, parse_ratio, parse_bit_rate)
    for parse in parsers:
        try:
            return [float(parse(text)) for text in texts]
        except ValueError:
            continue
    return []
