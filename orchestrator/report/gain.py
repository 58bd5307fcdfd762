"""What hedging gained and what that cost, in a sentence: no gain without its price on the first screen.

It is about the kernel's hedger, or in its absence about the one with the best P99, against the baseline.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hedgerow_node.strategies import strategy_named
from orchestrator.report.formatting import format_latency, format_number, format_percent, in_arm, minus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.runfolder.summary import ArmSummary, Comparison, Interval, StrategySummary, Summary

_BASELINE, _FIRST = "baseline", "kernel"
_MOST_LINES = 4  #: of more arms, and of swept values, only ranges are told
_US_PER_MS, _MOST_IN_US = 1000.0, 10.0  #: differences of 10 ms and more are written in ms


@dataclass(frozen=True)
class _Found:
    """The strategy that a sentence is about, and how far it is from the baseline in one arm."""

    arm: ArmSummary
    strategy: str
    p50: Comparison
    p99: Comparison


def gain_and_cost(summary: Summary) -> list[str]:
    """A sentence for each arm, or one of ranges for many; none where nothing that hedges is beside a baseline."""
    found = [one for arm in summary.arms if (one := _find(arm)) is not None]
    if not summary.matrix and len(found) <= _MOST_LINES:
        return [_sentence(one) for one in found]
    strategies = dict.fromkeys(one.strategy for one in found)
    return [_ranges([one for one in found if one.strategy == strategy]) for strategy in strategies]


def _find(arm: ArmSummary) -> _Found | None:
    rows = {(row.strategy, row.figure): row for row in arm.comparisons if row.reference == _BASELINE}
    compared = [name for name in arm.strategies if {(name, "p50"), (name, "p99")} <= rows.keys()]
    hedging = [name for name in compared if _BASELINE in arm.strategies and _hedges(name)]
    with_ratio = [name for name in hedging if rows[name, "p99"].ratio is not None]
    if _FIRST in hedging:
        strategy = _FIRST
    elif with_ratio:
        strategy = min(with_ratio, key=lambda name: rows[name, "p99"].ratio or 0.0)
    else:
        return None
    return _Found(arm, strategy, p50=rows[strategy, "p50"], p99=rows[strategy, "p99"])


def _hedges(strategy: str) -> bool:
    try:
        return strategy_named(strategy).hedges
    except KeyError:  # of another version
        return False


def _sentence(found: _Found) -> str:
    figures, baseline = found.arm.strategies[found.strategy], found.arm.strategies[_BASELINE]
    ratio = found.p99.ratio
    gain = f"P99 {_latency(baseline)} → {_latency(figures)}"
    if ratio is not None:
        gain += f" (ratio {ratio:.3g}{_ends(found.p99.ratio_ci95)})"
    words = [*_over_us(found.p50), f"hedges {format_percent(figures.hedge_rate)} of requests"]
    return in_arm(found.arm.name, f"{found.strategy} against {_BASELINE}: {gain}; cost: {', '.join(words)}.")


def _latency(figures: StrategySummary) -> str:
    return format_latency(figures, "p99") + ("" if "p99" in figures.censored else " ms")


def _ends(ends: Interval | None) -> str:
    return "" if ends is None or None in ends else f", {ends[0]:.3g} to {ends[1]:.3g}"


def _over_us(row: Comparison) -> Iterator[str]:
    """How much longer the median takes, with its interval."""
    if row.difference_ms is None:
        return
    ends = row.difference_ci95_ms
    low, high = (None, None) if ends is None else ends
    scale, unit, digits = _unit(row.difference_ms)
    interval = ""
    if low is not None and high is not None:
        interval = f" ({low * scale:.{digits}f} to {high * scale:.{digits}f})"
    yield minus(f"P50 {row.difference_ms * scale:+.{digits}f} {unit}{interval}")


def _unit(largest_ms: float) -> tuple[float, str, int]:
    """By what to multiply differences up to `largest_ms`, in which unit they are then, and with how many decimals."""
    return (_US_PER_MS, "µs", 0) if abs(largest_ms) < _MOST_IN_US else (1.0, "ms", 2)


def _ranges(found: Sequence[_Found]) -> str:
    ratios = [one.p99.ratio for one in found if one.p99.ratio is not None]
    over_ms = [one.p50.difference_ms for one in found if one.p50.difference_ms is not None]
    scale, unit, digits = _unit(max(map(abs, over_ms), default=0.0))
    over = [f"{ms * scale:+.{digits}f}" for ms in (min(over_ms), max(over_ms))] if over_ms else []
    rates = [one.arm.strategies[one.strategy].hedge_rate for one in found]
    known = [rate * 100 for rate in rates if rate is not None]
    words = [
        *([minus(f"P50 {' to '.join(over)} {unit}")] if over else []),
        *([f"hedges {format_number(min(known))} to {format_number(max(known))} % of requests"] if known else []),
    ]
    gain = f"P99 by the ratio {min(ratios):.3g} to {max(ratios):.3g}" if ratios else "P99 without a ratio"
    return f"{found[0].strategy} against {_BASELINE} in {len(found)} arms: {gain}; cost: {', '.join(words)}."
