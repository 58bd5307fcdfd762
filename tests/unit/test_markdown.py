"""The Markdown for GitHub's page of a job: what it says, and that no word of a scenario breaks out of its cell."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import RunError
from orchestrator.report.markdown import as_markdown, error_as_markdown, escaped
from orchestrator.runfolder.summary import Summary
from support.arms_scenarios import ARMS
from support.run_folder_factory import ScenarioOverride, experiment_from, finished_run, scenario_from, summarised
from support.summaries import with_claims

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.runfolder.folder import RunFolder


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """A smoke run whose kernel delivered a duplicate."""
    by_strategy = {"kernel": ScenarioOverride(duplicates=frozenset({3}))}
    return summarised(finished_run(tmp_path_factory.mktemp("results"), scenario_from("smoke"), by_strategy))


def tables(text: str) -> list[list[list[str]]]:
    """The cells of every table as Markdown reads them: parted at pipes without a backslash, escapes taken off."""
    found: list[list[list[str]]] = []
    inside = False
    for line in text.splitlines():
        if line.startswith("|"):
            if not inside:
                found.append([])
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            found[-1].append([re.sub(r"\\(.)", r"\1", cell) for cell in cells])
        inside = line.startswith("|")
    return found


def test_it_says_verdict_claims_and_latencies(summary: Summary) -> None:
    text = as_markdown(summary)
    claims, latencies = tables(text)
    assert text.splitlines()[0] == "## smoke: ❌ refuted"
    assert [row[0] for row in claims[2:]] == [claim.id for claim in summary.arms[0].claims]
    assert [row[3] for row in claims[2:]] == [claim.expect for claim in summary.arms[0].claims]
    assert [row[0] for row in latencies[2:]] == list(summary.arms[0].strategies)
    assert latencies[2][1] == f"{summary.arms[0].strategies['baseline'].latency_ms['p50']:.2f}"
    assert summary.run in text
    for table in (claims, latencies):
        assert {len(row) for row in table} == {len(table[0])}


def test_arms_have_a_column(arms_run: RunFolder) -> None:
    summary = Summary.read(arms_run.summary)
    claims, latencies = tables(as_markdown(summary))
    assert [row[:2] for row in claims[2:]] == [
        ["client-paused", "punctual"],
        ["one-server-paused", "rescued"],
        ["across", "app-late"],
    ]
    assert [row[:2] for row in latencies[2:4]] == [["client-paused", "app-deadline"], ["client-paused", "kernel"]]


def test_why_a_claim_is_undecided_stands_beside_it_and_nowhere_else(tmp_path: Path) -> None:
    summary = summarised(finished_run(tmp_path / "results", experiment_from(tmp_path, ARMS, "design.blocks=1")))
    text = as_markdown(summary)
    claims, _ = tables(text)
    reasons = [claim.reason for _, claim in summary.claims() if claim.reason]
    assert [row[-1] for row in claims[2:] if row[-1]] == reasons
    assert text.count(reasons[0]) == reasons.count(reasons[0])


@pytest.mark.parametrize(
    "words",
    ["a | b", "<script>alert(1)</script>", "*bold* _it_ `code`", "[a](http://b)", "![x](y)", "back\\|slash", "&lt;"],
)
def test_a_cell_stays_a_cell(words: str, summary: Summary) -> None:
    claim = replace(summary.arms[0].claims[0], id=words, reason=f"two\nlines of {words}")
    claims, _ = tables(as_markdown(with_claims(summary, claim)))
    assert claims[2][0] == words
    assert claims[2][-1] == f"two lines of {words}"
    assert not re.search(r"(?<!\\)[<`*_\[]", escaped(words))


def test_a_run_without_claims_has_no_empty_table(summary: Summary) -> None:
    text = as_markdown(replace(with_claims(summary), verdict=None))
    assert len(tables(text)) == 1
    assert text.startswith("## smoke: no claims\n")


def test_a_run_that_failed_says_why_and_what_to_do() -> None:
    text = error_as_markdown("smoke", RunError("server-0 <died>", "see log.txt"))
    assert text.startswith("## smoke: no verdict (exit 5)\n")
    assert "server-0 \\<died\\>" in text
    assert "Remedy: see log.txt" in text
