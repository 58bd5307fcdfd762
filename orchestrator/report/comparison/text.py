"""A comparison as tables for the terminal, the environment first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.report.comparison import words
from orchestrator.report.comparison.comparison import CAUTION, LETTERS, Comparison
from orchestrator.report.tables import Section

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.report.comparison.differences import Difference


def sections(comparison: Comparison) -> list[Section]:
    """Every table, in reading order; one that would be empty says "none" in its title."""
    return [
        Section("Runs", ("", "run", "measured"), _runs(comparison), words=3),
        _differences("Environment differences", comparison.environment),
        _differences("Scenario differences", comparison.scenario),
        *_figures(comparison),
        _claims(comparison),
    ]


def notes(comparison: Comparison) -> list[str]:
    """The lines below the tables."""
    return [*words.left_out(comparison), words.unchanged_claims(comparison), CAUTION]


def _runs(comparison: Comparison) -> list[list[str]]:
    return [
        [letter, run.folder.name, words.measured(run)] for letter, run in zip(LETTERS, comparison.runs, strict=True)
    ]


def _differences(title: str, found: Sequence[Difference]) -> Section:
    """A line for each run's value: some are longer than half a line."""
    if not found:
        return Section(f"{title}: none", (), [])
    rows = [
        [difference.key if letter == LETTERS[0] else "", letter, words.value(value)]
        for difference in found
        for letter, value in zip(LETTERS, difference.values, strict=True)
    ]
    return Section(title, ("key", "run", "value"), rows, words=3)


def _figures(comparison: Comparison) -> Iterator[Section]:
    header = ("figure", *(f"{letter} (95 % interval)" for letter in LETTERS), "intervals")
    for pair in comparison.pairs:
        title = pair.strategy if pair.arm is None else f"{pair.arm}: {pair.strategy}"
        rows = [
            [words.figure_name(figure), *(words.figure_value(figure, run) for run in (0, 1)), words.overlap(figure)]
            for figure in pair.figures
        ]
        yield Section(title, header, rows)


def _claims(comparison: Comparison) -> Section:
    title = "Claims with another verdict"
    rows = [
        [words.claim_name(claim) if run == 0 else "", LETTERS[run], words.claim_verdict(claim, run),
         words.claim_observed(claim, run), claim.expects[run] or ""]
        for claim in comparison.changed_claims
        for run in (0, 1)
    ]  # fmt: skip
    if not rows:
        return Section(f"{title}: none", (), [])
    return Section(title, ("claim", "run", "verdict", "observed (95 % interval)", "expected"), rows, words=5)
