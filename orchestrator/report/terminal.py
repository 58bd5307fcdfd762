"""A run's summary as tables: our figures with the published ones below, the claims, and on what it was measured.

On a terminal with rules and colour, elsewhere as plain aligned text that survives a log file and a diff. Both fit 80
columns but for long claims.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.report import figures

_LATENCIES = ("p50", "p95", "p99", "max")
_STYLES = {"supported": "green", "refuted": "bold red", "inconclusive": "yellow"}
_PUBLISHED = "  published"
_MEASURED_ON = {"backend": "backend", "engine": "engine", "delay_line": "delay line"}
_CLOSED_NOTE = (
    "Closed arrivals: while a request is stuck no other is sent, so these latencies leave out the waiting of those "
    "that would have come (coordinated omission)."
)


@dataclass(frozen=True)
class _Section:
    """One table; the first `words` columns hold words, the others figures."""

    title: str
    header: tuple[str, ...]
    rows: list[list[str]]
    words: int = 1


def print_summary(summary: dict[str, Any], file: TextIO | None = None) -> None:
    """Print `summary` (the content of summary.json) to `file`, standard output by default."""
    file = sys.stdout if file is None else file
    if file.isatty():
        render(summary, Console(file=file))
    else:
        file.write(as_text(summary))


def render(summary: dict[str, Any], console: Console) -> None:
    """Print `summary` with rules and colours to a terminal."""
    for section in _sections(summary):
        table = Table(title=section.title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
        table.padding = (0, 1, 0, 0)
        for index, name in enumerate(section.header):
            folds = index == len(section.header) - 1 and index < section.words
            justify: Any = "left" if index < section.words else "right"
            table.add_column(name, justify=justify, no_wrap=not folds, overflow="fold")
        for row in section.rows:
            row_style = "dim" if row[0] == _PUBLISHED else ""
            table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row), style=row_style)
        console.print(table)
    for line in _notes(summary):
        console.print(line, highlight=False)


def as_text(summary: dict[str, Any]) -> str:
    """`summary` as plain text, columns aligned by spaces."""
    lines: list[str] = []
    for section in _sections(summary):
        lines += [section.title, *_aligned(section), ""]
    return "\n".join([*lines, *_notes(summary)]) + "\n"


def _sections(summary: dict[str, Any]) -> list[_Section]:
    strategies = summary["strategies"]
    names = tuple(name if name == "max" else name.upper() for name in _LATENCIES)
    latencies = [row for name, strategy in strategies.items() for row in _latencies(name, strategy)]
    sections = [
        _Section("Latency in ms", ("strategy", *names, "P99, 95 % interval"), latencies),
        _Section(
            "Hedges, and their lateness in µs",
            ("strategy", "hedges", "hedge rate", "extra load", "duplicates", "late P50", "late P99"),
            [_hedges(name, strategy) for name, strategy in strategies.items()],
        ),
    ]
    if summary["claims"]:
        header = ("claim", "verdict", "observed (95 % interval)", "expected")
        sections.append(_Section("Claims", header, [_claim(claim) for claim in summary["claims"]], words=len(header)))
    return sections


def _latencies(name: str, strategy: dict[str, Any]) -> list[list[str]]:
    """Our row, and below it the published one where there is one."""
    ours = [figures.latency(strategy, quantile) for quantile in _LATENCIES]
    rows = [[name, *ours, figures.interval(strategy["ci95_ms"]["p99"])]]
    published = strategy.get("published_ms")
    if published is not None:
        rows.append([_PUBLISHED, *(figures.number(published.get(quantile)) for quantile in _LATENCIES), ""])
    return rows


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


def _aligned(section: _Section) -> list[str]:
    table = [list(section.header), *section.rows]
    widths = [max(len(row[index]) for row in table) for index in range(len(section.header))]
    lines = []
    for row in table:
        cells = [
            cell.ljust(width) if index < section.words else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(["", *cells]).rstrip())
    return lines
