"""Live runs under /run/hedgerow: a directory each with control sockets, a link to the journal and a lock.

The lock is held by the run's process and freed by the kernel however that ends: a directory whose lock is free
belongs to a run that died, and what its journal says can be undone. Directories are made, seized and removed under a
lock on /run/hedgerow itself, so that nobody takes a run that is just starting or ending for a dead one.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import PrerequisiteError
from orchestrator.host.journal import undos
from orchestrator.host.marks import RUN_ID
from orchestrator.host.undo import by_marks, carry_out, remove_directory

ROOT = Path("/run/hedgerow")
_LOCK, _JOURNAL = "lock", "journal.jsonl"


@contextmanager
def _root_lock() -> Iterator[None]:
    fd = os.open(ROOT, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


class LiveRun:
    """The directory of one run."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.path = ROOT / run_id
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
            ROOT.mkdir(parents=True, exist_ok=True)
            with _root_lock():
                self.path.mkdir()
                self._take_lock()
        except PermissionError as error:
            raise PrerequisiteError(f"{self.path} cannot be made: {error.strerror}", "run as root (sudo)") from error
        self.journal.symlink_to(journal.resolve())

    def close(self) -> None:
        """Removes the directory and frees the lock."""
        if self.path.exists():
            with _root_lock():
                carry_out(remove_directory(self.path))
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def seize(self) -> bool:
        """Takes the lock of a run that died; False where a process holds it or the run is gone by now."""
        with _root_lock():
            return self.path.exists() and self._take_lock()

    def _take_lock(self) -> bool:
        fd = os.open(self.path / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
        """Undoes what the run changed, by its journal or, where that is gone, by its marks. Needs the lock."""
        if self.journal.exists():
            for undo in undos(self.journal):
                carry_out(undo)
        by_marks(self.run_id)
        self.close()


def live_runs() -> Iterator[LiveRun]:
    """The runs that have a directory, dead ones too."""
    if ROOT.is_dir():
        for path in sorted(ROOT.iterdir()):
            if path.is_dir() and RUN_ID.fullmatch(path.name):
                yield LiveRun(path.name)


def clear_dead_runs() -> list[str]:
    """Undoes every run that died; their ids."""
    cleared = []
    for run in live_runs():
        if run.seize():
            run.undo()
            cleared.append(run.run_id)
    return cleared
