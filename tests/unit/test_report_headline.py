"""The sentence beside the verdict: how many claims, and which did not hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.report.page import command
from orchestrator.report.view import headline
from orchestrator.runfolder.manifest import Manifest
from support.summaries import arm, claim, summary_of

if TYPE_CHECKING:
    from orchestrator.runfolder.summary import Summary, Verdict


def plain(verdict: Verdict | None, **verdicts: Verdict) -> Summary:
    """A run without arms, and the verdict on each of its claims."""
    return summary_of(arm(None, *(claim(name, found) for name, found in verdicts.items())), verdict=verdict)


@pytest.mark.parametrize(
    ("summary", "words"),
    [
        (plain(None), "This scenario claims nothing."),
        (plain("supported", a="supported"), "The only claim is supported."),
        (plain("supported", a="supported", b="supported"), "All 2 claims are supported."),
        (
            plain("refuted", a="refuted", b="inconclusive", c="inconclusive", d="supported"),
            "1 of 4 refuted: a. 2 of 4 undecided: b, c.",
        ),
        (
            summary_of(
                arm("one", claim("a", "inconclusive")),
                verdict="inconclusive",
                across=(claim("across", "supported"),),
            ),
            "1 of 2 undecided: a in one.",
        ),
    ],
)
def test_the_headline(summary: Summary, words: str) -> None:
    assert headline(summary) == words


def test_the_command_is_the_readers_not_the_authors() -> None:
    """Where the author kept results is of no use to a reader."""
    words = ("orchestrator", "run", "scenarios/paper.yaml", "--results", "/home/someone/results", "--smoke")
    assert command(Manifest(command=words)) == ".venv/bin/orchestrator run scenarios/paper.yaml --smoke"
    assert command(Manifest()) == ""
