"""The directories of runs: who is at work, who is dead, and how what a dead run left is undone, or tried again."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

from orchestrator.cli import run as run_command
from orchestrator.errors import LeftoversError
from orchestrator.host import live as live_module
from orchestrator.host import locks
from orchestrator.host.audit import processes_of
from orchestrator.host.live import LiveRun, clear_dead_runs, live_runs
from orchestrator.runfolder.journal import DeleteNamespace, EndProcesses, Journal, Undo

RUN_ID, OTHER = "0123ab", "cd4567"


@pytest.fixture
def live_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for /run/hedgerow, which only root may write."""
    root = tmp_path / "run"
    monkeypatch.setattr(locks, "ROOT", root)
    return root


def dead(tmp_path: Path, run_id: str = RUN_ID, *changes: Undo) -> LiveRun:
    """A run that died after it wrote `changes`."""
    path = tmp_path / run_id / "journal.jsonl"
    path.parent.mkdir()
    journal = Journal(path)
    for change in changes:
        journal.change("made", change)
    journal.close()
    run = LiveRun(run_id)
    run.open(path)
    run.release()
    return run


def test_a_run_at_work_keeps_its_lock(live_root: Path, tmp_path: Path) -> None:
    run = LiveRun(RUN_ID)
    run.open(tmp_path / "journal.jsonl")
    assert run.owner() == os.getpid()
    assert not LiveRun(RUN_ID).seize()
    assert clear_dead_runs().runs == []
    run.close()
    assert list(live_runs()) == []


def test_a_run_gets_its_lock_though_another_process_checks_it(
    live_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking takes the lock for a moment; a run that went on without it would be taken for a dead one."""
    make = Path.mkdir

    def looked_at(path: Path, *arguments: Any, **options: Any) -> None:
        make(path, *arguments, **options)
        if path.name == RUN_ID:
            looking = (path / "lock").open("w", encoding="utf-8")
            fcntl.flock(looking, fcntl.LOCK_SH)
            threading.Timer(0.2, looking.close).start()

    monkeypatch.setattr(Path, "mkdir", looked_at)
    run = LiveRun(RUN_ID)
    run.open(tmp_path / "journal.jsonl")
    time.sleep(0.3)
    assert not LiveRun(RUN_ID).seize()
    run.close()


def test_a_run_whose_directory_is_being_removed_cannot_be_seized(
    live_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock's file may go before the directory, and a new one must not take its place."""
    run = LiveRun(RUN_ID)
    run.open(tmp_path / "journal.jsonl")
    seized: list[bool] = []
    other = threading.Thread(target=lambda: seized.append(LiveRun(RUN_ID).seize()))

    def slowly(path: Path) -> None:
        (path / "lock").unlink()
        other.start()
        other.join(timeout=0.2)
        assert seized == []
        rmtree(path)

    monkeypatch.setattr(live_module, "rmtree", slowly)
    run.close()
    other.join()
    assert seized == [False]
    assert not run.path.exists()


def test_a_run_that_is_gone_has_no_owner(live_root: Path, tmp_path: Path) -> None:
    run = LiveRun(RUN_ID)
    run.open(tmp_path / "journal.jsonl")
    assert LiveRun(RUN_ID).owner() == os.getpid()
    run.close()
    assert LiveRun(RUN_ID).owner() is None
    run.close()


def test_a_dead_run_is_undone_by_its_journal(
    live_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By that alone: what finds things by their marks is not asked."""
    monkeypatch.setattr(live_module, "by_marks", lambda _: None)
    program = f"""
import os, subprocess
from pathlib import Path
from orchestrator.host import locks
from orchestrator.host.live import LiveRun
from orchestrator.runfolder.journal import EndProcesses, Journal
locks.ROOT = Path({str(live_root)!r})
journal = Journal(Path({str(tmp_path / "journal.jsonl")!r}))
LiveRun({RUN_ID!r}).open(Path({str(tmp_path / "journal.jsonl")!r}))
journal.change("start a process", EndProcesses({RUN_ID!r}))
nowhere = subprocess.DEVNULL
started = subprocess.Popen(["sleep", "60"], env={{"HEDGEROW_RUN": {RUN_ID!r}}}, stdout=nowhere, stderr=nowhere)
print(started.pid, flush=True)
os.kill(os.getpid(), 9)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == -9, ended.stderr
    pid = int(ended.stdout)
    assert processes_of(RUN_ID) == [pid]
    assert [run.run_id for run in live_runs()] == [RUN_ID]
    assert clear_dead_runs().runs == [RUN_ID]
    assert processes_of(RUN_ID) == []
    assert list(live_runs()) == []


def test_names_that_are_not_run_ids_are_left_alone(live_root: Path) -> None:
    (live_root / "something-else").mkdir(parents=True)
    assert clear_dead_runs().runs == []
    assert (live_root / "something-else").exists()


REFUSED = "these are busy"


@pytest.fixture
def stubborn(live_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LiveRun:
    """Two dead runs, of which the first, which is returned, cannot be undone."""

    def refusing(run_id: str) -> None:
        if run_id == RUN_ID:
            raise LeftoversError(REFUSED, "see what holds them")

    monkeypatch.setattr(live_module, "by_marks", refusing)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    dead(tmp_path, OTHER)
    return dead(tmp_path)


def test_a_dead_run_that_cannot_be_undone_keeps_no_other_from_it(stubborn: LiveRun) -> None:
    cleared = clear_dead_runs()
    assert cleared.runs == [OTHER]
    assert cleared.failures() == [f"run {RUN_ID} cannot be undone: {REFUSED}"]
    assert [run.run_id for run in live_runs()] == [RUN_ID]
    assert LiveRun(RUN_ID).seize()


def test_down_cleans_up_what_it_can_then_tells_what_it_could_not(
    stubborn: LiveRun, capsys: pytest.CaptureFixture[str]
) -> None:
    for cleaned in (f"cleaned up after run {OTHER}\n", ""):
        assert run_command(["down", "--all"]) == 6
        said = capsys.readouterr()
        assert said.out == cleaned
        assert said.err == f"run {RUN_ID} cannot be undone: {REFUSED}\nremedy: see what holds them\n"
    assert run_command(["down", "--json"]) == 6
    assert REFUSED in json.loads(capsys.readouterr().out)["error"]["message"]


def test_what_is_still_there_after_the_undo_keeps_the_directory(
    live_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it the next `down` would say that there is nothing to clean up."""
    monkeypatch.setattr(live_module, "by_marks", lambda _: None)
    monkeypatch.setattr(live_module, "remaining", lambda _: ["process 12"])
    run = dead(tmp_path)
    assert clear_dead_runs().failures() == [f"run {RUN_ID} cannot be undone: still there: process 12"]
    assert run.path.exists()
    monkeypatch.setattr(live_module, "remaining", lambda _: [])
    assert clear_dead_runs().runs == [RUN_ID]
    assert not run.path.exists()


def test_an_undo_that_fails_keeps_no_other_from_being_done(
    live_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Undo] = []

    def doing(_: str, undo: Undo) -> None:
        done.append(undo)
        if isinstance(undo, EndProcesses):
            raise LeftoversError("processes [12] do not end")

    monkeypatch.setattr(live_module, "carry_out_for", doing)
    monkeypatch.setattr(live_module, "by_marks", lambda _: None)
    namespace = DeleteNamespace(f"hr-{RUN_ID}-client")
    run = dead(tmp_path, RUN_ID, namespace, EndProcesses(RUN_ID))
    assert run.seize()
    with pytest.raises(LeftoversError, match=r"processes \[12\] do not end"):
        run.undo()
    assert done == [EndProcesses(RUN_ID), namespace]
