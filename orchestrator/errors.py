"""The ways a command may end badly, each with its exit code, so that scripts can tell them apart.

Every error carries a remedy: a message that says what is wrong without saying what to do next is half a message.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


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
    """Something went wrong in a way that we foresaw: printed as message and remedy, without a traceback."""

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


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a scenario.

    `where` is "FILE:LINE" (or the `--set` option that brought the value), `key` the dotted path, empty where the
    problem is the file itself; `about` is the id of what the key belongs to, where that has one.
    """

    where: str
    key: str
    message: str
    remedy: str = ""
    about: str = ""

    def __str__(self) -> str:
        key = f"{self.key} ({self.about})" if self.about else self.key
        text = ": ".join(part for part in (self.where, key, self.message) if part)
        return f"{text}; {self.remedy}" if self.remedy else text

    def as_json(self) -> dict[str, str]:
        """The problem as one of `problems` in an error."""
        return {"where": self.where, "key": self.key, "message": self.message, "remedy": self.remedy}


class ScenarioError(HedgerowError):
    """A scenario that cannot be run; holds every problem found, one line each."""

    exit_code = ExitCode.USAGE

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def as_json(self) -> dict[str, dict[str, object]]:
        """As of any error, with the problems one by one beside the message that holds them all."""
        return {"error": {**super().as_json()["error"], "problems": [problem.as_json() for problem in self.problems]}}


class PrerequisiteError(HedgerowError):
    """The host lacks something that the command needs."""

    exit_code = ExitCode.PREREQUISITE


class RunError(HedgerowError):
    """A run began and could not be finished, or its folder does not hold what it should."""

    exit_code = ExitCode.RUN_FAILED


class LeftoversError(HedgerowError):
    """Objects that bear a run's id were left behind on the host."""

    exit_code = ExitCode.LEFTOVERS
