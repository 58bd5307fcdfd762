"""`run --exclusive` and `run --max-duration`: who waits for whom, and when a run's time is over."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from hedgerow_node.units import NS_PER_MS, NS_PER_S
from orchestrator.cli import run
from orchestrator.commands import run as run_module
from orchestrator.commands.run import say_waiting
from orchestrator.errors import ExitCode, PrerequisiteError, RunError
from orchestrator.host import live, locks
from orchestrator.host.live import LiveRun, Working, clear_dead_runs, measuring, working_runs
from orchestrator.run.interrupts import Interrupts
from support.run_folder_factory import ROOT
from support.scenario_files import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMOKE = str(ROOT / "scenarios" / "smoke.yaml")
RUN_ID = "0123ab"


@pytest.fixture(autouse=True)
def live_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for /run/hedgerow, which only root may write."""
    monkeypatch.setattr(locks, "ROOT", tmp_path / "run")
    monkeypatch.setattr(live, "_WAIT_POLL_S", 0.01)
    return tmp_path / "run"


@pytest.fixture
def at_work(tmp_path: Path, live_root: Path) -> Iterator[LiveRun]:
    """This process is a run at work."""
    working = LiveRun(RUN_ID)
    working.open(tmp_path / "journal.jsonl")
    yield working
    working.close()


def never(runs: list[Working]) -> None:
    pytest.fail(f"waits for {runs}")


def test_plain_runs_measure_side_by_side(live_root: Path) -> None:
    with measuring(False, never), measuring(False, never):
        assert (live_root / "measuring").exists()
    assert list(live_root.iterdir()) == []


@pytest.mark.parametrize(("first", "second"), [(True, True), (True, False), (False, True)])
def test_an_exclusive_run_measures_alone(first: bool, second: bool, live_root: Path, at_work: LiveRun) -> None:
    said: list[list[Working]] = []
    order: list[str] = []

    def other() -> None:
        with measuring(second, said.append):
            order.append("second")

    waiting = threading.Thread(target=other)
    with measuring(first, never):
        waiting.start()
        wait_for(lambda: bool(said), "that the second run says whom it waits for")
        order.append("first")
    waiting.join(timeout=30)
    assert order == ["first", "second"]
    assert [[(run.run_id, run.pid) for run in runs] for runs in said] == [[(RUN_ID, os.getpid())]]
    assert not (live_root / "measuring").exists()


def test_who_waits_says_so_again_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_SAY_EVERY_S", 0.02)
    said: list[list[Working]] = []
    done = threading.Event()

    def other() -> None:
        with measuring(True, said.append):
            done.set()

    waiting = threading.Thread(target=other)
    with measuring(False, never):
        waiting.start()
        wait_for(lambda: len(said) >= 3, "a third message")
    waiting.join(timeout=30)
    assert done.is_set()


def test_the_lock_of_a_killed_run_blocks_no_other_and_is_removed_when_cleaning_up(live_root: Path) -> None:
    live_root.mkdir()
    (live_root / "measuring").touch()
    with measuring(True, never):
        """No process holds it."""
    (live_root / "measuring").touch()
    clear_dead_runs()
    assert not (live_root / "measuring").exists()


def test_cleaning_up_leaves_the_lock_of_a_run_at_work(live_root: Path) -> None:
    with measuring(False, never):
        clear_dead_runs()
        assert (live_root / "measuring").exists()


def test_runs_at_work_have_a_process_and_a_time(at_work: LiveRun, live_root: Path) -> None:
    os.utime(live_root / RUN_ID / "lock", (time.time() - 90, time.time() - 90))
    (found,) = working_runs()
    assert (found.run_id, found.pid) == (RUN_ID, os.getpid())
    assert 90 * NS_PER_S <= found.for_ns < 600 * NS_PER_S


def test_a_dead_run_is_not_at_work(live_root: Path) -> None:
    (live_root / RUN_ID).mkdir(parents=True)
    assert working_runs() == []
    (live_root / RUN_ID / "lock").write_text(f"{2**22 + 1}\n")  # beyond the largest process id
    assert working_runs() == []


def test_where_the_directory_cannot_be_written_root_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(_: bool) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(locks.MeasuringLock, "take", refusing)
    with pytest.raises(PrerequisiteError, match="cannot be written: Permission denied"), measuring(True, never):
        """Not reached."""


def test_waiting_can_be_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(run_module, "say_waiting", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    results = tmp_path / "results"
    with measuring(True, never):
        assert run(["run", SMOKE, "--backend", "netns", "--json", "--results", str(results)]) == 130
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["code"], error["message"]) == (130, "interrupted by SIGTERM")
    assert error["remedy"] == "nothing was measured yet"
    assert not results.exists()


@pytest.mark.parametrize(
    ("exclusive", "runs", "said"),
    [
        (
            True,
            [Working(RUN_ID, 47, 90 * NS_PER_S)],
            "run 0123ab (process 47, at work for 1 min 30 s): --exclusive",
        ),
        (False, [Working(RUN_ID, 47, NS_PER_S)], "run 0123ab (process 47, at work for 1 s): it is --exclusive"),
        (True, [], "another run, which is just beginning: --exclusive"),
    ],
)
def test_what_is_said_while_waiting(
    exclusive: bool, runs: list[Working], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    say_waiting(exclusive, runs)
    assert capsys.readouterr().err == f"waiting for {said}\n"


def test_a_run_that_would_take_longer_is_refused_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "results"
    assert run(["run", SMOKE, "--backend", "netns", "--max-duration", "2s", "--results", str(results)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("the run would take about ")
    assert "more than --max-duration 2s\nremedy: give it more time" in said
    assert not results.exists()


def test_a_duration_without_a_unit_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", SMOKE, "--max-duration", "10", "--json"]) == 2
    message = json.loads(capsys.readouterr().out)["error"]["message"]
    assert message.startswith("--max-duration 10: '10' is not a duration")


def test_when_its_time_is_over_the_run_ends() -> None:
    before, timer = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
    with pytest.raises(RunError, match="its --max-duration") as caught, Interrupts(20 * NS_PER_MS):
        time.sleep(30)
    assert caught.value.exit_code == ExitCode.RUN_FAILED
    assert "in the run folder" in caught.value.remedy
    assert signal.getsignal(signal.SIGALRM) == before
    assert (signal.getitimer(signal.ITIMER_REAL)[0] > 0) == (timer[0] > 0)


def test_a_run_that_is_ending_is_not_ended_again() -> None:
    with Interrupts(NS_PER_S) as interrupts:
        with interrupts.shielded_after():
            """All blocks are done."""
        wait_for(lambda: signal.getitimer(signal.ITIMER_REAL)[0] == 0, "the end of its time")
        assert interrupts.remembered is None


def test_an_interrupt_after_the_time_is_over_does_not_disturb_the_cleaning_up() -> None:
    with Interrupts(20 * NS_PER_MS) as interrupts:
        with pytest.raises(RunError), interrupts.shielded_after():
            time.sleep(30)
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupts.remembered is not None
