"""The latency of each request against its intended time within the block, with fault windows shaded.

Faults come at the same offsets in every block, so all blocks of a strategy are laid over each other: the effects
of a fault line up, while those of the host are scattered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Patch

from hedgerow_node.units import NS_PER_MS, NS_PER_S
from orchestrator.analysis.faults import Window, block_starts, in_block_ns, windows
from orchestrator.analysis.measures import latencies_ns
from orchestrator.report.plots.style import (
    STYLES,
    WIDTH,
    counted_from,
    legend,
    log_ticks,
    new_figure,
    note_no_data,
    simplify,
    titled,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from orchestrator.analysis.run_data import ArmData

#: Light tints unlike the colours of the strategies: one per declared fault, from the first again where they run out.
_TINTS = ("#D9D9D9", "#F7E3A1", "#F2CFE0", "#CDE7D8", "#D6DBF5")
_PANEL, _REST = 1.45, 1.35  # inches: a panel, and title, axis and legend together
#: Up to this many points are fully opaque, more are fainter.
_CROWD = 1500
#: Up to this many points are drawn larger.
_SPARSE = 300


def latency_over_time(arm: ArmData) -> Figure:
    """One panel a strategy, on common axes; requests without an answer are crosses along the top."""
    strategies: tuple[str, ...] = arm.scenario.strategies
    figure = new_figure(WIDTH, _REST + _PANEL * len(strategies))
    panels: list[Axes] = list(figure.subplots(len(strategies), 1, sharex=True, sharey=True, squeeze=False).ravel())
    shaded = {strategy: windows(arm, strategy) for strategy in strategies}
    tints = _tints(shaded)
    lanes = _lanes(shaded, list(tints))
    low_ms, high_ms = _range_ms(arm)
    for axes, strategy in zip(panels, strategies, strict=True):
        simplify(axes)
        axes.set_yscale("log")
        axes.set_ylim(low_ms / 1.3, high_ms * 2)
        for window in shaded[strategy]:
            if window.fault in tints and not window.throughout:
                _shade(axes, window, tints[window.fault], lanes.get(window.fault, (0.0, 1.0)))
        _points(axes, arm, strategy)
        log_ticks(axes.yaxis, low_ms, high_ms)
    longest_s = max((float(in_block_ns(arm, name).max(initial=0)) for name in strategies), default=0.0) / NS_PER_S
    panels[-1].set_xlim(0, longest_s * 1.01 or 1.0)
    time = "intended time of the request" if arm.scenario.is_open else "time of sending"
    panels[-1].set_xlabel(f"{time}, from the block's first (s)")
    figure.supylabel(f"latency (ms), {counted_from([arm])}", fontsize=10)
    figure.suptitle(titled("Latency over time", arm.name), x=0.01, ha="left", fontsize=12)
    _explain(figure, arm, shaded, tints)
    return figure


def _range_ms(arm: ArmData) -> tuple[float, float]:
    """The shortest and the longest latency of the arm; the time-out where something has no answer."""
    latencies = [measures.latency.merged / NS_PER_MS for measures in arm.measures.values()]
    seen = np.concatenate([values[np.isfinite(values)] for values in latencies])
    timeout_ms = arm.scenario.workload.timeout_ns / NS_PER_MS
    if any(np.isinf(values).any() for values in latencies):
        seen = np.append(seen, timeout_ms)
    return (float(seen.min()), float(seen.max())) if len(seen) else (1.0, timeout_ms)


def _points(axes: Axes, arm: ArmData, strategy: str) -> None:
    colour, _ = STYLES[strategy]
    due_s = in_block_ns(arm, strategy) / NS_PER_S
    latency_ms = latencies_ns(arm.samples[strategy]) / NS_PER_MS
    answered = np.isfinite(latency_ms)
    alpha = float(np.clip((_CROWD / max(1, len(due_s))) ** 0.5, 0.15, 0.9))
    # thousands of marks would be megabytes of SVG: the marks alone become a picture within it
    size = 5 if len(due_s) > _SPARSE else 12
    axes.scatter(due_s[answered], latency_ms[answered], s=size, color=colour, alpha=alpha, lw=0, rasterized=True,
                 zorder=3)  # fmt: skip
    lost = due_s[~answered]
    if len(lost):
        axes.plot(lost, np.full(len(lost), 0.97), "x", color=colour, ms=4, mew=0.9, zorder=4,
                  transform=axes.get_xaxis_transform(), clip_on=False)  # fmt: skip
    words = f", {len(lost)} of {len(due_s)} without an answer (crosses)" if len(lost) else ""
    axes.set_title(f"{strategy}{words}", loc="left", fontsize=9, color=colour, pad=5)
    if not len(due_s):
        note_no_data(axes)


def _shade(axes: Axes, window: Window, tint: str, lane: tuple[float, float]) -> None:
    start_s, end_s = window.start_ns / NS_PER_S, window.end_ns / NS_PER_S
    # the line keeps a window visible that is narrower than a pixel
    axes.axvspan(start_s, end_s, *lane, facecolor=tint, edgecolor=tint, lw=0.8, zorder=0)


def _tints(shaded: Mapping[str, Sequence[Window]]) -> dict[int, str]:
    """A tint for each of the scenario's faults that comes and goes."""
    faults = sorted({window.fault for found in shaded.values() for window in found if not window.throughout})
    return {fault: _TINTS[number % len(_TINTS)] for number, fault in enumerate(faults)}


def _lanes(shaded: Mapping[str, Sequence[Window]], faults: list[int]) -> dict[int, tuple[float, float]]:
    """From where to where of a panel's height each of `faults` is shaded: a strip each where some coincide."""
    coming_and_going = [[window for window in found if window.fault in faults] for found in shaded.values()]
    if not any(_coincide(found) for found in coming_and_going):
        return {}
    height = 1 / len(faults)
    return {fault: (1 - (number + 1) * height, 1 - number * height) for number, fault in enumerate(faults)}


def _coincide(found: Sequence[Window]) -> bool:
    """Whether windows of two faults overlap; `found` is in order of their beginnings."""
    reached_ns: dict[int, int] = {}
    for window in found:
        if any(end_ns > window.start_ns for fault, end_ns in reached_ns.items() if fault != window.fault):
            return True
        reached_ns[window.fault] = max(window.end_ns, reached_ns.get(window.fault, 0))
    return False


def _explain(figure: Figure, arm: ArmData, shaded: Mapping[str, Sequence[Window]], tints: Mapping[int, str]) -> None:
    """Below the panels: which tint is which fault, and what was on all the time."""
    names = {
        fault: f"{arm.scenario.faults[fault].fault} {arm.scenario.faults[fault].target}" for fault in _faults(shaded)
    }
    handles = [Patch(facecolor=tint, label=names[fault]) for fault, tint in tints.items()]
    blocks = max((len(block_starts(arm, strategy)) for strategy in arm.scenario.strategies), default=0)
    notes = [
        f"{blocks} blocks of each strategy, laid over each other" if blocks > 1 else "one block of each strategy"
    ]
    always = [name for fault, name in names.items() if fault not in tints]
    if always:
        notes.append(f"throughout: {', '.join(always)}")
    legend(figure, "; ".join(notes), columns=4, handles=handles)


def _faults(shaded: Mapping[str, Sequence[Window]]) -> list[int]:
    return sorted({window.fault for found in shaded.values() for window in found})
