"""Live runs under /run/hedgerow: a directory each with control sockets, a link to the journal and a lock.

The lock is held by the run's process and freed by the kernel however that ends: a directory whose lock is free
belongs to a run that died, or that could not give everything back, and what its journal says can be undone.
Directories are made, seized and removed under the lock of /run/hedgerow itself, so that a run that is starting
or ending is not taken for a dead one.
"""

from __future__ import annotations

import fcntl
import math
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

from orchestrator.errors import HedgerowError, LeftoversError, PrerequisiteError, from_exception
from orchestrator.host import locks
from orchestrator.host.audit import RUN_ID, remaining
from orchestrator.host.undo import by_marks, carry_out_for
from orchestrator.runfolder.journal import undos

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_LOCK, _JOURNAL = "lock", "journal.jsonl"
_WAIT_POLL_S = 0.2
_SAY_EVERY_S = 60.0


class LiveRun:
    """The directory of one run."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.path = locks.ROOT / run_id
        self._lock_fd: int | None = None

    @property
    def journal(self) -> Path:
        """Where the link to the journal is."""
        return self.path / _JOURNAL

    def open(self, journal: Path) -> None:
        """Makes the directory and takes the lock, for a run whose journal is the file `journal`.

        Raises PrerequisiteError where /run/hedgerow cannot be written.
        """
        try:
            with locks.locked():
                self.path.mkdir()
                # another process that checks this lock holds it briefly: wait for that
                self._take_lock(fcntl.LOCK_EX)
        except PermissionError as error:
            raise PrerequisiteError(f"{self.path} cannot be made: {error.strerror}", "run as root (sudo)") from error
        self.journal.symlink_to(journal.resolve())

    def close(self) -> None:
        """Removes the directory and frees the lock."""
        if self.path.exists():
            with locks.locked():
                rmtree(self.path)
        self.release()

    def release(self) -> None:
        """Frees the lock and leaves the directory: what the run did not give back is for `orchestrator down`."""
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def seize(self) -> bool:
        """Takes the lock of a run that died; False where a process holds it or the run is gone by now."""
        with locks.locked():
            return self.path.exists() and self._take_lock(fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _take_lock(self, how: int) -> bool:
        fd = os.open(self.path / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, how)
        except BlockingIOError:
            os.close(fd)
            return False
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())
        self._lock_fd = fd
        return True

    def owner(self) -> int | None:
        """The process that holds the lock, as it wrote it there; None where it did not get that far, or is gone."""
        try:
            text = (self.path / _LOCK).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        return int(text) if text.isdigit() else None

    def undo(self) -> None:
        """Undoes what the run changed, by its journal or, where that is gone, by its marks. Needs the lock.

        Raises LeftoversError where that fails or something that bears the run's id is still there, RunError where a
        later version wrote the journal. The directory then stays, so that it can be tried again.
        """
        try:
            recorded = list(undos(self.journal)) if self.journal.exists() else []
            self._run_all_then_raise(
                [*(partial(carry_out_for, self.run_id, undo) for undo in recorded), self._by_marks]
            )
            self.close()
        finally:
            self.release()

    def _by_marks(self) -> None:
        by_marks(self.run_id)
        left = remaining(self.run_id)
        if left:
            raise LeftoversError(f"still there: {', '.join(left)}", "see docs/architecture.md, Cleaning up")

    @staticmethod
    def _run_all_then_raise(steps: Sequence[Callable[[], None]]) -> None:
        """Runs all steps in order; then, if any failed, raises one LeftoversError with all messages."""
        problems: list[HedgerowError] = []
        for step in steps:
            try:
                step()
            except (HedgerowError, OSError) as error:
                problems.append(from_exception(error))
        if problems:
            messages = dict.fromkeys(problem.message for problem in problems)
            raise LeftoversError("; ".join(messages), problems[0].remedy)


@dataclass(frozen=True)
class Working:
    """A run at work: its id, its process, and for how long it has been there."""

    run_id: str
    pid: int
    for_ns: int


def working_runs() -> list[Working]:
    """The runs whose process is there, by their locks."""
    found = []
    for run in live_runs():
        pid = run.owner()
        with suppress(FileNotFoundError):  # the run, or its process, has ended in between
            if pid is not None and Path(f"/proc/{pid}").stat():
                since_ns = (run.path / _LOCK).stat().st_mtime_ns
                found.append(Working(run.run_id, pid, max(0, time.time_ns() - since_ns)))
    return found


@contextmanager
def measuring(exclusive: bool, waiting: Callable[[list[Working]], None]) -> Iterator[None]:
    """While entered, no exclusive run measures beside this one; beside an `exclusive` one, no other run at all.

    Until that is so, it waits, and calls `waiting` with the runs at work: at once, and then every minute. Raises
    PrerequisiteError where /run/hedgerow cannot be written.
    """
    lock = locks.MeasuringLock(exclusive)
    said_s = -math.inf
    try:
        while not lock.take():
            if time.monotonic() - said_s >= _SAY_EVERY_S:
                said_s = time.monotonic()
                waiting(working_runs())
            time.sleep(_WAIT_POLL_S)
    except PermissionError as error:
        raise PrerequisiteError(f"{locks.ROOT} cannot be written: {error.strerror}", "run as root (sudo)") from error
    try:
        yield
    finally:
        lock.release()


def live_runs() -> Iterator[LiveRun]:
    """The runs that have a directory, dead ones too."""
    if locks.ROOT.is_dir():
        for path in sorted(locks.ROOT.iterdir()):
            if path.is_dir() and RUN_ID.fullmatch(path.name):
                yield LiveRun(path.name)


@dataclass
class Cleared:
    """The result of undoing runs: the ids of those that are undone, and why others are not."""

    runs: list[str] = field(default_factory=list)
    failed: dict[str, HedgerowError] = field(default_factory=dict)

    def undo(self, run: LiveRun) -> None:
        """Undoes a run whose lock was taken."""
        try:
            run.undo()
        except Exception as error:
            self.failed[run.run_id] = from_exception(error)
        else:
            self.runs.append(run.run_id)

    def failures(self) -> list[str]:
        """Why the others were not undone, a line each."""
        return [f"run {run_id} cannot be undone: {error.message}" for run_id, error in self.failed.items()]


def clear_dead_runs() -> Cleared:
    """Undoes every run that died; one that cannot be undone does not stop the others."""
    cleared = Cleared()
    for run in live_runs():
        if run.seize():
            cleared.undo(run)
    locks.remove_measuring_lock()
    return cleared
