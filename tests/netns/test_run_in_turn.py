"""Runs that take turns, and runs whose time is over."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.host.audit import namespaces_of, processes_of
from support.scenario_files import finish, start_run, wait_for, write_scenario

if TYPE_CHECKING:
    import subprocess

pytestmark = pytest.mark.root


def journal_of(results: Path) -> str:
    """What the only run in the folder has written so far."""
    return "".join(path.read_text() for path in results.glob("*/journal.jsonl"))


def at_work(results: Path, process: subprocess.Popen[str]) -> str:
    """The id of that run, once its first block is under way."""
    wait_for(lambda: '"event":"block"' in journal_of(results), "the first block", process)
    (folder,) = results.iterdir()
    return folder.name.rsplit("-", 1)[1]


@pytest.mark.parametrize("exclusive", ["first", "second"])
def test_an_exclusive_run_is_alone_on_the_host(tmp_path: Path, exclusive: str) -> None:
    scenario = write_scenario(tmp_path, requests=1_000)
    options = {name: ["--exclusive"] if name == exclusive else [] for name in ("first", "second")}
    first = start_run(scenario, tmp_path / "first", "--json", "--no-report", *options["first"])
    token = at_work(tmp_path / "first", first)
    second = start_run(scenario, tmp_path / "second", "--json", "--no-report", *options["second"])
    waited, measured = finish(second), finish(first)
    assert waited.errors.startswith(f"waiting for run {token} (process {first.pid}, at work for ")
    reason = "--exclusive" if exclusive == "second" else "it is --exclusive"
    assert waited.errors.splitlines()[0].endswith(f": {reason}")
    assert waited.journal[0]["monotonic_ns"] > measured.journal[-1]["monotonic_ns"]


def client_of(token: str) -> int:
    """The process of the run's client, which a run tells what to do."""
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in processes_of(token)}
    return min(pid for pid, command in commands.items() if "/client.sock" in command)


def test_a_run_that_gets_stuck_ends_in_order_when_its_time_is_over(tmp_path: Path) -> None:
    scenario, results = write_scenario(tmp_path, requests=1_000), tmp_path / "results"
    process = start_run(scenario, results, "--json", "--max-duration", "12s")
    token = at_work(results, process)
    wait_for(lambda: journal_of(results).count('"event":"block"') == 2, "the second block", process)
    os.kill(client_of(token), signal.SIGSTOP)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 5, errors
    message = "the run is not done after 12 s, its --max-duration"
    assert json.loads(output)["error"]["message"] == message
    (folder,) = results.iterdir()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["status"] == f"failed: {message}"
    assert len(manifest["blocks"]) >= 1
    assert any((folder / "raw").iterdir())
    assert '"leftovers":[]' in journal_of(results)
    assert (namespaces_of(token), processes_of(token)) == ([], [])
