"""A run's summary as Markdown, for the page that GitHub shows of a job: verdict, claims, latencies.

The text of a scenario may hold anything: it is escaped, so that a cell stays a cell and text stays text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.report.formatting import WEAK_MEANS, Weak
from orchestrator.report.view import Row, Section, overview

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.errors import HedgerowError
    from orchestrator.runfolder.summary import Summary

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~#!$&])")
_MARKS = {"supported": "✅", "refuted": "❌", "inconclusive": "❔"}


def as_markdown(summary: Summary) -> str:
    """The verdict, a table of all claims and one of all latencies; where there are arms, their names come first."""
    content = overview(summary)
    lines = [f"## {escaped(summary.scenario)}: {_verdict(summary.verdict or 'no claims')}", ""]
    if content.lead:
        lines += [*(f"{escaped(line)}  " for line in content.lead), ""]
    for section in content.sections:
        lines += [*([section.title, ""] if section.title else []), *_table(section), ""]
    weak = [f"*italic*: {escaped(WEAK_MEANS)}  "] if content.has_weak else []
    lines += [*weak, *(f"{escaped(line)}  " for line in content.notes)]
    return "\n".join([*lines, ""]) + "\n"


def error_as_markdown(subject: str, error: HedgerowError) -> str:
    """The section on a run that ended with an error instead of a verdict."""
    lines = [f"## {escaped(subject)}: no verdict (exit {int(error.exit_code)})", "", escaped(error.message), ""]
    return "\n".join([*lines, *([f"Remedy: {escaped(error.remedy)}", ""] if error.remedy else [])]) + "\n"


def escaped(text: str) -> str:
    """`text` such that Markdown shows it as it is, on one line, also within a table."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _verdict(verdict: str) -> str:
    return f"{_MARKS.get(verdict, '')} {verdict}".strip()


def _table(section: Section) -> Iterator[str]:
    yield _line(section.header)
    yield f"|{'|'.join(':--' if index < section.left else '--:' for index in range(len(section.header)))}|"
    yield from (_line(_marked(row, section)) for row in section.rows)


def _marked(row: Row, section: Section) -> Sequence[str]:
    """The row's cells, its verdict with a mark."""
    return [
        _verdict(cell) if name == "verdict" else cell for name, cell in zip(section.header, row.cells, strict=True)
    ]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(f'*{escaped(cell)}*' if isinstance(cell, Weak) else escaped(cell) for cell in cells)} |"
