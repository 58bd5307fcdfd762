"""Tables for people: of a run's summary (our figures with the published ones below, the claims), and of others.

On a terminal with rules and colour, elsewhere as plain aligned text that survives a log file and a diff. Both fit 80
columns but for long claims and sweeps over two keys.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.report.notes import notes
from orchestrator.report.tables import PUBLISHED, Section, sections

if TYPE_CHECKING:
    from collections.abc import Sequence

_STYLES = {"supported": "green", "refuted": "bold red", "inconclusive": "yellow"}


def print_summary(summary: dict[str, Any], file: TextIO | None = None) -> None:
    """Print `summary` (the content of summary.json) to `file`, standard output by default."""
    print_tables(sections(summary), notes(summary), file)


def print_tables(tables: Sequence[Section], lines: Sequence[str] = (), file: TextIO | None = None) -> None:
    """Print `tables` and the `lines` below them to `file`, standard output by default."""
    file = sys.stdout if file is None else file
    if file.isatty():
        render_tables(tables, lines, Console(file=file))
    else:
        file.write(tables_as_text(tables, lines))


def render(summary: dict[str, Any], console: Console) -> None:
    """Print `summary` with rules and colours to a terminal."""
    render_tables(sections(summary), notes(summary), console)


def render_tables(tables: Sequence[Section], lines: Sequence[str], console: Console) -> None:
    """Print `tables` with rules and colours to a terminal, and the `lines` below them."""
    for section in tables:
        if section.rows:
            console.print(_table(section))
        else:
            console.print(Text(section.title, style="bold"))
    for line in lines:
        console.print(line, highlight=False, markup=False)


def as_text(summary: dict[str, Any]) -> str:
    """`summary` as plain text, columns aligned by spaces."""
    return tables_as_text(sections(summary), notes(summary))


def tables_as_text(tables: Sequence[Section], lines: Sequence[str]) -> str:
    """`tables` and the `lines` below them as plain text, columns aligned by spaces."""
    text: list[str] = []
    for section in tables:
        text += [*([section.title] if section.title else []), *(_aligned(section) if section.rows else []), ""]
    if not lines:
        text = text[:-1]  # the empty line parts tables from what follows
    return "".join(f"{line}\n" for line in [*text, *lines])


def _table(section: Section) -> Table:
    table = Table(title=section.title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.padding = (0, 1, 0, 0)
    for index, name in enumerate(section.header):
        folds = index == len(section.header) - 1 and index < section.words
        justify: Any = "left" if index < section.words else "right"
        table.add_column(name, justify=justify, no_wrap=not folds, overflow="fold")
    for row in section.rows:
        row_style = "dim" if row[0] == PUBLISHED else ""
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row), style=row_style)
    return table


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
