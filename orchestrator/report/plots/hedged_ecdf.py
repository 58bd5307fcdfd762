"""hedged-ecdf: only the requests that a server stalled or that were hedged: what hedging does for those it is for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from orchestrator.analysis.measures import latencies_ns
from orchestrator.analysis.windows import hedged_or_held_back
from orchestrator.report.plots.ecdf import add_ecdf, finish_ecdf
from orchestrator.report.plots.style import NOTE, NS_PER_MS, canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from orchestrator.analysis.run_data import ArmData


def hedged_ecdf(arm: ArmData) -> Figure:
    """Zoomed in on the strategies that hedge; what lies beyond the scale is counted in the legend."""
    figure, axes = canvas("Stalled or hedged requests, zoomed in", "latency (ms)", "share answered within", arm.name)
    chosen = {
        strategy: latencies_ns(arm.samples[strategy])[hedged_or_held_back(arm, strategy)] / NS_PER_MS
        for strategy in arm.scenario.strategies
    }
    delay_ms = arm.scenario.hedging.delay_ns / NS_PER_MS
    hedgers = [values for strategy, values in chosen.items() if strategy != "baseline" and len(values)]
    shown = hedgers or [values for values in chosen.values() if len(values)]
    # 95 %: a few rescues that failed must not squeeze all the others into one line
    ends = [_order_statistic(values, 0.95) for values in shown]
    right = 1.15 * max([end for end in ends if np.isfinite(end)], default=10 * delay_ms)
    for strategy, values in chosen.items():
        add_ecdf(axes, strategy, values, right)
    # room for the words left of the line at the hedge delay
    left = min([delay_ms - 0.06 * (right - delay_ms), *(0.9 * values.min() for values in shown)])
    axes.set_xlim(left, right)
    axes.axvline(delay_ms, color="#777777", lw=0.9, ls=":")
    axes.annotate(
        f"hedge delay {delay_ms:g} ms", (delay_ms, 1), xytext=(-4, -4), textcoords="offset points", rotation=90,
        ha="right", va="top", fontsize=8, color=NOTE,
    )  # fmt: skip
    finish_ecdf(figure, axes)
    return figure


def _order_statistic(values: NDArray[np.float64], q: float) -> float:
    return float(np.sort(values)[math.ceil(q * len(values)) - 1])
