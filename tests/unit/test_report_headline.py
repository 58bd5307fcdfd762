"""The sentence beside the verdict: how many claims, and which did not hold."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.report.page import command, headline


def claims(**verdicts: str) -> list[dict[str, Any]]:
    return [{"id": name, "verdict": verdict} for name, verdict in verdicts.items()]


@pytest.mark.parametrize(
    ("summary", "words"),
    [
        ({"verdict": None, "claims": []}, "This scenario claims nothing."),
        ({"verdict": "supported", "claims": claims(a="supported")}, "The only claim is supported."),
        ({"verdict": "supported", "claims": claims(a="supported", b="supported")}, "All 2 claims are supported."),
        (
            {"verdict": "refuted", "claims": claims(a="refuted", b="inconclusive", c="inconclusive", d="supported")},
            "1 of 4 refuted: a. 2 of 4 undecided: b, c.",
        ),
        (
            {
                "verdict": "inconclusive",
                "claims": claims(across="supported"),
                "arms": [{"name": "one", "claims": claims(a="inconclusive")}],
            },
            "1 of 2 undecided: a in one.",
        ),
    ],
)
def test_the_headline(summary: dict[str, Any], words: str) -> None:
    assert headline(summary) == words


def test_the_command_is_the_readers_not_the_authors() -> None:
    """Where somebody else kept results is nobody's business."""
    words = ["orchestrator", "run", "scenarios/paper.yaml", "--results", "/home/someone/results", "--smoke"]
    assert command({"command": words}) == ".venv/bin/orchestrator run scenarios/paper.yaml --smoke"
    assert command({}) == ""
