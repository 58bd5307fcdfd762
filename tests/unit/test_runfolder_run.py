"""A run is read once: each of its files when it is first asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from orchestrator.errors import RunError, ScenarioError
from orchestrator.runfolder.folder import RunFolder
from orchestrator.runfolder.run import Run
from orchestrator.runfolder.summary import Summary
from support.run_folder_factory import finished_run, scenario_from, summarised

FILES = ("manifest", "experiment", "tables", "summary")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished smoke run."""
    return finished_run(tmp_path_factory.mktemp("results"), scenario_from("smoke"))


def test_nothing_is_read_again(finished: RunFolder, tmp_path: Path) -> None:
    folder = RunFolder(Path(shutil.copytree(finished.path, tmp_path / finished.name)))
    run = Run(folder)
    names = (*FILES, "fault_log")
    before = [getattr(run, name) for name in names]
    shutil.rmtree(folder.path)
    assert [getattr(run, name) for name in names] == before


def test_nothing_is_read_that_is_not_asked_for(tmp_path: Path) -> None:
    run = Run(RunFolder(tmp_path / "smoke-20260302T000000Z-aaaa01"))
    assert run.name == "smoke-20260302T000000Z-aaaa01"
    assert run.fault_log.records == ()
    for name in FILES:
        with pytest.raises((RunError, ScenarioError)):
            getattr(run, name)


def test_a_summary_that_was_computed_is_not_read(finished: RunFolder) -> None:
    run = Run(finished)
    run.summary = summarised(finished)
    assert run.summary == Summary.read(finished.summary)
