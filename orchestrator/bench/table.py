"""The results of the parts as lines for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.bench.dns import Throughput
from orchestrator.bench.hooks import HookCosts
from orchestrator.bench.lateness import Lateness
from orchestrator.bench.stalls import Stalls

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from orchestrator.bench.figures import Estimated
    from orchestrator.bench.hedgers import Armed
    from orchestrator.bench.rows import Row

_TITLES = {
    "hooks": "Nanoseconds in the programs (kernel statistics, their own cost included; `empty` shows it)",
    "dns": "DNS queries answered a second (nsd under dnsperf), and the ratio to bare with its 95 % interval",
    "lateness": "Lateness of hedges in µs, beside that of pinned SCHED_FIFO wake-ups at the same time",
    "stalls": "DNS at a fixed rate, one of two replicas stopped 300 ms each second; latency in ms",
}


def lines(results: dict[str, Sequence[Row]], left_out: dict[str, str]) -> Iterator[str]:
    """A title and a table for each part, then what was left out."""
    for part, rows in results.items():
        yield _TITLES[part]
        yield from _aligned(_row(row) for row in rows)
    for name, reason in left_out.items():
        yield f"left out: {name}: {reason}"


def _row(row: Row) -> list[str]:
    match row:
        case HookCosts():
            runs = ", ".join(
                f"{name} {ns:.0f}" + (f" x {row.runs_a_request[name]:.3f}" if name in row.runs_a_request else "")
                for name, ns in row.ns_a_run.items()
            )
            return [
                row.engine,
                f"{row.ns_a_request:.0f} a request",
                f"net {row.net_ns_a_request:.0f}",
                f"{row.per_second:,.0f}/s",
                runs,
                _armed(row.armed),
            ]
        case Throughput():
            ratio = "" if row.to_bare is None else _estimate(row.to_bare)
            return [
                row.condition,
                f"{row.per_second:,.0f}/s",
                ratio,
                f"lost {row.lost} of {row.sent}",
                _armed(row.armed),
            ]
        case Lateness():
            mine = f"P50 {_number(row.hedges_p50_us)} P99 {_number(row.hedges_p99_us)}"
            limit = f"wake-ups P50 {_number(row.wakeups_p50_us)} P99 {_number(row.wakeups_p99_us)}"
            return [row.engine, mine, limit, f"P99 ratio {_number(row.p99_to_wakeups)}"]
        case Stalls():
            times = f"P50 {_number(row.p50_ms)} P99 {_number(row.p99_ms)}"
            odd = f"unanswered {row.unanswered}, twice {row.twice}, from elsewhere {row.elsewhere}"
            return [row.condition, times, odd, f"sent late P99 {_number(row.sent_late_p99_ms)}"]


def _aligned(rows: Iterable[list[str]]) -> Iterator[str]:
    cells = list(rows)
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    for row in cells:
        yield ("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()


def _estimate(figure: Estimated) -> str:
    value, low, high = figure
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} ({low:.3f} to {high:.3f})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _armed(armed: Armed | None) -> str:
    if armed is None:
        return ""
    reasons = ", ".join(f"{name} {count}" for name, count in armed.not_armed.items())
    return f"not armed {armed.requests - armed.armed} of {armed.requests}" + (f" ({reasons})" if reasons else "")
