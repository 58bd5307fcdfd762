"""/run/hedgerow, the directory in which runs have theirs, and the locks that keep runs apart."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path("/run/hedgerow")
_MEASURING = "measuring"


@contextmanager
def locked() -> Iterator[Path]:
    """The directory, made if missing, while no other process holds this lock; not reentrant."""
    ROOT.mkdir(parents=True, exist_ok=True)
    fd = os.open(ROOT, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield ROOT
    finally:
        os.close(fd)


class MeasuringLock:
    """Held by every run that measures on this host: shared, or by an exclusive run alone.

    Its file is there while somebody holds it. It is opened and removed under the directory's own lock, so that no two
    runs hold locks of different files.
    """

    def __init__(self, exclusive: bool) -> None:
        self._operation = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
        self._fd: int | None = None

    def take(self) -> bool:
        """Takes it, if that is possible at once."""
        with locked() as root:
            fd = os.open(root / _MEASURING, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, self._operation | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                return False
        self._fd = fd
        return True

    def release(self) -> None:
        """Gives it back."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
            remove_measuring_lock()


def remove_measuring_lock() -> None:
    """Removes the file of the lock that measuring runs hold, unless one does: runs that were killed leave it."""
    if not (ROOT / _MEASURING).exists():
        return
    with locked() as root, suppress(FileNotFoundError, BlockingIOError, PermissionError):
        fd = os.open(root / _MEASURING, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (root / _MEASURING).unlink()
        finally:
            os.close(fd)
