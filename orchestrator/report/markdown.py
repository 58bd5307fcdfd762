"""A run's summary as Markdown, for the page that GitHub shows of a job: verdict, claims, latencies.

What a scenario says may hold anything: its words are escaped, so that a cell stays a cell and text stays text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from orchestrator.report import figures
from orchestrator.report.notes import notes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.errors import HedgerowError

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~#!$&])")
_LATENCIES = ("p50", "p95", "p99", "max")
_MARKS = {"supported": "✅", "refuted": "❌", "inconclusive": "❔"}


def as_markdown(summary: dict[str, Any]) -> str:
    """The verdict, a table of all claims and one of all latencies; where there are arms, their names come first."""
    lines = [f"## {escaped(summary['scenario'])}: {_verdict(summary['verdict'])}", ""]
    claims, latencies = list(_claims(summary)), list(_latencies(summary))
    arm = ["arm"] if "arms" in summary else []
    if claims:
        header = [*arm, "claim", "verdict", "observed (95 % interval)", "expected", "remark"]
        lines += [*_table(header, claims, len(header)), ""]
    header = [
        *arm,
        "strategy",
        *(name if name == "max" else name.upper() for name in _LATENCIES),
        "P99, 95 % interval",
    ]
    lines += ["Latency in ms, from the intended time of sending:", ""]
    lines += [*_table(header, latencies, len(arm) + 1), ""]
    lines += [f"{escaped(line)}  " for line in notes({**summary, "claims": [], "verdict": None})]
    return "\n".join([*lines, ""]) + "\n"


def error_as_markdown(subject: str, error: HedgerowError) -> str:
    """What a run that could not be judged leaves on that page."""
    told = [f"## {escaped(subject)}: no verdict (exit {int(error.exit_code)})", "", escaped(error.message), ""]
    return "\n".join([*told, *([f"Remedy: {escaped(error.remedy)}", ""] if error.remedy else [])]) + "\n"


def escaped(text: str) -> str:
    """`text` such that Markdown shows it as it is, on one line, also within a table."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _verdict(verdict: str | None) -> str:
    return "no claims" if verdict is None else f"{_MARKS.get(verdict, '')} {verdict}".strip()


def _claims(summary: dict[str, Any]) -> Iterator[list[str]]:
    with_arms = "arms" in summary
    groups = [(arm["name"], arm["claims"]) for arm in summary.get("arms", [])]
    for arm, claims in [*groups, ("across" if with_arms else None, summary["claims"])]:
        for claim in claims:
            row = [claim["id"], _verdict(claim["verdict"]), figures.observed(claim), claim["expect"]]
            yield [*([arm] if with_arms else []), *row, claim.get("reason", "")]


def _latencies(summary: dict[str, Any]) -> Iterator[list[str]]:
    for arm in summary.get("arms", [{"name": None, **summary}]):
        for name, strategy in arm["strategies"].items():
            told = [figures.latency(strategy, quantile) for quantile in _LATENCIES]
            row = [name, *told, figures.interval(strategy["ci95_ms"]["p99"])]
            yield row if arm["name"] is None else [arm["name"], *row]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> list[str]:
    """A table whose first `words` columns hold words, the others figures."""
    rule = [":--" if index < words else "--:" for index in range(len(header))]
    return [_line(header), f"|{'|'.join(rule)}|", *(_line(row) for row in rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(escaped(cell) for cell in cells)} |"
