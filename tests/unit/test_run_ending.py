"""However a run ends, the host is given back, every error is reported, and the worst one decides the exit code."""

from __future__ import annotations

import json
import os
import signal
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.errors import ExitCode, HedgerowError, LeftoversError, RunError
from orchestrator.host import locks
from orchestrator.host.live import LiveRun, live_runs
from orchestrator.plan.blocks import make_plan
from orchestrator.run import runner
from orchestrator.run.ending import raising_leftovers
from orchestrator.run.interrupts import Interrupted
from orchestrator.run.runner import Runner
from orchestrator.runfolder.folder import RunFolder
from orchestrator.runfolder.observed import Lateness, NoiseProbe
from support.experiments import OPEN, experiment_of

if TYPE_CHECKING:
    from collections.abc import Callable


def nothing() -> None:
    """All goes well."""


def fail() -> None:
    raise RunError("the hedger ended")


def surprise() -> None:
    raise KeyError("surprise")


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def keep_processes() -> None:
    raise LeftoversError("processes [12] do not end")


QUIET = NoiseProbe(0.3, "short", 1, 300, Lateness(50.0, 60.0, 70.0, 51.0), 0.0, 0)


class Stage:
    """A run whose blocks and whose taking down are what a test says; `left` is what the audit finds."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.blocks: Callable[[], None] = nothing
        self.down: Callable[[], None] = nothing
        self.left: list[str] = []
        self.said: list[str] = []
        self.taken_down = False
        monkeypatch.setattr(locks, "ROOT", tmp_path / "run")
        monkeypatch.setattr(runner, "probe", lambda *_: QUIET)
        monkeypatch.setattr(runner, "observed", lambda *_: nullcontext())
        monkeypatch.setattr(runner, "Series", lambda *_: SimpleNamespace(run=lambda *_: self.blocks()))
        monkeypatch.setattr(runner, "remaining", self._audit)
        experiment = experiment_of(OPEN)
        self.folder = RunFolder.create(tmp_path, "example")
        self.watcher: Any = SimpleNamespace(say=self.said.append)
        self.run = Runner(experiment, make_plan(experiment), self.folder, self.watcher)

    def _audit(self, run_id: str) -> list[str]:
        assert self.taken_down
        assert LiveRun(run_id).path.exists(), "what is left could not be found any more"
        return self.left

    def _topology(self, *_: object) -> Any:
        return SimpleNamespace(up=nothing, down=self._down, describe=lambda: None)

    def _down(self) -> None:
        self.taken_down = True
        self.down()

    def measure(self) -> HedgerowError | Exception | None:
        """What it ends with."""
        try:
            self.run.measure(self._topology, "netns")
        except Exception as error:
            return error
        return None

    @property
    def status(self) -> str:
        return str(json.loads(self.folder.manifest.read_text(encoding="utf-8"))["status"])

    def ended(self) -> list[str]:
        """What the journal says is left."""
        last: dict[str, Any] = json.loads(self.folder.journal.read_text(encoding="utf-8").splitlines()[-1])
        assert last["event"] == "end"
        return list(last["leftovers"])


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(tmp_path, monkeypatch)


def test_a_run_that_goes_well_leaves_nothing(stage: Stage) -> None:
    assert stage.measure() is None
    assert (stage.status, stage.ended(), list(live_runs())) == ("complete", [], [])


@pytest.mark.parametrize(
    ("blocks", "code", "status"),
    [
        (fail, ExitCode.RUN_FAILED, "failed: the hedger ended"),
        (interrupt, ExitCode.INTERRUPTED, "interrupted"),
        (surprise, None, "failed: KeyError: 'surprise'"),
    ],
    ids=["failed", "interrupted", "unforeseen"],
)
def test_the_manifest_tells_how_it_ended(
    stage: Stage, blocks: Callable[[], None], code: ExitCode | None, status: str
) -> None:
    stage.blocks = blocks
    error = stage.measure()
    assert getattr(error, "exit_code", None) == code
    assert stage.status == status
    assert stage.taken_down
    assert list(live_runs()) == []


@pytest.mark.parametrize(
    ("blocks", "code"),
    [(fail, ExitCode.LEFTOVERS), (surprise, ExitCode.LEFTOVERS), (interrupt, ExitCode.INTERRUPTED)],
    ids=["failed", "unforeseen", "interrupted"],
)
@pytest.mark.parametrize("down", [nothing, keep_processes, surprise])
def test_leftovers_are_reported_however_it_ended_and_down_can_find_them(
    stage: Stage, blocks: Callable[[], None], down: Callable[[], None], code: ExitCode
) -> None:
    stage.blocks, stage.down, stage.left = blocks, down, ["process 12"]
    error = stage.measure()
    assert isinstance(error, HedgerowError)
    assert error.exit_code == code
    assert error.message.endswith("left behind on the host: process 12")
    assert error.remedy == "orchestrator down"
    assert ("the hedger ended" in error.message) == (blocks is fail)
    assert ("KeyError" in error.message) == (surprise in {blocks, down})
    assert any("in surprise" in said for said in stage.said) == (surprise in {blocks, down})
    assert "left behind on the host: process 12; orchestrator down tries again" in stage.said
    assert stage.ended() == ["process 12"]
    (kept,) = live_runs()
    assert kept.seize()
    kept.close()


def test_leftovers_of_a_run_with_results_are_not_raised_over_them(stage: Stage) -> None:
    stage.left = ["process 12"]
    assert stage.measure() is None
    assert stage.run.leftovers == ["process 12"]
    assert len(list(live_runs())) == 1


def test_what_cannot_be_taken_down_is_left_though_the_audit_does_not_see_it(stage: Stage) -> None:
    """As where no engine answers, and so the containers in it are unknown."""
    stage.down = keep_processes
    assert stage.measure() is None
    assert stage.run.leftovers == ["processes [12] do not end"]
    assert len(list(live_runs())) == 1


def test_an_interrupt_while_cleaning_up_goes_before_what_is_left(stage: Stage) -> None:
    stage.blocks, stage.down, stage.left = fail, interrupt, ["process 12"]
    error = stage.measure()
    assert isinstance(error, Interrupted)
    assert error.message == "interrupted by SIGTERM; the hedger ended; left behind on the host: process 12"


@pytest.mark.parametrize("left", [[], ["process 12"]])
def test_a_terminal_that_is_gone_keeps_nothing_from_being_given_back(stage: Stage, left: list[str]) -> None:
    def gone(_: str) -> None:
        raise OSError(5, "Input/output error")

    def hang_up() -> None:
        stage.watcher.say = gone
        interrupt()

    stage.blocks, stage.down, stage.left = hang_up, surprise, left
    assert isinstance(stage.measure(), Interrupted)
    assert [run.run_id for run in live_runs()] == ([stage.run.run_id] if left else [])


def test_a_full_disk_keeps_nothing_from_being_given_back(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "manifest.new")

    def fill() -> None:
        monkeypatch.setattr(Path, "replace", full)
        full()

    stage.blocks = fill
    error = stage.measure()
    assert isinstance(error, OSError)
    monkeypatch.undo()
    assert stage.taken_down
    assert stage.status == "unfinished"
    assert not stage.folder.path.joinpath("manifest.new").exists()
    assert not (stage.folder.path.parent / "run" / stage.run.run_id).exists()


def test_a_manifest_is_whole_at_any_moment(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    states: list[Any] = []
    write = Path.write_text

    def looked_at(path: Path, text: str, **options: Any) -> int:
        written = write(path, text[: len(text) // 2], **options)
        if stage.folder.manifest.exists():
            states.append(json.loads(stage.folder.manifest.read_text(encoding="utf-8"))["status"])
        return written + write(path, text, **options)

    monkeypatch.setattr(Path, "write_text", looked_at)
    assert stage.measure() is None
    assert set(states) == {"unfinished", "complete"}


def test_leftovers_go_before_what_fails_after_measuring() -> None:
    words = "no such table; left behind on the host: process 12"
    with pytest.raises(LeftoversError, match=words), raising_leftovers(["process 12"]):
        raise RunError("no such table")
    with pytest.raises(RunError, match="no such table"), raising_leftovers([]):
        raise RunError("no such table")
    with pytest.raises(LeftoversError), raising_leftovers(["process 12"]):
        """Nothing fails."""
