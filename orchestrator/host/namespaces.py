"""Named network namespaces: made and deleted with iproute2, and entered for a moment to open a socket inside.

pyroute2 can do all of this too, but by forking copies of the calling process, which then carry its signal handlers
and its half-done clean-up with them.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import PrerequisiteError

if TYPE_CHECKING:
    from collections.abc import Iterator

DIRECTORY = Path("/run/netns")
_CLONE_NEWNET = 0x40000000


def exists(name: str) -> bool:
    """Whether there is a namespace of that name."""
    return (DIRECTORY / name).exists()


def create(name: str) -> None:
    """Makes it; PrerequisiteError where the kernel or a missing privilege forbids it."""
    _ip("add", name)


def delete(name: str) -> None:
    """Deletes it; its links go once no process is left inside."""
    _ip("delete", name)


@contextmanager
def inside(name: str) -> Iterator[None]:
    """Puts the calling thread into the namespace: sockets opened inside stay in it."""
    libc = ctypes.CDLL(None, use_errno=True)
    ours = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        theirs = os.open(DIRECTORY / name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(libc, theirs)
        finally:
            os.close(theirs)
        yield
    finally:
        _enter(libc, ours)
        os.close(ours)


def _enter(libc: ctypes.CDLL, fd: int) -> None:
    if libc.setns(fd, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")


def _ip(verb: str, name: str) -> None:
    done = subprocess.run(["ip", "netns", verb, name], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PrerequisiteError(
            f"ip netns {verb} {name}: {' '.join(done.stderr.split())}", "orchestrator doctor says what is missing"
        )
