"""A run's summary as tables: our figures with the published ones below, the claims, and on what it was measured.

On a terminal with rules and colour, elsewhere as plain aligned text that survives a log file and a diff. Both fit 80
columns but for long claims and sweeps over two keys.
"""

from __future__ import annotations

import sys
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.report.notes import notes
from orchestrator.report.tables import PUBLISHED, Section, sections

_STYLES = {"supported": "green", "refuted": "bold red", "inconclusive": "yellow"}


def print_summary(summary: dict[str, Any], file: TextIO | None = None) -> None:
    """Print `summary` (the content of summary.json) to `file`, standard output by default."""
    file = sys.stdout if file is None else file
    if file.isatty():
        render(summary, Console(file=file))
    else:
        file.write(as_text(summary))


def render(summary: dict[str, Any], console: Console) -> None:
    """Print `summary` with rules and colours to a terminal."""
    for section in sections(summary):
        table = Table(title=section.title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
        table.padding = (0, 1, 0, 0)
        for index, name in enumerate(section.header):
            folds = index == len(section.header) - 1 and index < section.words
            justify: Any = "left" if index < section.words else "right"
            table.add_column(name, justify=justify, no_wrap=not folds, overflow="fold")
        for row in section.rows:
            row_style = "dim" if row[0] == PUBLISHED else ""
            table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row), style=row_style)
        console.print(table)
    for line in notes(summary):
        console.print(line, highlight=False)


def as_text(summary: dict[str, Any]) -> str:
    """`summary` as plain text, columns aligned by spaces."""
    lines: list[str] = []
    for section in sections(summary):
        lines += [section.title, *_aligned(section), ""]
    return "\n".join([*lines, *notes(summary)]) + "\n"


def _aligned(section: Section) -> list[str]:
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
