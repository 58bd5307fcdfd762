"""Distributions of one arm: of its latencies, of those that were in trouble, and of the hedges' lateness.

Tails are drawn as complementary distribution functions (CCDF, the share that took longer) on two logarithmic axes,
with bands; what happens to a few requests as distribution functions (ECDF, the share that took at most as long).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from hedgerow_node.percentiles import nearest_rank
from hedgerow_node.strategies import strategy_named
from hedgerow_node.units import NS_PER_MS, NS_PER_US
from orchestrator.analysis.faults import hedged_or_held_back
from orchestrator.analysis.measures import latencies_ns
from orchestrator.analysis.statistics import monotone, plain
from orchestrator.plan.sample_size import TAIL
from orchestrator.report.plots.style import (
    FAINT,
    HEIGHT,
    NOTE,
    WIDTH,
    Curve,
    Style,
    canvas,
    counted_from,
    curve,
    legend,
    log_ticks,
    new_figure,
    note_no_data,
    percent_ticks,
    signed_log,
    simplify,
    titled,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from orchestrator.analysis.measures import Measures
    from orchestrator.analysis.run_data import ArmData, RunData
    from orchestrator.analysis.statistics import Resamples

_BAND_POINTS = 60
_ENTRY, _CHARACTER = 0.75, 0.08  #: inches for a legend's entry, and for each of its characters
#: The two runs of a comparison: colours of Okabe and Ito's, distinct to the colour-blind, and dashes for print.
_RUN_STYLES: tuple[Style, ...] = (("#0072B2", "solid"), ("#D55E00", (0, (5, 1.5))))
_COLUMNS, _PANEL, _REST = 2, 2.9, 1.4  #: inches for a row of panels, and for title and legend


def latency_ccdf(arm: ArmData, resamples: Resamples | None) -> Figure:
    """How many requests took longer than x: the whole tail. `resamples` is None for too few blocks: no bands."""
    x_label = f"latency (ms), {counted_from([arm])}"
    figure, axes = canvas("Latency of all requests", x_label, "share of requests that took longer", arm.name)
    timeout_ms = arm.scenario.workload.timeout_ns / NS_PER_MS
    drawn = {strategy: measures for strategy, measures in arm.measures.items() if len(measures.latency)}
    for strategy, measures in drawn.items():
        _add_ccdf(axes, measures, resamples, timeout_ms, curve(strategy), strategy)
    if not drawn:
        note_no_data(axes)
        return figure
    _finish_ccdf(axes)
    legend(
        figure,
        "no intervals: too few blocks"
        if resamples is None
        else "shaded: 95 % intervals, as far as the sample bounds them; faint: beyond that",
    )
    return figure


def hedged_ecdf(arm: ArmData) -> Figure:
    """Only the requests that a server held back or that were hedged, zoomed in on the strategies that hedge.

    What lies beyond the scale is counted in the legend.
    """
    x_label = f"latency (ms), {counted_from([arm])}"
    figure, axes = canvas("Stalled or hedged requests, zoomed in", x_label, "share answered within", arm.name)
    chosen = {
        strategy: latencies_ns(arm.samples[strategy])[hedged_or_held_back(arm, strategy)] / NS_PER_MS
        for strategy in arm.scenario.strategies
    }
    delay_ms = arm.scenario.hedging.delay_ns / NS_PER_MS
    hedgers = [values for strategy, values in chosen.items() if strategy_named(strategy).hedges and len(values)]
    visible = hedgers or [values for values in chosen.values() if len(values)]
    # 95 %: a few rescues that failed must not squeeze all the others into one line
    ends = [nearest_rank(sorted(values.tolist()), 95) for values in visible]
    right = 1.15 * max([end for end in ends if np.isfinite(end)], default=10 * delay_ms)
    for strategy, values in chosen.items():
        _add_ecdf(axes, strategy, values, right)
    # room for the words left of the line at the hedge delay
    left = min([delay_ms - 0.06 * (right - delay_ms), *(0.9 * values.min() for values in visible)])
    axes.set_xlim(left, right)
    axes.axvline(delay_ms, color="#777777", lw=0.9, ls=":")
    axes.annotate(
        f"hedge delay {delay_ms:g} ms", (delay_ms, 1), xytext=(-4, -4), textcoords="offset points", rotation=90,
        ha="right", va="top", fontsize=8, color=NOTE,
    )  # fmt: skip
    _finish_ecdf(figure, axes)
    return figure


def lateness_ecdf(arm: ArmData) -> Figure:
    """How late the hedges left: the jitter of each hedger, seen by one kernel tap.

    One curve for each strategy that hedged; the axis is logarithmic, to both sides where some hedges left early.
    """
    title, x_label = (
        "Lateness of the hedges",
        "departure \N{MINUS SIGN} deadline, which counts from the request's departure (µs)",
    )
    figure, axes = canvas(title, x_label, "share of hedges at most this late", arm.name)
    latenesses = {name: measures.lateness.merged for name, measures in arm.measures.items() if len(measures.lateness)}
    for strategy, values_ns in latenesses.items():
        early = int((values_ns <= 0).sum())
        _add_ecdf(axes, strategy, values_ns / NS_PER_US, note=f", {early} early" if early else "")
    if latenesses:
        low = min(values.min() for values in latenesses.values()) / NS_PER_US
        high = max(values.max() for values in latenesses.values()) / NS_PER_US
        if low > 0:
            axes.set_xscale("log")
            log_ticks(axes.xaxis, *axes.get_xlim())
        else:
            signed_log(axes, low, high)
    _finish_ecdf(figure, axes)
    return figure


def compared_ccdf(
    runs: Sequence[RunData], arms: Sequence[ArmData], strategies: Sequence[str], names: Sequence[str]
) -> Figure:
    """The tails of one arm in two runs over each other, a panel a strategy on common axes.

    `arms` is that arm in either run, `names` what the legend calls the runs.
    """
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
            axes.set_xlabel(f"latency (ms), {counted_from(arms)}", fontsize=9 if columns > 1 else 10)
            axes.tick_params(labelbottom=True)  # also where the row below ends before this column
    if any(drawn):
        for axes in grid:
            _finish_ccdf(axes)
    figure.suptitle(titled("Latency of all requests", arms[0].name), x=0.01, ha="left", fontsize=12)
    handles = [Line2D([], [], color=colour, linestyle=dashes, lw=1.8) for colour, dashes in _RUN_STYLES]
    legend(figure, _bands(runs), columns=1, handles=handles, labels=list(names))
    return figure


def _panel(axes: Axes, strategy: str, runs: Sequence[RunData], arms: Sequence[ArmData], names: Sequence[str]) -> bool:
    """Draw one strategy of both runs; whether there was anything to draw."""
    simplify(axes)
    axes.set_title(strategy, loc="left", fontsize=10, color=NOTE)
    drawn = False
    for run, arm, (colour, dashes), name in zip(runs, arms, _RUN_STYLES, names, strict=True):
        measures = arm.measures[strategy]
        if len(measures.latency):
            timeout_ms = arm.scenario.workload.timeout_ns / NS_PER_MS
            line = Curve(color=colour, linestyle=dashes, lw=1.8, zorder=2)
            _add_ccdf(axes, measures, run.resamples, timeout_ms, line, name)
            drawn = True
    if not drawn:
        note_no_data(axes)
    return drawn


def _bands(runs: Sequence[RunData]) -> str:
    """What is shaded; a run with too few blocks has no intervals."""
    if all(run.resamples is None for run in runs):
        return "no intervals: too few blocks"
    some = any(run.resamples is None for run in runs)
    whose = " of the run that has enough blocks" if some else ""
    return f"shaded: 95 % intervals{whose}, as far as the sample bounds them; faint: beyond that"


def _add_ccdf(
    axes: Axes, measures: Measures, resamples: Resamples | None, timeout_ms: float, line: Curve, label: str
) -> None:
    """Draw the share of requests that took longer than x ms; no band where `resamples` is None (too few blocks).

    Where the sample does not bound the share, beyond the band, the curve is faint: what was seen, and no more.
    """
    values, longer = _survival(measures.latency.merged / NS_PER_MS, timeout_ms)
    bounded = int((longer >= _rarest(measures)).sum())
    if bounded:  # up to where the curve falls to a share that is not bounded
        ends = values[: bounded + 1], np.append(longer[:bounded], longer[bounded - 1])[: len(values)]
        axes.step(*ends, where="post", label=label, **line)
        label = ""
    beyond = max(0, bounded - 1)
    axes.step(values[beyond:], longer[beyond:], where="post", label=label, alpha=FAINT, **line)
    if resamples is not None:
        _band(axes, measures, resamples, line["color"], timeout_ms)


def _finish_ccdf(axes: Axes) -> None:
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
    unanswered = np.isinf(ordered).mean()
    # nothing took longer than the longest, and no logarithmic axis shows that: there the curve ends
    end = timeout_ms if unanswered else ordered[-1]
    last = unanswered or 1 / len(ordered)
    return np.append(ordered[seen], end), np.append(longer[seen], last)


def _rarest(measures: Measures) -> float:
    """The rarest share that a sample of this size bounds."""
    return float(1 - TAIL ** (1 / len(measures.latency)))


def _band(axes: Axes, measures: Measures, resamples: Resamples, colour: str, timeout_ms: float) -> None:
    """Shade where the curve lies in 95 % of the resamples: the interval of each quantile, drawn sideways.

    The band ends where the sample is too small for a quantile's interval (`samples_needed`): of n values the largest
    falls short of the share s with the probability (1 - s)^n, and the curve's last steps are unknown.
    """
    rarest = _rarest(measures)
    if rarest >= 1 - rarest:
        return
    shares = np.geomspace(1 - rarest, rarest, _BAND_POINTS)
    once = plain(measures.rounds)
    latency = measures.latency
    observed = float(latency.merged[0]) / NS_PER_MS, float(latency.merged[-1]) / NS_PER_MS
    ends = monotone(
        [
            resamples.interval(
                latency.quantile(1 - share, resamples.counts) / NS_PER_MS,
                float(latency.quantile(1 - share, once)[0]) / NS_PER_MS,
                logs=True,
                within=observed,
            )
            for share in shares
        ]
    )
    low, high = np.array([(np.nan, np.nan) if end is None else end for end in ends]).T
    high = np.where(np.isinf(high), timeout_ms, high)
    axes.fill_betweenx(shares, low, high, where=np.isfinite(low), color=colour, alpha=0.18, lw=0)


def _add_ecdf(axes: Axes, strategy: str, values: NDArray[np.float64], right: float = np.inf, note: str = "") -> None:
    """Draw the share of `values` up to x; those above `right` are left out and counted; `note` is for the legend."""
    if not len(values):
        return
    ordered = np.sort(values)
    shares = np.arange(len(values) + 1) / len(values)
    beyond = int((ordered > right).sum())
    label = f"{strategy}, n = {len(values)}" + (f", {beyond} beyond the scale" if beyond else "") + note
    seen = int(np.isfinite(ordered).sum())
    # the curve rises from zero at its first value
    steps = np.concatenate([ordered[:1], ordered[:seen]])[: seen + 1]
    axes.step(steps, shares[: len(steps)], where="post", label=label, **curve(strategy))


def _finish_ecdf(figure: Figure, axes: Axes) -> None:
    """Scale and legend, or words where nothing was drawn."""
    axes.set_ylim(0, 1.02)
    percent_ticks(axes.yaxis)
    if axes.get_lines() and axes.get_legend_handles_labels()[0]:
        inches = sum(_ENTRY + _CHARACTER * len(label) for label in axes.get_legend_handles_labels()[1])
        legend(figure, columns=5 if inches < WIDTH else 2)
    else:
        note_no_data(axes)
