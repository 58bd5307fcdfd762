"""`--junit` and GITHUB_STEP_SUMMARY: written however a command ends, and never at the cost of a run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest

from orchestrator.cli import run
from orchestrator.commands import run as run_command
from orchestrator.errors import RunError
from support.run_folder_factory import ROOT, ScenarioOverride, finished_run, raw_run, scenario_from

if TYPE_CHECKING:
    from orchestrator.runfolder.folder import RunFolder

SMOKE = str(ROOT / "scenarios" / "smoke.yaml")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished smoke run, one claim of which is refuted."""
    by_strategy = {"kernel": ScenarioOverride(duplicates=frozenset({3}))}
    return finished_run(tmp_path_factory.mktemp("results"), scenario_from("smoke"), by_strategy)


class MadeUpRun:
    """Stands for `Run`: the blocks are drawn, not measured; `fails` and `leftovers` tell how it ends."""

    fails = ""
    leftovers: tuple[str, ...] = ()

    def __init__(self, experiment: Any, _plan: Any, folder: RunFolder, *_: Any) -> None:
        self.folder, self._experiment = folder, experiment

    def measure(self, *_: Any) -> None:
        if self.fails:
            raise RunError(self.fails, "see log.txt")
        made = raw_run(self.folder.path / "made", self._experiment)
        shutil.copytree(made.path, self.folder.path, dirs_exist_ok=True)
        shutil.rmtree(self.folder.path / "made")


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> type[MadeUpRun]:
    """`orchestrator run` without a host that it would change."""
    made: type[MadeUpRun] = type("Made", (MadeUpRun,), {})
    monkeypatch.setattr(run_command, "Runner", made)
    backend = SimpleNamespace(name="x", reason="a test", make_topology=None, remedy="")
    monkeypatch.setattr(run_command, "choose", lambda *_: backend)
    return made


def endings(file: Path) -> dict[str, str]:
    """How each case of a JUnit file ended."""
    root = ElementTree.parse(file).getroot()  # noqa: S314 - our own
    return {str(case.get("name")): case[0].tag for case in root.iter("testcase")}


@pytest.mark.parametrize("command", ["show", "analyze"])
def test_show_and_analyze_write_the_verdicts(
    command: str, finished: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "reports" / "junit.xml"
    more = ["--no-report"] if command == "analyze" else []
    assert run([command, str(finished.path), "--junit", str(file), *more]) == (1 if command == "analyze" else 0)
    found = endings(file)
    assert found["no-duplicates"] == "failure"
    assert set(found) == {claim["id"] for claim in json.loads(finished.summary.read_text())["claims"]}
    assert capsys.readouterr().err == ""


def test_analyze_appends_to_githubs_page_and_show_does_not(
    finished: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "summary.md"
    page.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    assert run(["show", str(finished.path)]) == 0
    assert page.read_text() == "before\n"
    assert run(["analyze", str(finished.path), "--no-report"]) == 1
    assert page.read_text().startswith("before\n## smoke: ❌ refuted\n")


def test_files_that_cannot_be_written_are_a_warning(
    finished: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    (tmp_path / "file").write_text("")
    bad = tmp_path / "file" / "junit.xml"
    assert run(["analyze", str(finished.path), "--no-report", "--json", "--junit", str(bad)]) == 1
    output = capsys.readouterr()
    assert output.out == finished.summary.read_text()
    junit, page = output.err.splitlines()
    assert junit.startswith(f"warning: {bad} (--junit) cannot be written: ")
    assert page.startswith(f"warning: {tmp_path} (GITHUB_STEP_SUMMARY) cannot be written: Is a directory")


def test_a_run_writes_both_and_names_its_folder_last(
    made_up: type[MadeUpRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))  # a folder: cannot be appended to
    file = tmp_path / "junit.xml"
    arguments = ["run", SMOKE, "--results", str(tmp_path / "results"), "--no-report", "--json", "--junit", str(file)]
    assert run(arguments) == 0
    output = capsys.readouterr()
    summary = json.loads(output.out)
    assert output.err.splitlines()[-1] == str(tmp_path / "results" / summary["run"])
    assert "warning: " in output.err.splitlines()[-2]
    assert set(endings(file).values()) == {"system-out"}


def test_a_run_that_fails_is_an_error_case_and_still_names_its_folder(
    made_up: type[MadeUpRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made_up.fails = "server-0 died"
    page, file = tmp_path / "summary.md", tmp_path / "junit.xml"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    assert run(["run", SMOKE, "--results", str(tmp_path / "results"), "--json", "--junit", str(file)]) == 5
    output = capsys.readouterr()
    assert json.loads(output.out)["error"]["message"] == "server-0 died"
    assert Path(output.err.splitlines()[-1]).parent == tmp_path / "results"
    assert endings(file) == {"run": "error"}
    assert "server-0 died" in page.read_text()


def test_a_prerequisite_that_is_missing_is_an_error_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    file = tmp_path / "junit.xml"
    assert run(["run", SMOKE, "--backend", "netns", "--results", str(tmp_path), "--junit", str(file)]) == 4
    assert endings(file) == {"run": "error"}
    assert "the netns backend needs root" in file.read_text()


def test_with_leftovers_stdout_is_the_error_alone_and_the_claims_are_kept(
    made_up: type[MadeUpRun], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made_up.leftovers = ("hr-1",)
    file = tmp_path / "junit.xml"
    arguments = ["run", SMOKE, "--results", str(tmp_path / "results"), "--no-report", "--json", "--junit", str(file)]
    assert run(arguments) == 6
    assert set(json.loads(capsys.readouterr().out)) == {"error"}
    found = endings(file)
    assert found.pop("run") == "error"
    assert set(found.values()) == {"system-out"}


def test_collect_only_tells_the_folder_and_leaves_verdicts_to_analyze(
    made_up: type[MadeUpRun], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["run", SMOKE, "--results", str(tmp_path), "--collect-only", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["folder"] == str(tmp_path / told["run"])
    assert run(["run", SMOKE, "--results", str(tmp_path), "--collect-only", "--junit", str(tmp_path / "x.xml")]) == 2
    assert "orchestrator analyze" in capsys.readouterr().err
