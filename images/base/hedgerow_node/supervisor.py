"""The skeleton that the containers' main processes share: one thread, one poll loop, control socket and signals.

A supervisor does nothing but answer and watch, so that it can be asked at any time; the work is its workers'.
"""

from __future__ import annotations

import heapq
import itertools
import signal
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hedgerow_node.clock import now_ns
from hedgerow_node.control import ControlServer, Operation
from hedgerow_node.poller import Poller

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass
class _Periodic:
    interval_ns: int
    callback: Callable[[], None]
    due_ns: int

    def tick(self) -> None:
        late_ns = now_ns() - self.due_ns
        if late_ns >= 0:
            self.due_ns += self.interval_ns * (late_ns // self.interval_ns + 1)
            self.callback()


class Timer:
    """A call at a time, as `Supervisor.at` gives it; `cancel` takes it back, also after it was made."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    @property
    def is_set(self) -> bool:
        """Whether the call is still to be made."""
        return self._callback is not None

    def cancel(self) -> None:
        """Do not make the call."""
        self._callback = None

    def fire(self) -> None:
        """Make the call, once."""
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class Supervisor:
    """A control socket (where `control_path` is given), the operation `stop`, and a clean end on SIGTERM and SIGINT.

    Raises ControlError or OSError where the control socket cannot be opened.
    """

    def __init__(self, control_path: Path | None) -> None:
        self._control = ControlServer(control_path)
        self._control.operation("stop", lambda _: self.stop())
        self._poller = Poller()
        self._control.join(self._poller)
        #: By descriptor, each in a tuple of its own: see `_handle`.
        self._callbacks: dict[int, tuple[Callable[[], None]]] = {}
        self._periodics: list[_Periodic] = []
        self._timers: list[tuple[int, int, Timer]] = []  # a heap; the number in the middle breaks ties
        self._timer_numbers = itertools.count()
        self._stopping = False
        self._signalled, self._wakeup = socket.socketpair()
        self._wakeup.setblocking(False)
        self._signalled.setblocking(False)
        signal.set_wakeup_fd(self._wakeup.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            # Python writes to the wake-up descriptor only for signals that have a handler.
            signal.signal(number, lambda *_: None)
        self.watch(self._signalled.fileno(), self.stop)

    def operation(self, name: str, operation: Operation) -> None:
        """Answer requests to `do` `name`; see `ControlServer.operation`."""
        self._control.operation(name, operation)

    def watch(self, fd: int, callback: Callable[[], None]) -> None:
        """Call `callback` whenever `fd` is ready to be read."""
        self._callbacks[fd] = (callback,)
        self._poller.register(fd)

    def unwatch(self, fd: int) -> None:
        """Stop watching `fd`."""
        self._poller.unregister(fd)
        del self._callbacks[fd]

    def every(self, interval_ns: int, callback: Callable[[], None]) -> None:
        """Call `callback` each time another `interval_ns` have passed; one that takes longer skips some."""
        self._periodics.append(_Periodic(interval_ns, callback, now_ns() + interval_ns))

    def at(self, due_ns: int, callback: Callable[[], None]) -> Timer:
        """Call `callback` once CLOCK_MONOTONIC reaches `due_ns`, at once where it has; equal times in this order.

        How late that is, is up to the timer slack (`clock.set_timer_slack_ns`) and to what else there is to answer.
        """
        timer = Timer(callback)
        heapq.heappush(self._timers, (due_ns, next(self._timer_numbers), timer))
        return timer

    def emit(self, event: str, **fields: object) -> None:
        """Push `event` to all that are connected."""
        self._control.emit(event, **fields)

    def stop(self) -> None:
        """Let `run` return once what is ready has been handled."""
        self._stopping = True

    def run(self) -> None:
        """Answer and watch until `stop` is called, then close the control socket."""
        while not self._stopping:
            ready = self._poller.wait(self._next_due_ns())
            watched = [(fd, self._callbacks.get(fd)) for fd in ready]
            # Timers go first: their times matter more than when an answer leaves.
            while self._timers and self._timers[0][0] <= now_ns():
                heapq.heappop(self._timers)[2].fire()
            for fd, callback in watched:
                self._handle(fd, callback)
            for periodic in self._periodics:
                periodic.tick()
        signal.set_wakeup_fd(-1)
        self._control.close()

    def _next_due_ns(self) -> int | None:
        while self._timers and not self._timers[0][2].is_set:
            heapq.heappop(self._timers)
        due_ns = [periodic.due_ns for periodic in self._periodics]
        return min([self._timers[0][0], *due_ns] if self._timers else due_ns, default=None)

    def _handle(self, fd: int, callback: tuple[Callable[[], None]] | None) -> None:
        """What the ready `fd` asks for, unless it has been closed since and its number given to another."""
        if callback is None:
            self._control.handle(fd)
        elif self._callbacks.get(fd) is callback:
            callback[0]()

    def abandon(self) -> None:
        """Close the control socket in a forked worker, or peers would not see the supervisor's end."""
        self._control.abandon()
