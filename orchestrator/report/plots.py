"""The plots that a reader of tails expects, as PNG for the README and SVG for everything else.

- latency-ccdf: share of requests slower than x, both axes logarithmic, with 95 % bands: the tail and how sure we are.
- hedged-ecdf: only the requests that the server stalled or that were hedged: what hedging does for those it is for.
- lateness-ecdf: how late the hedges left: the jitter of each hedger, seen by one kernel tap.

matplotlib takes a second to import: commands that draw nothing do not import this module.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from hedgerow_node.records import FIRST_WARMUP_ID, Action
from orchestrator.analysis.bootstrap import interval, resample
from orchestrator.analysis.measures import Measures, latencies_ns
from orchestrator.analysis.quantiles import Weights
from orchestrator.analysis.summary import read_measures
from orchestrator.collect.folder import RunFolder
from orchestrator.collect.tables import Columns, read_hedges, read_samples, read_server
from orchestrator.scenario.load import load_scenario
from orchestrator.scenario.models import Scenario

#: Okabe and Ito's palette, told apart by the colour-blind, with a dash pattern each for print without colour.
STYLES: dict[str, tuple[str, Any]] = {
    "baseline": ("#000000", "solid"),
    "app-seed": ("#D55E00", (0, (5, 1.5))),
    "app-deadline": ("#E69F00", (0, (3, 1, 1, 1))),
    "kernel": ("#0072B2", "solid"),
    "kernel-clone": ("#009E73", (0, (1, 1))),
}
_WIDTH, _HEIGHT = 8.0, 4.6  # inches; at 110 dpi as wide as a README shows pictures
_DPI = 110
_BAND_POINTS = 60
_NS_PER_MS, _NS_PER_US = 1e6, 1e3


def draw(folder: RunFolder) -> None:
    """Draw the plots of a run into its plots/ folder, each as .png and .svg; RunError where tables are missing."""
    scenario = load_scenario(folder.scenario)
    samples, hedges, server = read_samples(folder), read_hedges(folder), read_server(folder)
    folder.plots.mkdir(exist_ok=True)
    _save(folder, "latency-ccdf", _latency_ccdf(scenario, read_measures(folder, scenario)))
    chosen: dict[str, NDArray[np.float64]] = {
        strategy: latencies_ns(samples[strategy])[_concerned(samples[strategy], hedges, server, strategy)]
        for strategy in scenario.strategies
    }
    _save(folder, "hedged-ecdf", _hedged_ecdf(scenario, chosen))
    latenesses: dict[str, NDArray[np.int64]] = {
        strategy: rows["departure_ns"] - rows["deadline_ns"]
        for strategy in scenario.strategies
        if strategy in hedges
        for rows in [_measured(hedges[strategy])]
    }
    _save(folder, "lateness-ecdf", _lateness_ecdf(latenesses))
    folder.give_to_owner()


def _measured(rows: Columns) -> Columns:
    kept = rows["request_id"] < FIRST_WARMUP_ID
    return {name: values[kept] for name, values in rows.items()}


def _concerned(
    samples: Columns, hedges: dict[str, Columns], server: dict[str, Columns], strategy: str
) -> NDArray[np.bool_]:
    """Which samples are of requests that the server stalled or that somebody hedged."""
    concerned = np.zeros(len(samples["request_id"]), bool)
    if strategy in hedges:
        concerned |= np.isin(samples["request_id"], hedges[strategy]["request_id"])
    if strategy in server:
        rows = server[strategy]
        concerned |= np.isin(samples["request_id"], rows["request_id"][rows["action"] == Action.STALLED])
    return concerned


def _latency_ccdf(scenario: Scenario, measures: dict[str, Measures]) -> Figure:
    figure, axes = _canvas("Latency of all requests", "latency (ms)", "share of requests that took longer")
    weights = resample(next(iter(measures.values())).rounds, scenario.design.seed)
    timeout_ms = scenario.workload.timeout_ns / _NS_PER_MS
    for strategy in scenario.strategies:
        colour, dashes = STYLES[strategy]
        values, longer = _survival(measures[strategy].latency.merged / _NS_PER_MS, timeout_ms)
        axes.step(values, longer, where="post", color=colour, linestyle=dashes, label=strategy, lw=1.8)
        if weights is not None:
            _band(axes, measures[strategy], weights, colour, timeout_ms)
    axes.set_xscale("log")
    axes.set_yscale("log")
    _plain_log_ticks(axes)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:g} %"))
    axes.grid(which="minor", axis="y", alpha=0.15, lw=0.5)
    _legend(figure, "no intervals: too few blocks" if weights is None else "shaded: 95 % intervals")
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
    ends = [interval(measures.latency.quantile(1 - share, weights) / _NS_PER_MS) for share in shares]
    low, high = np.array([(np.nan, np.nan) if end is None else end for end in ends]).T
    high = np.where(np.isinf(high), timeout_ms, high)
    axes.fill_betweenx(shares, low, high, where=np.isfinite(low), color=colour, alpha=0.18, lw=0)


def _hedged_ecdf(scenario: Scenario, chosen: Mapping[str, NDArray[np.float64]]) -> Figure:
    """Zoomed in on the strategies that hedge; what lies beyond the scale is counted in the legend."""
    figure, axes = _canvas("Stalled or hedged requests, zoomed in", "latency (ms)", "share answered within")
    delay_ms = scenario.hedging.delay_ns / _NS_PER_MS
    hedgers = [values for strategy, values in chosen.items() if strategy != "baseline" and len(values)]
    shown = hedgers or [values for values in chosen.values() if len(values)]
    # 95 %: a few rescues that failed must not squeeze all the others into one line
    ends = [_order_statistic(values, 0.95) for values in shown]
    right = 1.15 * max([end for end in ends if np.isfinite(end)], default=10 * scenario.hedging.delay_ns) / _NS_PER_MS
    for strategy, values_ns in chosen.items():
        _ecdf(axes, strategy, values_ns / _NS_PER_MS, right)
    left = 0.9 * min([delay_ms, *(values.min() / _NS_PER_MS for values in shown)])
    axes.set_xlim(left, right)
    axes.axvline(delay_ms, color="#777777", lw=0.9, ls=":")
    axes.annotate(
        f"hedge delay {delay_ms:g} ms", (delay_ms, 1), xytext=(-4, -4), textcoords="offset points", rotation=90,
        ha="right", va="top", fontsize=8, color="#555555",
    )  # fmt: skip
    _finish_ecdf(figure, axes)
    return figure


def _lateness_ecdf(latenesses: Mapping[str, NDArray[np.int64]]) -> Figure:
    figure, axes = _canvas("Lateness of the hedges", "departure - deadline (µs)", "share of hedges at most this late")
    for strategy, values_ns in latenesses.items():
        _ecdf(axes, strategy, values_ns / _NS_PER_US)
    if latenesses and min(values.min() for values in latenesses.values()) > 0:
        axes.set_xscale("log")
        _plain_log_ticks(axes)
    _finish_ecdf(figure, axes)
    return figure


def _order_statistic(values: NDArray[np.float64], q: float) -> float:
    return float(np.sort(values)[math.ceil(q * len(values)) - 1])


def _ecdf(axes: Axes, strategy: str, values: NDArray[Any], right: float = np.inf) -> None:
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


def _finish_ecdf(figure: Figure, axes: Axes) -> None:
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:g} %"))
    if axes.get_lines() and axes.get_legend_handles_labels()[0]:
        _legend(figure)
    else:
        axes.text(0.5, 0.5, "none in this run", transform=axes.transAxes, ha="center", color="#555555")


def _legend(figure: Figure, title: str | None = None) -> None:
    """A legend below the axes, where it hides no curve."""
    figure.legend(loc="outside lower center", ncols=2 if title is None else 5, frameon=False, title=title)


def _canvas(title: str, x_label: str, y_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=12)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(which="major", alpha=0.3, lw=0.6)
    return figure, axes


def _plain_log_ticks(axes: Axes) -> None:
    """Ticks at 1, 2 and 5 of each decade, written out: 2 5 10 20, where matplotlib would write powers of ten."""
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0), numticks=20))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _save(folder: RunFolder, name: str, figure: Figure) -> None:
    figure.savefig(folder.plots / f"{name}.png", dpi=_DPI)
    figure.set_layout_engine("none")  # the first drawing has laid it out
    # without date and random ids, the same run gives the same file
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(folder.plots / f"{name}.svg", metadata={"Date": None})
