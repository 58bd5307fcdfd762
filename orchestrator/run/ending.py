"""How a run ends: all that goes wrong on the way out is kept, and the worst of it is what the command ends with.

An interrupt goes before what was left behind on the host, and that before any other failure; none hides the others,
whose words it bears.
"""

from __future__ import annotations

import traceback
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from orchestrator.errors import HedgerowError, LeftoversError, from_exception
from orchestrator.run.interrupts import Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.run.progress import Watcher


def left_behind(leftovers: Sequence[str], before: Sequence[HedgerowError] = ()) -> LeftoversError:
    """The error that tells of leftovers, and of what else went wrong `before`."""
    words = f"left behind on the host: {', '.join(leftovers)}"
    return LeftoversError("; ".join([*_messages(before), words]), "orchestrator down")


@contextmanager
def leftovers_told(leftovers: Sequence[str]) -> Iterator[None]:
    """What is done with a run's records: left, or failed, it ends with LeftoversError if there are any."""
    try:
        yield
    except Exception as raised:
        if not leftovers:
            raise
        raise left_behind(leftovers, [from_exception(raised)]) from raised
    if leftovers:
        raise left_behind(leftovers)


class Ending:
    """Takes the steps of a run and is told what is left; `watcher` hears of what could be lost otherwise."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._causes: list[Exception] = []
        #: What still bears the run's id, or could not be taken down; empty as it should be.
        self.leftovers: list[str] = []

    @contextmanager
    def step(self) -> Iterator[None]:
        """A step, after which the next one is taken whatever becomes of it."""
        try:
            yield
        except Exception as cause:
            self._causes.append(cause)

    @property
    def status(self) -> str:
        """For the manifest."""
        if not self._causes:
            return "complete"
        first = self._causes[0]
        return "interrupted" if isinstance(first, Interrupted) else f"failed: {from_exception(first).message}"

    def audited(self, leftovers: Sequence[str]) -> None:
        """These bear the run's id. Where there are none, what could not be taken down counts."""
        untaken = _messages([cause for cause in self._causes if isinstance(cause, LeftoversError)])
        self.leftovers = list(leftovers) or untaken
        for message in untaken if leftovers else ():
            self._tell(message)
        if self.leftovers:
            self._tell(f"{left_behind(self.leftovers).message}; orchestrator down tries again")

    def conclude(self, remembered: Interrupted | None) -> None:
        """Raises what the command is to end with; `remembered` is the interrupt that came late, if one did.

        Nothing is raised where all went well but for leftovers: there are results first, which are not lost to them.
        """
        errors = [from_exception(cause) for cause in self._causes]
        others = [error for error in errors if not isinstance(error, (Interrupted, LeftoversError))]
        interrupted = next((error for error in errors if isinstance(error, Interrupted)), remembered)
        left = [left_behind(self.leftovers)] if self.leftovers else []
        if interrupted is not None:
            self._tell_tracebacks()
            interrupted.message = "; ".join(_messages([interrupted, *others, *left]))
            interrupted.remedy = left[0].remedy if left else interrupted.remedy
            raise interrupted
        if left and others:
            self._tell_tracebacks()
            raise left_behind(self.leftovers, others)
        if others:
            raise self._first(others)

    def _tell_tracebacks(self) -> None:
        """Of what nobody foresaw, where another error is raised in its place."""
        for cause in self._causes:
            if not isinstance(cause, HedgerowError):
                self._tell("".join(traceback.format_exception(cause)).rstrip())

    def _tell(self, text: str) -> None:
        with suppress(OSError):  # a terminal that is gone keeps nothing from being given back
            self._watcher.say(text)

    def _first(self, others: Sequence[HedgerowError]) -> Exception:
        """As it was raised, so that its traceback is told; the others only in words."""
        for error in others[1:]:
            self._tell(error.message)
        return next(cause for cause in self._causes if not isinstance(cause, (Interrupted, LeftoversError)))


def _messages(errors: Sequence[HedgerowError]) -> list[str]:
    return list(dict.fromkeys(error.message for error in errors))
