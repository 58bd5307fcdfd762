"""The faults of a node's processes: how each is applied and undone, and what the kernel then says about it.

To add one: a class here, and its place in `KINDS`. None of them waits while others are still to come: what takes its
time (a process that has to be scheduled before it can stop, or end) is looked at again later.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol, Self

from hedgerow_node.clock import now_ns
from hedgerow_node.control import ControlError
from hedgerow_node.process_state import STOPPED, cpu_ns, cpu_pressure_us, process_state
from hedgerow_node.protocol.process import ProcessFaultReport
from hedgerow_node.units import NS_PER_MS, NS_PER_US

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hedgerow_node.burners import Burners
    from hedgerow_node.processes import Worker
    from hedgerow_node.protocol import JsonObject
    from hedgerow_node.protocol.process import ProcessFault
    from hedgerow_node.supervisor import Supervisor, Timer

_LOOK_AGAIN_NS = 100 * NS_PER_US  #: how soon at first; each time twice as long
_LOOK_AT_LEAST_EVERY_NS = 5 * NS_PER_MS  #: a look takes some ten microseconds, of a processor that is measured on


class WorkerReplacement(Protocol):
    """How a worker is killed and replaced; a supervisor that can do it implements this."""

    def kill(self, then: Callable[[str], None]) -> None:
        """Kill the worker; once it has been reaped, call `then` with how it ended."""

    def reap(self) -> None:
        """Wait for the end of a worker that was killed."""

    def revive(self) -> Worker | None:
        """Fork a fresh worker for the same work; None where the last one had ended by itself."""

    def serving_ns(self, pid: int) -> int | None:
        """When the worker `pid` took up its work, on CLOCK_MONOTONIC; waits for the current one to do so."""


class GcRun(NamedTuple):
    """One garbage collection that was asked for: when it was due, began and ended, on CLOCK_MONOTONIC."""

    due_ns: int
    start_ns: int
    end_ns: int


class WorkerGc(Protocol):
    """How a worker is made to collect garbage; a supervisor that can do it implements this."""

    def collect_at(self, times_ns: Sequence[int]) -> None:
        """Let the worker collect at these times too; ControlError where it has nothing to collect."""

    def collect_no_more(self) -> None:
        """Take back all times that have not come."""

    def collected(self) -> list[GcRun]:
        """The collections of the block; waits for one that is going on."""


@dataclass(frozen=True)
class Node:
    """What faults are injected into: `worker` gives its process, None while there is none.

    Without a `replacement` the worker cannot be killed, without a `worker_gc` it takes no times for garbage
    collections.
    """

    supervisor: Supervisor
    worker: Callable[[], Worker | None]
    burners: Burners
    replacement: WorkerReplacement | None = None
    worker_gc: WorkerGc | None = None


class Injection(ABC):
    """One occurrence of a fault at this node: due `at_ns`, over `until_ns` (None: when it is ended)."""

    faults: ClassVar[tuple[str, ...]]  #: the names of those that the class injects
    stops_worker: ClassVar[bool] = False  #: whether the worker answers nothing while it is on

    def __init__(self, key: str, fault: str, at_ns: int, until_ns: int | None) -> None:
        self.key, self.fault, self.at_ns, self.until_ns = key, fault, at_ns, until_ns
        self.applied_ns: int | None = None
        self.undone_ns: int | None = None
        self._problem: str | None = None

    @classmethod
    def is_possible(cls, node: Node) -> bool:  # noqa: ARG003 (where it is not always)
        """Whether it can be injected into that node."""
        return True

    @classmethod
    @abstractmethod
    def of(cls, order: ProcessFault, node: Node, path: str) -> Self:
        """The one that `order` asks for; ControlError, naming the field below `path`, where it is not valid."""

    @property
    def is_on(self) -> bool:
        """Whether there is something to undo."""
        return self.applied_ns is not None and self.undone_ns is None

    def begin(self) -> None:
        """Apply it, now; what the kernel refuses stands in the evidence."""
        try:
            self.applied_ns = self._apply()
        except OSError as error:
            self._problem = str(error)

    def finish(self, wait: bool = False) -> None:  # noqa: ARG002 (what lasts has something to wait for)
        """Undo it, now, or as soon as that can be done; `wait` until it has been. What ends by itself needs none."""
        return

    def report(self) -> ProcessFaultReport:
        """What was planned, what was done when, and what shows it."""
        evidence = self._evidence() | ({} if self._problem is None else {"error": self._problem})
        return ProcessFaultReport(
            self.key, self.fault, self.at_ns, self.applied_ns, self.until_ns, self.undone_ns, evidence
        )

    @abstractmethod
    def _apply(self) -> int | None:
        """Do it: when that was, None where there was no process to do it to. Raises OSError."""

    @abstractmethod
    def _evidence(self) -> JsonObject:
        """What shows that it happened."""


def _until_ns(order: ProcessFault, path: str) -> int | None:
    if order.until_ns is not None and order.until_ns <= order.at_ns:
        raise ControlError(f"field '{path}.until_ns' is {order.until_ns}, expected at least {order.at_ns + 1}")
    return order.until_ns


class Pause(Injection):
    """SIGSTOP until SIGCONT. Evidence: the process was seen stopped, and its CPU clock stood still from then on."""

    faults = ("pause",)
    stops_worker = True

    def __init__(
        self, key: str, at_ns: int, until_ns: int, supervisor: Supervisor, worker: Callable[[], Worker | None]
    ) -> None:
        super().__init__(key, "pause", at_ns, until_ns)
        self._supervisor, self._worker = supervisor, worker
        self._stopped: Worker | None = None
        self._look_again: Timer | None = None
        self._state: str | None = None
        self._state_after: str | None = None
        self._cpu_before_ns: int | None = None
        self._cpu_after_ns: int | None = None

    @classmethod
    def of(cls, order: ProcessFault, node: Node, path: str) -> Self:
        until_ns = _until_ns(order, path)
        if until_ns is None:  # a block whose worker stays stopped never ends
            raise ControlError(f"field '{path}.until_ns' is missing")
        return cls(order.key, order.at_ns, until_ns, node.supervisor, node.worker)

    def _apply(self) -> int | None:
        self._stopped = self._worker()
        if self._stopped is None:
            return None
        self._stopped.stop()
        applied_ns = now_ns()
        self._look(self._stopped, _LOOK_AGAIN_NS)
        return applied_ns

    def _look(self, worker: Worker, again_ns: int) -> None:
        """A process that waits for a processor stops only when it gets one."""
        if not worker.alive:
            return
        if process_state(worker.pid) == STOPPED:
            self._cpu_before_ns = cpu_ns(worker.pid)
        else:
            next_ns = min(2 * again_ns, _LOOK_AT_LEAST_EVERY_NS)
            self._look_again = self._supervisor.at(now_ns() + again_ns, lambda: self._look(worker, next_ns))

    def finish(self, wait: bool = False) -> None:  # noqa: ARG002 (SIGCONT takes effect at once)
        if self._stopped is None:
            return
        if self._look_again is not None:
            self._look_again.cancel()
        if self._stopped.alive:
            self._state, self._cpu_after_ns = process_state(self._stopped.pid), cpu_ns(self._stopped.pid)
        self._stopped.resume()
        self.undone_ns = now_ns()
        if self._stopped.alive:
            self._state_after = process_state(self._stopped.pid)

    def _evidence(self) -> JsonObject:
        return {
            "state": self._state,
            "state_after": self._state_after,
            "cpu_ns_before": self._cpu_before_ns,
            "cpu_ns_after": self._cpu_after_ns,
        }


class Kill(Injection):
    """SIGKILL, then a fresh worker, at once (restart) or at the end. Evidence: how the old one ended, and which one
    has taken its place. It is undone when that one has taken up its work.
    """

    faults = ("kill", "restart")

    def __init__(
        self,
        key: str,
        at_ns: int,
        until_ns: int | None,
        restart: bool,
        worker: Callable[[], Worker | None],
        replacement: WorkerReplacement,
    ) -> None:
        super().__init__(key, "restart" if restart else "kill", at_ns, until_ns)
        self._worker, self._replacement = worker, replacement
        self._is_over = restart
        self._old_pid: int | None = None
        self._new_pid: int | None = None
        self._ended: str | None = None

    @classmethod
    def is_possible(cls, node: Node) -> bool:
        return node.replacement is not None

    @classmethod
    def of(cls, order: ProcessFault, node: Node, path: str) -> Self:
        if node.replacement is None:
            raise ControlError(f"field '{path}.fault': the worker cannot be replaced")
        restart = order.fault == "restart"
        until_ns = None if restart else _until_ns(order, path)
        return cls(order.key, order.at_ns, until_ns, restart, node.worker, node.replacement)

    def _apply(self) -> int | None:
        worker = self._worker()
        if worker is None:
            return None
        self._old_pid = worker.pid
        self._replacement.kill(self._has_ended)
        return now_ns()

    def finish(self, wait: bool = False) -> None:
        self._is_over = True
        if self._ended is not None:
            self._replace()
        elif wait:
            self._replacement.reap()

    def _has_ended(self, how: str) -> None:
        self._ended = how
        if self._is_over:
            self._replace()

    def _replace(self) -> None:
        try:
            worker = self._replacement.revive()
        except OSError as error:
            self._problem = str(error)
            return
        if worker is not None:
            self._new_pid, self.undone_ns = worker.pid, now_ns()

    def report(self) -> ProcessFaultReport:
        if self._new_pid is not None:
            self.undone_ns = self._replacement.serving_ns(self._new_pid)
        return super().report()

    def _evidence(self) -> JsonObject:
        return {"old_pid": self._old_pid, "new_pid": self._new_pid, "ended": self._ended}


class Gc(Injection):
    """A garbage collection by the worker itself, which has the time in advance. Evidence: when it collected."""

    faults = ("gc",)

    def __init__(self, key: str, at_ns: int) -> None:
        super().__init__(key, "gc", at_ns, None)
        self._runs: list[GcRun] = []

    @classmethod
    def is_possible(cls, node: Node) -> bool:
        return node.worker_gc is not None

    @classmethod
    def of(cls, order: ProcessFault, node: Node, path: str) -> Self:  # noqa: ARG003 (times are enough)
        return cls(order.key, order.at_ns)

    def find(self, runs: Sequence[GcRun]) -> None:
        """Find, among all collections, those asked for here."""
        self._runs = [run for run in runs if run.due_ns == self.at_ns]
        if self._runs:
            self.applied_ns, self.undone_ns = self._runs[0].start_ns, self._runs[-1].end_ns

    def _apply(self) -> int | None:
        return self.applied_ns  # the worker's doing, not the supervisor's

    def _evidence(self) -> JsonObject:
        return {"collections": [{"start_ns": run.start_ns, "end_ns": run.end_ns} for run in self._runs]}


class CpuStress(Injection):
    """Burners beside the worker. Evidence: the CPU time they got, and what the host's pressure account says."""

    faults = ("cpu-stress",)

    def __init__(self, key: str, at_ns: int, until_ns: int | None, count: int, burners: Burners) -> None:
        super().__init__(key, "cpu-stress", at_ns, until_ns)
        self.count, self._burners = count, burners
        self._burning: list[Worker] = []
        self._cpu_ns: int | None = None
        self._pressure_us: list[int | None] = [None, None]

    @classmethod
    def of(cls, order: ProcessFault, node: Node, path: str) -> Self:
        if order.burners is None:
            raise ControlError(f"field '{path}.burners' is missing")
        return cls(order.key, order.at_ns, _until_ns(order, path), order.burners, node.burners)

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

    def _evidence(self) -> JsonObject:
        return {
            "burners": len(self._burning),
            "cpu_ns": self._cpu_ns,
            "psi_some_us_before": self._pressure_us[0],
            "psi_some_us_after": self._pressure_us[1],
        }


KINDS: tuple[type[Injection], ...] = (Pause, CpuStress, Kill, Gc)
