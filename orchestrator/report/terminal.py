"""Tables on standard output: with rules and colours on a terminal, else as aligned text, fit for logs and diffs.

Both fit 80 columns, except for long claims and sweeps over two keys.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.report.formatting import WEAK_MEANS, Weak, printable
from orchestrator.report.view import Row, Section, View, view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.runfolder.summary import Summary

_WEAK = "~"  #: before a figure where there is no dim text
_STYLES = {"supported": "green", "refuted": "bold red", "inconclusive": "yellow"}


def print_summary(summary: Summary, file: TextIO | None = None) -> None:
    """Print `summary` to `file`, standard output by default."""
    print_view(view(summary), file)


def print_view(content: View, file: TextIO | None = None) -> None:
    """Print `content` to `file`, standard output by default."""
    file = sys.stdout if file is None else file
    if file.isatty():
        render(content, Console(file=file))
    else:
        file.write(as_text(content))


def render(content: View, console: Console) -> None:
    """Print `content` with rules and colours to a terminal."""
    for section in content.sections:
        if section.rows:
            console.print(_table(section))
        else:
            console.print(Text(printable(section.title), style="bold"))
    for line in _below(content, "dim"):
        console.print(printable(line), highlight=False, markup=False)


def as_text(content: View) -> str:
    """`content` as plain text, columns aligned by spaces."""
    text: list[str] = []
    for section in content.sections:
        text += [
            *([printable(section.title)] if section.title else []),
            *(_aligned(section) if section.rows else []),
            "",
        ]
    notes = _below(content, _WEAK)
    if not notes:
        text = text[:-1]  # the empty line separates tables from notes
    return "".join(f"{line}\n" for line in [*text, *map(printable, notes)])


def _below(content: View, mark: str) -> list[str]:
    """All lines below the tables: on a terminal that is what stays on the first screen."""
    return [*([f"{mark}: {WEAK_MEANS}"] if content.has_weak else []), *content.lead, *content.notes]


def _table(section: Section) -> Table:
    table = Table(
        title=printable(section.title) or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD
    )
    table.padding = (0, 1, 0, 0)
    for index, name in enumerate(section.header):
        folds = index == len(section.header) - 1 and index < section.left
        justify: Literal["left", "right"] = "left" if index < section.left else "right"
        table.add_column(name, justify=justify, no_wrap=not folds, overflow="fold")
    for row in section.rows:
        cells = (Text(cell, style=_style(cell)) for cell in _indented(row))
        table.add_row(*cells, style="dim" if row.kind == "published" else "")
    return table


def _style(cell: str) -> str:
    return "dim" if isinstance(cell, Weak) else _STYLES.get(cell, "")


def _aligned(section: Section) -> list[str]:
    table = [
        section.header,
        *([_WEAK * isinstance(cell, Weak) + cell for cell in _indented(row)] for row in section.rows),
    ]
    widths = [max(len(row[index]) for row in table) for index in range(len(section.header))]
    lines = []
    for row in table:
        cells = [
            cell.ljust(width) if index < section.left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(["", *cells]).rstrip())
    return lines


def _indented(row: Row) -> Sequence[str]:
    """The row's cells, published figures set off from ours above them."""
    cells = [cell if isinstance(cell, Weak) else printable(cell) for cell in row.cells]
    return [f"  {cells[0]}", *cells[1:]] if row.kind == "published" else cells
