"""`ls`: every run of a results folder on a line, in the order that was asked for, and nothing that is no run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.cli import run
from support.summaries import arm, claim, summary_of

if TYPE_CHECKING:
    from orchestrator.runfolder.summary import Verdict

#: Time, scenario, verdict (None: unfinished), backend.
RUNS: tuple[tuple[str, str, Verdict | None, str], ...] = (
    ("20260101T120000Z", "smoke", "supported", "netns"),
    ("20260102T120000Z", "paper", "refuted", "docker"),
    ("20260103T120000Z", "gc-pause", "inconclusive", "netns"),
    ("20260104T120000Z", "bare", None, "netns"),
)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Four runs, a comparison, and a summary that is torn."""
    for number, (time, scenario, verdict, backend) in enumerate(RUNS):
        folder = tmp_path / f"{scenario}-{time}-00000{number}"
        folder.mkdir()
        (folder / "manifest.json").write_text(json.dumps({"schema": 1, "backend": backend}))
        if verdict is not None:
            one = arm(None, claim("first", verdict), claim("second", "supported"))
            summary = replace(summary_of(one, verdict=verdict), backend=backend, engine=None, delay_line=None)
            (folder / "summary.json").write_text(summary.as_text())
    (tmp_path / "comparisons" / "smoke-20260101T120000Z-000000--paper-20260102T120000Z-000001").mkdir(parents=True)
    return tmp_path


def listed(results: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """The scenarios in the order in which `ls --json` has them."""
    assert run(["ls", "--results", str(results), "--json", *arguments]) == 0
    return [entry["scenario"] for entry in json.loads(capsys.readouterr().out)["runs"]]


def test_it_is_a_table_with_a_line_for_each_run(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ls", "--results", str(results)]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["scenario", "time", "verdict", "claims", "backend", "run"]
    for word in ("time", "verdict", "claims", "backend", "run"):
        assert all(row[header.index(word) - 1] == " " and row[header.index(word)] != " " for row in rows[:3]), word
    assert rows[1].split() == [
        *("paper", "2026-01-02", "12:00", "UTC", "refuted", "1", "supported,", "1", "refuted"),
        *("docker", "paper-20260102T120000Z-000001"),
    ]
    assert rows[3].split() == [
        "bare",
        "2026-01-04",
        "12:00",
        "UTC",
        "unfinished",
        "netns",
        "bare-20260104T120000Z-000003",
    ]


def test_json_carries_the_same(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ls", "--results", str(results), "--json"]) == 0
    entry = json.loads(capsys.readouterr().out)["runs"][1]
    assert entry == {
        "run": "paper-20260102T120000Z-000001",
        "scenario": "paper",
        "time": "2026-01-02T12:00:00+00:00",
        "state": "refuted",
        "verdict": "refuted",
        "claims": {"supported": 1, "refuted": 1, "inconclusive": 0},
        "backend": "docker",
        "engine": None,
        "delay_line": None,
    }


@pytest.mark.parametrize(
    ("arguments", "order"),
    [
        ((), "smoke paper gc-pause bare"),
        (("--reverse",), "bare gc-pause paper smoke"),
        (("--sort", "scenario"), "bare gc-pause paper smoke"),
        (("--sort", "verdict"), "paper gc-pause smoke bare"),
        (("--sort", "backend"), "paper smoke gc-pause bare"),
        (("--sort", "claims", "--reverse"), "gc-pause paper smoke bare"),
    ],
)
def test_it_can_be_sorted(
    arguments: tuple[str, ...], order: str, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert listed(results, capsys, *arguments) == order.split()


def test_one_torn_summary_does_not_hide_the_others(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (results / "smoke-20260101T120000Z-000000" / "summary.json").write_text('{"verdict": "supp')
    assert run(["ls", "--results", str(results)]) == 0
    output = capsys.readouterr().out
    assert "unreadable" in output
    assert len(output.splitlines()) == 5


def test_without_runs_nothing_is_printed_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "comparisons").mkdir()
    assert run(["ls", "--results", str(tmp_path)]) == 0
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", f"no runs in {tmp_path}\n")


def test_comparisons_stand_in_no_index(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "--index", "--results", str(results)]) == 0
    index = Path(capsys.readouterr().out.strip()).read_text()
    assert "4 in this folder" in index
    assert "comparisons" not in index
