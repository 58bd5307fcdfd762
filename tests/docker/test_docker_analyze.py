"""A run folder is all that `analyze` needs: no network, no root, no capability, nothing else to write to."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.engine_state import CHECKOUT, docker
from support.scenario_files import Finished, finish, start_run, write_scenario

pytestmark = pytest.mark.root

NOBODY = 65534
PAGE = CHECKOUT / "docs" / "artifact-evaluation.md"
MADE = ("plots/latency-ccdf.png", "plots/latency-over-time.svg", "report.html", "summary.json", "SHA256SUMS")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run with intervals and a claim, as the host's own `run` evaluated it."""
    directory = tmp_path_factory.mktemp("measured")
    scenario = write_scenario(directory, strategies="baseline, app-deadline, kernel", requests=400, blocks=5)
    run = finish(start_run(scenario, directory / "results", "--json"))
    assert (run.code, run.summary["verdict"]) == (0, "supported"), run.errors
    return run


def commands_of_the_page() -> str:
    """What docs/artifact-evaluation.md tells reviewers to type."""
    (block,) = [
        block for block in re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL) if "docker run" in block
    ]
    return str(block)


def test_as_documented_the_figures_are_the_same_to_the_byte(measured: Finished, tmp_path: Path) -> None:
    name = measured.folder.name
    shutil.copytree(measured.folder, tmp_path / "results" / name)
    done = subprocess.run(
        ["bash", "-euc", commands_of_the_page()],
        cwd=tmp_path,
        env={**os.environ, "RUN": name},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Verdict: supported" in done.stdout
    assert (tmp_path / "copy" / name / "report.html").exists()


def test_an_unprivileged_user_makes_everything_again_in_the_folder(measured: Finished, tmp_path: Path) -> None:
    before = measured.folder.joinpath("summary.json").read_bytes()
    copy = Path(shutil.copytree(measured.folder, tmp_path / measured.folder.name))
    for name in MADE:
        (copy / name).unlink()
    for path in (copy, *copy.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    confined = ("--network=none", f"--user={NOBODY}:{NOBODY}", "--cap-drop=ALL", "--security-opt=no-new-privileges")
    mounts = ("--read-only", "--tmpfs=/tmp", f"--volume={copy}:/copied/{copy.name}")
    done = docker("run", "--rm", *confined, *mounts, "hedgerow-orchestrator", "analyze", f"/copied/{copy.name}")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert (copy / "summary.json").read_bytes() == before
    for path in copy.rglob("*"):
        assert path.stat().st_uid == NOBODY, path
    assert {name for name in MADE if (copy / name).exists()} == {*MADE}


def test_a_folder_of_a_later_format_is_refused_there_as_anywhere(measured: Finished, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(measured.folder, tmp_path / measured.folder.name))
    manifest = copy / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"schema": 1', '"schema": 99', 1))
    mount = f"--volume={copy}:/copied/{copy.name}"
    done = docker("run", "--rm", "--network=none", mount, "hedgerow-orchestrator", "analyze", f"/copied/{copy.name}")
    assert done.returncode == 5
    assert "manifest.json has schema 99, this version reads 1 and before" in done.stderr
    assert "remedy: use a newer Hedgerow" in done.stderr
