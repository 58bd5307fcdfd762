"""The ways a command may fail, each with its exit code, so that scripts can tell them apart.

    HedgerowError
    ├── UsageError         2    what was asked for does not exist or makes no sense
    ├── ScenarioError      2    a scenario that cannot be run, with every problem in it
    ├── PrerequisiteError  4    the host lacks something
    ├── RunError           5    a run could not be finished, or its folder is incomplete
    └── LeftoversError     6    something that a run made is still on the host

Every error carries a remedy: a message that says what is wrong without saying what to do next is half a message.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP),
    errno.EEXIST,
)


class ExitCode(IntEnum):
    """What a command's exit code says."""

    DONE = 0
    REFUTED = 1
    USAGE = 2
    INCONCLUSIVE = 3
    PREREQUISITE = 4
    RUN_FAILED = 5
    LEFTOVERS = 6
    INTERRUPTED = 130


class HedgerowError(Exception):
    """An error that the code expects: printed as message and remedy, without a traceback."""

    exit_code = ExitCode.RUN_FAILED

    def __init__(self, message: str, remedy: str = "", exit_code: ExitCode | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        if exit_code is not None:
            self.exit_code = exit_code

    def as_json(self) -> dict[str, dict[str, object]]:
        """The object that `--json` prints; `code` is the command's exit code."""
        return {"error": {"code": int(self.exit_code), "message": self.message, "remedy": self.remedy}}


class UsageError(HedgerowError):
    """The command was asked for something that does not exist or makes no sense."""

    exit_code = ExitCode.USAGE


#: The way to a value in a scenario: keys of mappings, indices of lists.
KeyPath = tuple[str | int, ...]


def dotted(path: KeyPath) -> str:
    """`path` as people write it: ("claims", 0, "expect") → "claims[0].expect"."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


@dataclass(frozen=True)
class Finding:
    """One thing wrong with a scenario.

    `path` is the way to the key it is about, empty where it is the file itself. Loading adds `where`: "FILE:LINE", or
    the `--set` option that brought the value; and `about`: the id of what the key belongs to, where that has one.
    """

    path: KeyPath
    message: str
    remedy: str = ""
    where: str = ""
    about: str = ""

    def __str__(self) -> str:
        key = f"{self.key} ({self.about})" if self.about else self.key
        text = ": ".join(part for part in (self.where, key, self.message) if part)
        return f"{text}; {self.remedy}" if self.remedy else text

    @property
    def key(self) -> str:
        """The path as people write it."""
        return dotted(self.path)

    def below(self, path: KeyPath) -> Finding:
        """The same of the whole, where this one is about the part of it at `path`."""
        return replace(self, path=path + self.path)

    def as_json(self) -> dict[str, str]:
        """The finding as one of `problems` in an error."""
        return {"where": self.where, "key": self.key, "message": self.message, "remedy": self.remedy}


class ScenarioError(HedgerowError):
    """A scenario that cannot be run; holds every problem found, one line each."""

    exit_code = ExitCode.USAGE

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(str(finding) for finding in self.findings))

    def as_json(self) -> dict[str, dict[str, object]]:
        """As of any error, with the problems one by one beside the message that holds them all."""
        return {"error": {**super().as_json()["error"], "problems": [finding.as_json() for finding in self.findings]}}


class PrerequisiteError(HedgerowError):
    """The host lacks something that the command needs."""

    exit_code = ExitCode.PREREQUISITE


class RunError(HedgerowError):
    """A run began and could not be finished, or its folder does not hold what it should."""

    exit_code = ExitCode.RUN_FAILED


class LeftoversError(HedgerowError):
    """Objects that bear a run's id were left behind on the host."""

    exit_code = ExitCode.LEFTOVERS


def disk_is_full(raised: Exception) -> bool:
    """Whether the exception says that nothing more can be written."""
    return isinstance(raised, OSError) and raised.errno in _FULL


@contextmanager
def file_errors(remedy: str) -> Iterator[None]:
    """What the system refuses of the files that are used inside, as an error with `remedy`.

    UsageError where a file may not be read or written, or cannot be there; RunError where the disk is full.
    """
    try:
        yield
    except OSError as raised:
        if raised.filename is not None and raised.errno in _REFUSED:
            raise UsageError(_refusal(raised), remedy) from raised
        if raised.filename is not None and disk_is_full(raised):
            raise from_exception(raised) from raised
        raise


def _refusal(raised: OSError) -> str:
    words = os.strerror(raised.errno) if raised.errno else raised.strerror
    return f"{'' if raised.filename is None else f'{raised.filename}: '}{words}"


def from_exception(raised: Exception) -> HedgerowError:
    """The exception itself where it is one of ours, else a RunError with its message.

    The traceback, which says where an unexpected exception came from, is for the caller to print.
    """
    if isinstance(raised, HedgerowError):
        return raised
    if isinstance(raised, OSError) and raised.strerror:
        remedy = "check free space and permissions"
        if disk_is_full(raised):
            remedy = "make room on the disk; a run that was measured is finished by orchestrator analyze"
        return RunError(_refusal(raised), remedy)
    return RunError(f"{type(raised).__name__}: {raised}", "this error was not expected: please report it")
