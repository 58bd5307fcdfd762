"""A run's summary as tables: the published figures beside ours, then the claims, then on what it was measured.

On a terminal with colour and rules, elsewhere as plain aligned text that survives a log file and a diff.
"""

from __future__ import annotations

import sys
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.report import figures

Rows = list[list[str]]

_COLOURS = {"supported": "green", "refuted": "red", "inconclusive": "yellow"}
_LATENCIES = ("p50", "p95", "p99", "max")
_CLOSED_NOTE = (
    "Closed arrivals: while a request is stuck no other is sent, so these latencies leave out the waiting of those "
    "that would have come (coordinated omission)."
)


def print_summary(summary: dict[str, Any], file: TextIO | None = None) -> None:
    """Print `summary` (the content of summary.json) to `file`, standard output by default."""
    file = sys.stdout if file is None else file
    if file.isatty():
        render(summary, Console(file=file))
    else:
        file.write(as_text(summary))


def render(summary: dict[str, Any], console: Console) -> None:
    """Print `summary` with rules and colours to a terminal."""
    for title, header, rows in _tables(summary):
        table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
        for index, name in enumerate(header):
            words = title == _CLAIMS or not index
            table.add_column(name, justify="left" if words else "right", no_wrap=not words, overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in row))
        console.print(table)
    for line in _notes(summary):
        console.print(line, highlight=False)


def as_text(summary: dict[str, Any]) -> str:
    """`summary` as plain text, columns aligned by spaces."""
    lines: list[str] = []
    for title, header, rows in _tables(summary):
        lines += [title, *_aligned(header, rows, left=len(header) if title == _CLAIMS else 1), ""]
    return "\n".join([*lines, *_notes(summary)]) + "\n"


_LATENCY = "Latency in ms: published / measured"
_HEDGES = "Hedges"
_CLAIMS = "Claims"


def _tables(summary: dict[str, Any]) -> list[tuple[str, list[str], Rows]]:
    strategies = summary["strategies"]
    tables: list[tuple[str, list[str], Rows]] = [
        (
            _LATENCY if any("published_ms" in strategy for strategy in strategies.values()) else "Latency in ms",
            ["strategy", *(name.upper() if name != "max" else name for name in _LATENCIES), "P99 95 % interval"],
            [_latencies(name, strategy) for name, strategy in strategies.items()],
        ),
        (
            _HEDGES,
            ["strategy", "hedges", "hedge rate", "extra load", "duplicates delivered", "lateness P50 µs", "P99 µs"],
            [_hedges(name, strategy) for name, strategy in strategies.items()],
        ),
    ]
    if summary["claims"]:
        header = ["claim", "verdict", "observed (95 % interval)", "expected"]
        tables.append((_CLAIMS, header, [_claim(claim) for claim in summary["claims"]]))
    return tables


def _latencies(name: str, strategy: dict[str, Any]) -> list[str]:
    published = strategy.get("published_ms")
    cells = []
    for quantile in _LATENCIES:
        ours = figures.latency(strategy, quantile)
        cells.append(ours if published is None else f"{figures.number(published.get(quantile))} / {ours}")
    return [name, *cells, figures.interval(strategy["ci95_ms"]["p99"])]


def _hedges(name: str, strategy: dict[str, Any]) -> list[str]:
    lateness = strategy["lateness_us"]
    return [
        name,
        str(strategy["hedges"]),
        figures.percent(strategy["hedge_rate"]),
        figures.percent(strategy["extra_load"]),
        str(strategy["duplicates_delivered"]),
        figures.micros(lateness["p50"]),
        figures.micros(lateness["p99"]),
    ]


def _claim(claim: dict[str, Any]) -> list[str]:
    return [claim["id"], claim["verdict"], figures.observed(claim), claim["expect"]]


def _notes(summary: dict[str, Any]) -> list[str]:
    notes = [f"{claim['id']}: {claim['reason']}" for claim in summary["claims"] if "reason" in claim]
    for name, strategy in summary["strategies"].items():
        unanswered = strategy["requests"] - strategy["answered"]
        if unanswered:
            notes.append(f"{name}: {unanswered} of {strategy['requests']} requests were not answered in time")
    on = ", ".join(f"{word} {summary[key] or 'unknown'}" for key, word in _MEASURED_ON.items())
    notes.append(f"{summary['run']}: {on}; {summary['blocks']} blocks of each strategy")
    if summary["arrivals"] == "closed":
        notes.append(_CLOSED_NOTE)
    if summary["verdict"]:
        notes.append(f"Verdict: {summary['verdict']}")
    return notes


_MEASURED_ON = {"backend": "backend", "engine": "engine", "delay_line": "delay line"}


def _aligned(header: list[str], rows: Rows, left: int) -> list[str]:
    """`rows` under `header`, the first `left` columns flush left, the others flush right."""
    widths = [max(len(row[index]) for row in [header, *rows]) for index in range(len(header))]
    lines = []
    for row in [header, *rows]:
        cells = [
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(["", *cells]).rstrip())
    return lines
