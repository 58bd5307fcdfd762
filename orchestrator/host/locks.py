"""/run/hedgerow: the directory in which runs have theirs, and the lock that keeps them from colliding there."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path("/run/hedgerow")


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
