"""SIGINT, SIGTERM and SIGHUP: the first one interrupts the run, later ones do not disturb the cleaning up."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from hedgerow_node.units import NS_PER_S
from orchestrator.errors import ExitCode, HedgerowError, RunError
from orchestrator.plan.eta import format_rough_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    _Handler = Callable[[int, FrameType | None], object] | int | None

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(HedgerowError):  # noqa: N818 - an event, not a fault
    """The run was asked to end."""

    exit_code = ExitCode.INTERRUPTED

    def __init__(self, number: int) -> None:
        super().__init__(
            f"interrupted by {signal.Signals(number).name}", "what was measured so far is in the run folder"
        )


class Interrupts:
    """While entered, turns the first of the signals into `Interrupted`, raised in the main thread.

    With a `limit_ns`, RunError is raised there instead once that time has passed, unless the run is ending by then.
    It uses SIGALRM, whose timer it sets as it was when it is left.
    """

    def __init__(self, limit_ns: int | None = None) -> None:
        self._limit_ns = limit_ns
        self._timer_before = (0.0, 0.0)
        self._before: dict[signal.Signals, _Handler] = {}
        self._shielded = False
        self._number: int | None = None

    def __enter__(self) -> Interrupts:
        for number in _SIGNALS:
            # nohup sets this, so that a run outlives its terminal
            if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue
            self._before[number] = signal.signal(number, self._receive)
        if self._limit_ns is not None:
            self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._end_in_time)
            self._timer_before = signal.setitimer(signal.ITIMER_REAL, self._limit_ns / NS_PER_S)
        return self

    def __exit__(self, *_: object) -> None:
        if self._limit_ns is not None:
            signal.setitimer(signal.ITIMER_REAL, *self._timer_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def shielded_after(self) -> Iterator[None]:
        """On leaving, signals are only remembered from now on: what follows must not be interrupted."""
        try:
            yield
        finally:
            self._shielded = True

    @property
    def remembered(self) -> Interrupted | None:
        """The interrupt to raise if a signal came while shielded."""
        return None if self._number is None else Interrupted(self._number)

    def _end_in_time(self, _number: int, _frame: FrameType | None) -> None:
        if not self._shielded and self._limit_ns is not None:
            self._shielded = True
            raise RunError(
                f"the run is not done after {format_rough_duration(self._limit_ns)}, its --max-duration",
                "what was measured so far is in the run folder; give it more time, or measure less (--smoke)",
            )

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self._shielded:
            with suppress(OSError):  # a closed terminal must not disturb the cleaning up either
                print("cleaning up", file=sys.stderr, flush=True)
            self._number = self._number or number
            return
        self._shielded = True
        raise Interrupted(number)
