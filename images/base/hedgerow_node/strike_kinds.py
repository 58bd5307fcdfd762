"""The faults that strike a process: how each is applied and undone, and what the kernel then says about it.

None of them waits while strikes are still to come: what takes its time (a process that has to be scheduled before it
can stop, or end) is looked at again later.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from hedgerow_node.clock import now_ns
from hedgerow_node.process_state import STOPPED, cpu_ns, cpu_pressure_us, process_state
from hedgerow_node.units import NS_PER_MS, NS_PER_US

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hedgerow_node.burners import Burners
    from hedgerow_node.processes import Worker
    from hedgerow_node.supervisor import Alarm, Supervisor

_LOOK_AGAIN_NS = 100 * NS_PER_US  #: how soon at first; each time twice as long
_LOOK_AT_LEAST_EVERY_NS = 5 * NS_PER_MS  #: a look takes some ten microseconds, of a processor that is measured on


class Lifeline(Protocol):
    """How a worker is ended and replaced; a supervisor that can do it is one."""

    def kill(self, then: Callable[[str], None]) -> None:
        """Kill the worker; once it has been reaped, `then` is told how it ended."""

    def reap(self) -> None:
        """Wait for the end of a worker that was killed."""

    def revive(self) -> Worker | None:
        """Fork a fresh worker for the same work; None where the last one had ended by itself."""

    def serving_ns(self, pid: int) -> int | None:
        """When the worker `pid` took up its work, on CLOCK_MONOTONIC; waits for the current one to do so."""


class CollectedGarbage(NamedTuple):
    """One collection that was asked for: when it was due, began and ended, on CLOCK_MONOTONIC."""

    due_ns: int
    start_ns: int
    end_ns: int


class Collector(Protocol):
    """How a worker is made to collect garbage; a supervisor that can do it is one."""

    def collect_at(self, times_ns: Sequence[int]) -> None:
        """Let the worker collect at these times too; ControlError where it has nothing to collect."""

    def collect_no_more(self) -> None:
        """Take back all times that have not come."""

    def collected(self) -> list[CollectedGarbage]:
        """The collections of the block; waits for one that is going on."""


class Strike(ABC):
    """One occurrence of a fault: due `at_ns`, over `until_ns` (None: when it is told to be)."""

    fault = ""

    def __init__(self, key: str, at_ns: int, until_ns: int | None) -> None:
        self.key, self.at_ns, self.until_ns = key, at_ns, until_ns
        self.applied_ns: int | None = None
        self.undone_ns: int | None = None
        self._problem: str | None = None

    @property
    def is_on(self) -> bool:
        """Whether there is something to undo."""
        return self.applied_ns is not None and self.undone_ns is None

    def begin(self) -> None:
        """Apply it, now; what the kernel refuses stands in the proof."""
        try:
            self.applied_ns = self._apply()
        except OSError as error:
            self._problem = str(error)

    def finish(self, wait: bool = False) -> None:  # noqa: ARG002 (what lasts has something to wait for)
        """Undo it, now, or as soon as that can be done; `wait` until it has been. What ends by itself needs none."""
        return

    def report(self) -> dict[str, Any]:
        """What was planned, what was done when, and the proof."""
        proof = self._proof() | ({} if self._problem is None else {"error": self._problem})
        return {
            "key": self.key,
            "fault": self.fault,
            "at_ns": self.at_ns,
            "applied_ns": self.applied_ns,
            "until_ns": self.until_ns,
            "undone_ns": self.undone_ns,
            "proof": proof,
        }

    @abstractmethod
    def _apply(self) -> int | None:
        """Do it: when that was, None where there was nobody to do it to. Raises OSError."""

    @abstractmethod
    def _proof(self) -> dict[str, Any]:
        """What shows that it happened."""


class Pause(Strike):
    """SIGSTOP until SIGCONT. The proof: the process was seen stopped, and its CPU clock stood still from then on."""

    fault = "pause"

    def __init__(
        self, key: str, at_ns: int, until_ns: int, supervisor: Supervisor, worker: Callable[[], Worker | None]
    ) -> None:
        super().__init__(key, at_ns, until_ns)
        self._supervisor, self._worker = supervisor, worker
        self._struck: Worker | None = None
        self._look_again: Alarm | None = None
        self._state: str | None = None
        self._state_after: str | None = None
        self._cpu_before_ns: int | None = None
        self._cpu_after_ns: int | None = None

    def _apply(self) -> int | None:
        self._struck = self._worker()
        if self._struck is None:
            return None
        self._struck.stop()
        applied_ns = now_ns()
        self._look(self._struck, _LOOK_AGAIN_NS)
        return applied_ns

    def _look(self, struck: Worker, again_ns: int) -> None:
        """A process that waits for a processor stops only when it gets one."""
        if not struck.alive:
            return
        if process_state(struck.pid) == STOPPED:
            self._cpu_before_ns = cpu_ns(struck.pid)
        else:
            next_ns = min(2 * again_ns, _LOOK_AT_LEAST_EVERY_NS)
            self._look_again = self._supervisor.at(now_ns() + again_ns, lambda: self._look(struck, next_ns))

    def finish(self, wait: bool = False) -> None:  # noqa: ARG002 (SIGCONT takes effect at once)
        if self._struck is None:
            return
        if self._look_again is not None:
            self._look_again.cancel()
        if self._struck.alive:
            self._state, self._cpu_after_ns = process_state(self._struck.pid), cpu_ns(self._struck.pid)
        self._struck.resume()
        self.undone_ns = now_ns()
        if self._struck.alive:
            self._state_after = process_state(self._struck.pid)

    def _proof(self) -> dict[str, Any]:
        return {
            "state": self._state,
            "state_after": self._state_after,
            "cpu_ns_before": self._cpu_before_ns,
            "cpu_ns_after": self._cpu_after_ns,
        }


class Kill(Strike):
    """SIGKILL, then a fresh worker, at once (`restart`) or at the end. The proof: how the old one ended, and who
    has taken its place. It is undone when that one has taken up its work.
    """

    def __init__(
        self,
        key: str,
        at_ns: int,
        until_ns: int | None,
        restart: bool,
        worker: Callable[[], Worker | None],
        lifeline: Lifeline,
    ) -> None:
        super().__init__(key, at_ns, until_ns)
        self.fault = "restart" if restart else "kill"
        self._worker, self._lifeline = worker, lifeline
        self._is_over = restart
        self._old_pid: int | None = None
        self._new_pid: int | None = None
        self._ended: str | None = None

    def _apply(self) -> int | None:
        struck = self._worker()
        if struck is None:
            return None
        self._old_pid = struck.pid
        self._lifeline.kill(self._has_ended)
        return now_ns()

    def finish(self, wait: bool = False) -> None:
        self._is_over = True
        if self._ended is not None:
            self._revive()
        elif wait:
            self._lifeline.reap()

    def _has_ended(self, how: str) -> None:
        self._ended = how
        if self._is_over:
            self._revive()

    def _revive(self) -> None:
        try:
            worker = self._lifeline.revive()
        except OSError as error:
            self._problem = str(error)
            return
        if worker is not None:
            self._new_pid, self.undone_ns = worker.pid, now_ns()

    def report(self) -> dict[str, Any]:
        if self._new_pid is not None:
            self.undone_ns = self._lifeline.serving_ns(self._new_pid)
        return super().report()

    def _proof(self) -> dict[str, Any]:
        return {"old_pid": self._old_pid, "new_pid": self._new_pid, "ended": self._ended}


class Collection(Strike):
    """A collection of garbage by the worker itself, which has the time in advance. The proof: when it collected."""

    fault = "gc"

    def __init__(self, key: str, at_ns: int) -> None:
        super().__init__(key, at_ns, None)
        self._found: list[CollectedGarbage] = []

    def find(self, collected: Sequence[CollectedGarbage]) -> None:
        """Find, among all that was collected, what was asked for here."""
        self._found = [garbage for garbage in collected if garbage.due_ns == self.at_ns]
        if self._found:
            self.applied_ns, self.undone_ns = self._found[0].start_ns, self._found[-1].end_ns

    def _apply(self) -> int | None:
        return self.applied_ns  # the worker's doing, not the supervisor's

    def _proof(self) -> dict[str, Any]:
        return {"collections": [{"start_ns": found.start_ns, "end_ns": found.end_ns} for found in self._found]}


class CpuStress(Strike):
    """Burners beside the worker. The proof: the CPU time they got, and what the host's pressure account says."""

    fault = "cpu-stress"

    def __init__(self, key: str, at_ns: int, until_ns: int | None, count: int, burners: Burners) -> None:
        super().__init__(key, at_ns, until_ns)
        self.count, self._burners = count, burners
        self._burning: list[Worker] = []
        self._cpu_ns: int | None = None
        self._pressure_us: list[int | None] = [None, None]

    def _apply(self) -> int | None:
        self._pressure_us[0] = cpu_pressure_us()
        self._burning = self._burners.take(self.count)
        applied_ns = now_ns()
        self._cpu_ns = -self._burnt_ns()
        return applied_ns

    def finish(self, wait: bool = False) -> None:  # noqa: ARG002 (SIGSTOP takes effect at once)
        self._burners.put_back(self._burning)
        self.undone_ns = now_ns()
        self._cpu_ns = (self._cpu_ns or 0) + self._burnt_ns()
        self._pressure_us[1] = cpu_pressure_us()

    def _burnt_ns(self) -> int:
        return sum(cpu_ns(burner.pid) or 0 for burner in self._burning)

    def _proof(self) -> dict[str, Any]:
        return {
            "burners": len(self._burning),
            "cpu_ns": self._cpu_ns,
            "psi_some_us_before": self._pressure_us[0],
            "psi_some_us_after": self._pressure_us[1],
        }
