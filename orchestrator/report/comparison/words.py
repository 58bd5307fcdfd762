"""How the parts of a comparison are written for people, on the terminal and on its page alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.report import figures
from orchestrator.scenario.document import one_line

if TYPE_CHECKING:
    from orchestrator.report.comparison.claims import ClaimPair
    from orchestrator.report.comparison.comparison import Comparison
    from orchestrator.report.comparison.figures import Beside
    from orchestrator.report.comparison.sources import Source

_ABSENT = "-"
_UNITS = {"ms": " (ms)", "us": " (µs)", "ratio": ""}
_DIGITS = {"ms": 2, "us": 0}


def value(found: Any) -> str:
    """A value of a manifest or a scenario, on one line as YAML writes it."""
    return _ABSENT if found is None else one_line(found)


def figure_name(figure: Beside) -> str:
    """A figure with its unit."""
    return figure.figure + _UNITS[figure.unit]


def figure_value(figure: Beside, run: int) -> str:
    """The figure of the one run (0) or the other (1), with its interval where it has one."""
    found, ends = figure.values[run], figure.ci95[run]
    if figure.unit == "ratio":
        return figures.percent(found)
    told = figures.number(found) if figure.unit == "ms" else figures.micros(found)
    told = "> timeout" if figure.beyond[run] else told
    return told if ends is None else f"{told} ({figures.interval(ends, _DIGITS[figure.unit])})"


def overlap(figure: Beside) -> str:
    """Whether the intervals overlap."""
    return {True: "overlap", False: "apart", None: figures.NONE}[figure.overlap]


def claim_name(claim: ClaimPair) -> str:
    """A claim with the arm that makes it."""
    return claim.id if claim.arm is None else f"{claim.arm}: {claim.id}"


def claim_verdict(claim: ClaimPair, run: int) -> str:
    """The verdict of the one run or the other."""
    return claim.verdicts[run] or "not claimed"


def claim_observed(claim: ClaimPair, run: int) -> str:
    """What the one run or the other observed."""
    found = claim.claims[run]
    return figures.NONE if found is None else figures.observed(found)


def measured(run: Source) -> str:
    """When and on what a run was measured."""
    summary = run.summary
    when = run.manifest.get("started_at") or "at an unknown time"
    on = f"backend {summary['backend']}, engine {summary['engine'] or 'none'}"
    return f"{when}, {on}, delay line {summary['delay_line'] or 'none'}, {summary['verdict'] or 'no claims'}"


def unchanged_claims(comparison: Comparison) -> str:
    """How many claims have the same verdict in both runs."""
    same = len(comparison.claims) - len(comparison.changed_claims)
    return f"{same} {'claim has' if same == 1 else 'claims have'} the same verdict in both"


def left_out(comparison: Comparison) -> list[str]:
    """What is not compared, because only one run has it."""
    return [
        f"only in {run.folder.name}: {'; '.join(names)}"
        for run, names in zip(comparison.runs, comparison.alone, strict=True)
        if names
    ]
