"""errors, unexpected ones too: never with the code of a verdict, and in JSON where that is asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.cli import run
from orchestrator.commands import schema
from support.run_folder_factory import ROOT

SMOKE = str(ROOT / "scenarios" / "smoke.yaml")
ORCHESTRATOR = str(Path(sys.executable).parent / "orchestrator")


def failing() -> None:
    raise KeyError("what")


def full() -> None:
    raise OSError(28, "No space left on device", "/somewhere/manifest.json")


def test_an_error_that_is_unexpected_is_a_failed_run_with_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(schema, "scenario_json_schema", failing)
    assert run(["schema"]) == 5
    said = capsys.readouterr()
    assert said.out == ""
    assert "in failing" in said.err
    assert said.err.endswith("KeyError: 'what'\nremedy: this error was not expected: please report it\n")


def test_with_json_it_is_an_object_on_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(schema, "scenario_json_schema", failing)
    assert run(["schema", "--json"]) == 5
    said = capsys.readouterr()
    assert json.loads(said.out)["error"]["code"] == 5
    assert "KeyError: 'what'" in json.loads(said.out)["error"]["message"]
    assert "in failing" in said.err


def test_what_the_system_refuses_is_reported_with_its_path(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(schema, "scenario_json_schema", full)
    assert run(["schema", "--json"]) == 5
    message = json.loads(capsys.readouterr().out)["error"]["message"]
    assert message == "/somewhere/manifest.json: No space left on device"


@pytest.mark.parametrize("command", [["schema"], ["schema", "--json"], ["validate", SMOKE]], ids=" ".join)
def test_where_stdout_is_full_the_command_fails_and_says_why(command: list[str]) -> None:
    """Also where the little that it says still waits to be written at the very end."""
    with Path("/dev/full").open("w", encoding="utf-8") as stdout:
        ended = subprocess.run(
            ["env", "--unset=PYTHONUNBUFFERED", ORCHESTRATOR, *command],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 5
    assert "No space left on device\nremedy: " in ended.stderr
    assert "Exception ignored" not in ended.stderr


def test_a_reader_that_goes_away_is_not_a_refuted_claim() -> None:
    process = subprocess.Popen([ORCHESTRATOR, "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait() == 5


def test_results_that_are_not_a_folder_are_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "results"
    file.touch()
    assert run(["run", SMOKE, "--results", str(file), "--backend", "netns"]) == 2
    assert f"{file} can hold no run folders: File exists" in capsys.readouterr().err


@pytest.mark.parametrize("results", ["missing", "file"])
def test_ls_of_a_folder_that_is_not_there_says_so(
    results: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / results
    assert run(["ls", "--results", str(path)]) == 2
    assert f"there is no folder {path}" in capsys.readouterr().err


def test_ls_before_the_first_run_finds_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["ls", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"runs": []}


def test_a_key_that_ls_cannot_sort_by_is_an_error_in_plain_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["ls", "--results", str(tmp_path), "--sort", "colour"]) == 2
    assert capsys.readouterr().err == (
        "--sort colour: there is no such key\nremedy: use time, scenario, verdict, claims, backend, engine, run\n"
    )
