"""How a run ends: every error on the way out is kept, and the command ends with the worst of them.

An interrupt is worse than what was left behind on the host, and that is worse than any other failure; the error that
is raised has the messages of the others.
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
    """The error for leftovers, with the messages of the errors `before`."""
    words = f"left behind on the host: {', '.join(leftovers)}"
    return LeftoversError("; ".join([*_messages(before), words]), "orchestrator down")


@contextmanager
def raising_leftovers(leftovers: Sequence[str]) -> Iterator[None]:
    """Raises LeftoversError on leaving if there are leftovers, also where what is done inside has failed."""
    try:
        yield
    except Exception as raised:
        if not leftovers:
            raise
        raise left_behind(leftovers, [from_exception(raised)]) from raised
    if leftovers:
        raise left_behind(leftovers)


class Ending:
    """Runs the steps of a run and collects their errors; messages that could be lost otherwise go to `watcher`."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._causes: list[Exception] = []
        #: What still bears the run's id, or could not be taken down; empty as it should be.
        self.leftovers: list[str] = []

    @contextmanager
    def step(self) -> Iterator[None]:
        """A step; the next one is taken even if it fails."""
        try:
            yield
        except Exception as cause:
            self._causes.append(cause)

    @property
    def status(self) -> str:
        """How the run ended, for the manifest: "complete", "interrupted" or "failed: …"."""
        if not self._causes:
            return "complete"
        first = self._causes[0]
        return "interrupted" if isinstance(first, Interrupted) else f"failed: {from_exception(first).message}"

    def audited(self, leftovers: Sequence[str]) -> None:
        """Sets `leftovers` to what bears the run's id or, if nothing does, to what could not be taken down."""
        untaken = _messages([cause for cause in self._causes if isinstance(cause, LeftoversError)])
        self.leftovers = list(leftovers) or untaken
        for message in untaken if leftovers else ():
            self._say(message)
        if self.leftovers:
            self._say(f"{left_behind(self.leftovers).message}; orchestrator down tries again")

    def conclude(self, remembered: Interrupted | None) -> None:
        """Raises what the command is to end with; `remembered` is the interrupt that came late, if one did.

        Nothing is raised where all went well but for leftovers: there are results first, which are not lost to them.
        """
        errors = [from_exception(cause) for cause in self._causes]
        others = [error for error in errors if not isinstance(error, (Interrupted, LeftoversError))]
        interrupted = next((error for error in errors if isinstance(error, Interrupted)), remembered)
        left = [left_behind(self.leftovers)] if self.leftovers else []
        if interrupted is not None:
            self._say_tracebacks()
            interrupted.message = "; ".join(_messages([interrupted, *others, *left]))
            interrupted.remedy = left[0].remedy if left else interrupted.remedy
            raise interrupted
        if left and others:
            self._say_tracebacks()
            raise left_behind(self.leftovers, others)
        if others:
            raise self._first(others)

    def _say_tracebacks(self) -> None:
        """Of unexpected exceptions, where another error is raised instead."""
        for cause in self._causes:
            if not isinstance(cause, HedgerowError):
                self._say("".join(traceback.format_exception(cause)).rstrip())

    def _say(self, text: str) -> None:
        with suppress(OSError):  # a closed terminal must not stop the cleaning up
            self._watcher.say(text)

    def _first(self, others: Sequence[HedgerowError]) -> Exception:
        """As it was raised, so that its traceback is printed; of the others only the messages are."""
        for error in others[1:]:
            self._say(error.message)
        return next(cause for cause in self._causes if not isinstance(cause, (Interrupted, LeftoversError)))


def _messages(errors: Sequence[HedgerowError]) -> list[str]:
    return list(dict.fromkeys(error.message for error in errors))
