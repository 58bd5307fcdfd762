"""What /proc says about processes, for tests that must not take a program's own word for it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from support.node_programs import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def eventually(look: Callable[[], T]) -> T:
    """What `look` gives once that is true; TimeoutError where it never is. How long it takes does not matter."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not (seen := look()):
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"it never came true; the last look gave {seen!r}")
        time.sleep(0.002)
    return seen


def state(pid: int) -> str:
    """The letter for the state of `pid` in /proc; empty where it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def ran_ns(pid: int) -> int:
    """How long the first thread of `pid` has run, in ns, by the scheduler's statistics."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def children(pid: int) -> set[int]:
    """The processes that the single-threaded `pid` has forked and not reaped."""
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
