"""A comparison as text: how its parts are written, and tables of them, the environment first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.report.compare.model import CAUTION, LETTERS, ClaimPair, Comparison, FigurePair
from orchestrator.report.formatting import (
    BEYOND,
    NONE,
    format_engines,
    format_interval,
    format_micros,
    format_number,
    format_observed,
    format_percent,
    format_verdict,
    of_arm,
)
from orchestrator.report.view import Row, Section, View
from orchestrator.scenario.document import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.report.compare.differences import Difference
    from orchestrator.runfolder.run import Run

_UNITS = {"ms": " (ms)", "us": " (µs)", "ratio": ""}
_OVERLAP = {True: "overlap", False: "apart", None: NONE}


def view(comparison: Comparison) -> View:
    """Every table, in reading order; one that would be empty says "none" in its title."""
    sections = [
        _runs(comparison),
        _differences("Environment differences", comparison.environment),
        _differences("Scenario differences", comparison.scenario),
        *_figures(comparison),
        _claims(comparison),
    ]
    return View(sections, [*only_in(comparison), unchanged_claims(comparison), CAUTION])


def only_in(comparison: Comparison) -> list[str]:
    """What is not compared, because only one run has it."""
    return [
        f"only in {run.name}: {'; '.join(names)}"
        for run, names in zip(comparison.runs, comparison.alone, strict=True)
        if names
    ]


def unchanged_claims(comparison: Comparison) -> str:
    """How many claims have the same verdict in both runs."""
    same = len(comparison.claims) - len(comparison.changed_claims)
    return f"{same} {'claim has' if same == 1 else 'claims have'} the same verdict in both"


def format_run(run: Run) -> str:
    """When and on what a run was measured."""
    summary = run.summary
    when = run.manifest.started_at or "at an unknown time"
    on = f"backend {summary.backend}, {format_engines(summary)}"
    changed = ", changed after it was measured" if summary.accepted_changes else ""
    return f"{when}, {on}, {summary.verdict or 'no claims'}{changed}"


def format_setting(value: object) -> str:
    """A value of a manifest or a scenario, on one line as YAML writes it."""
    return NONE if value is None else one_line(value)


def format_figure_name(pair: FigurePair) -> str:
    """A figure with its unit."""
    return pair.figure.name + _UNITS[pair.figure.unit]


def format_figure_value(pair: FigurePair, run: int) -> str:
    """The figure of the one run (0) or the other (1), with its interval where it has one."""
    value, ends = pair.values[run], pair.ci95[run]
    if pair.figure.unit == "ratio":
        return format_percent(value)
    number, digits = (format_number(value), 2) if pair.figure.unit == "ms" else (format_micros(value), 0)
    text = BEYOND if pair.beyond[run] else number
    return text if ends is None else f"{text} ({format_interval(ends, digits)})"


def format_overlap(pair: FigurePair) -> str:
    """Whether the intervals overlap."""
    return _OVERLAP[pair.overlap]


def format_claim_name(pair: ClaimPair) -> str:
    """A claim with the arm that makes it."""
    return of_arm(pair.arm, pair.id)


def format_claim_verdict(pair: ClaimPair, run: int) -> str:
    """The verdict of the one run or the other."""
    claim = pair.claims[run]
    return "not claimed" if claim is None else format_verdict(claim)


def format_claim_observed(pair: ClaimPair, run: int) -> str:
    """What the one run or the other observed."""
    claim = pair.claims[run]
    return NONE if claim is None else format_observed(claim)


def _runs(comparison: Comparison) -> Section:
    rows = [Row([letter, run.name, format_run(run)]) for letter, run in zip(LETTERS, comparison.runs, strict=True)]
    return Section("Runs", ("", "run", "measured"), rows, left=3)


def _differences(title: str, found: Sequence[Difference]) -> Section:
    """A line for each run's value: some are longer than half a line."""
    if not found:
        return Section(f"{title}: none", (), [])
    rows = [
        Row([difference.key if letter == LETTERS[0] else "", letter, format_setting(value)])
        for difference in found
        for letter, value in zip(LETTERS, difference.values, strict=True)
    ]
    return Section(title, ("key", "run", "value"), rows, left=3)


def _figures(comparison: Comparison) -> Iterator[Section]:
    header = ("figure", *(f"{letter} (95 % interval)" for letter in LETTERS), "intervals")
    for strategy in comparison.pairs:
        rows = [
            Row([format_figure_name(pair), *(format_figure_value(pair, run) for run in (0, 1)), format_overlap(pair)])
            for pair in strategy.figures
        ]
        yield Section(of_arm(strategy.arm, strategy.strategy), header, rows)


def _claims(comparison: Comparison) -> Section:
    title = "Claims with another verdict"
    rows = [
        Row([format_claim_name(pair) if run == 0 else "", LETTERS[run], format_claim_verdict(pair, run),
             format_claim_observed(pair, run), pair.expects[run] or ""])
        for pair in comparison.changed_claims
        for run in (0, 1)
    ]  # fmt: skip
    if not rows:
        return Section(f"{title}: none", (), [])
    return Section(title, ("claim", "run", "verdict", "observed (95 % interval)", "expected"), rows, left=5)
