"""What is written before a change is made is enough to undo it, however the run ended."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import LeftoversError
from orchestrator.host import live as live_module
from orchestrator.host.journal import Journal, undos
from orchestrator.host.live import LiveRun, clear_dead_runs, live_runs
from orchestrator.host.undo import carry_out, remove_directory

RUN_ID = "0123ab"


@pytest.fixture
def live_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for /run/hedgerow, which only root may write."""
    root = tmp_path / "run"
    monkeypatch.setattr(live_module, "ROOT", root)
    return root


def test_the_last_change_is_undone_first(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    for name in ("one", "two"):
        journal.change(f"make {name}", remove_directory(tmp_path / name))
    journal.note("block", order=0)
    journal.close()
    assert [undo["path"] for undo in undos(tmp_path / "journal.jsonl")] == [
        str(tmp_path / "two"),
        str(tmp_path / "one"),
    ]


def test_a_line_cut_off_by_the_end_of_its_writer_was_no_change(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.change("make one", remove_directory(tmp_path / "one"))
    journal.change("make two", remove_directory(tmp_path / "two"))
    journal.close()
    path.write_bytes(path.read_bytes()[:-20])
    assert [undo["path"] for undo in undos(path)] == [str(tmp_path / "one")]


def test_an_undo_may_be_repeated(tmp_path: Path) -> None:
    (tmp_path / "one" / "two").mkdir(parents=True)
    for _ in range(2):
        carry_out(remove_directory(tmp_path / "one"))
    assert not (tmp_path / "one").exists()


def test_an_undo_of_another_version_is_refused_rather_than_passed_over() -> None:
    with pytest.raises(LeftoversError, match="unknown undo"):
        carry_out({"do": "restore-sysctl", "name": "x"})


def test_a_run_at_work_keeps_its_lock(live_root: Path, tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").touch()
    run = LiveRun(RUN_ID)
    run.open(tmp_path / "journal.jsonl")
    assert run.owner() == os.getpid()
    assert not LiveRun(RUN_ID).seize()
    assert clear_dead_runs() == []
    run.close()
    assert list(live_runs()) == []


def test_nobody_seizes_a_run_while_its_directory_goes(
    live_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock's file may go before the directory, and a new one must not take its place."""
    run = LiveRun(RUN_ID)
    run.open(tmp_path / "journal.jsonl")
    seized: list[bool] = []
    other = threading.Thread(target=lambda: seized.append(LiveRun(RUN_ID).seize()))

    def slowly(undo: dict[str, Any]) -> None:
        (run.path / "lock").unlink()
        other.start()
        other.join(timeout=0.2)
        assert seized == []
        carry_out(undo)

    monkeypatch.setattr(live_module, "carry_out", slowly)
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


def test_a_dead_run_is_undone_by_its_journal(live_root: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    program = f"""
import os
from pathlib import Path
from orchestrator.host import live
from orchestrator.host.journal import Journal
from orchestrator.host.undo import remove_directory
live.ROOT = Path({str(live_root)!r})
journal = Journal(Path({str(tmp_path / "journal.jsonl")!r}))
live.LiveRun({RUN_ID!r}).open(Path({str(tmp_path / "journal.jsonl")!r}))
journal.change("make a directory", remove_directory(Path({str(made)!r})))
Path({str(made)!r}).mkdir()
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    assert made.exists()
    assert [run.run_id for run in live_runs()] == [RUN_ID]
    assert clear_dead_runs() == [RUN_ID]
    assert not made.exists()
    assert list(live_runs()) == []


def test_names_that_are_no_run_ids_are_left_alone(live_root: Path) -> None:
    (live_root / "something-else").mkdir(parents=True)
    assert clear_dead_runs() == []
    assert (live_root / "something-else").exists()
