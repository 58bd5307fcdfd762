"""Faults of a node's processes, injected by the node's own supervisor at times given in advance.

The orchestrator would be late by its own delays; the supervisor wakes up by itself, on CLOCK_MONOTONIC, which all
nodes of a host share. `inject` gives it the times, `faults-done` asks for what became of them. Whatever is on is
undone there, and also when the next block starts, and when the supervisor ends in any way that it can notice; where
it cannot, the kernel ends all processes that it has forked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from hedgerow_node.burners import Burners
from hedgerow_node.clock import keep_deadlines, set_timer_slack_ns
from hedgerow_node.control import ControlError, JsonObject
from hedgerow_node.process_fault_kinds import KINDS, CpuStress, Gc, Injection, Node, WorkerGc, WorkerReplacement
from hedgerow_node.protocol import process as protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from hedgerow_node.processes import Worker
    from hedgerow_node.supervisor import Supervisor, Timer

I = TypeVar("I", bound=Injection)  # noqa: E741 (a type variable)


@dataclass
class _Planned:
    injection: Injection
    timers: list[Timer] = field(default_factory=list)


class ProcessFaults:
    """The faults of a node's processes and the operations `inject` and `faults-done`.

    `worker` gives the process to inject them into, None while there is none. A node whose worker may be killed has a
    `replacement`, one whose worker takes times to collect garbage at has a `worker_gc`; without them these faults
    are refused.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        worker: Callable[[], Worker | None],
        replacement: WorkerReplacement | None = None,
        worker_gc: WorkerGc | None = None,
    ) -> None:
        set_timer_slack_ns(1)
        self._supervisor, self._worker_gc = supervisor, worker_gc
        self._burners = Burners(supervisor)
        self._node = Node(supervisor, worker, self._burners, replacement, worker_gc)
        self._planned: dict[str, _Planned] = {}
        self._is_strict = False
        supervisor.operation("inject", self._plan_all)
        supervisor.operation("faults-done", self._report_all)

    def finish(self) -> None:
        """Undo what is still on and forget what is still to come; `faults-done` can be asked as before.

        To be called before the worker is asked for anything that is waited for.
        """
        self._release()
        for planned in self._planned.values():
            if planned.injection.is_on:
                planned.injection.finish(wait=True)
        self._burners.end()
        if self._is_strict:
            self._is_strict = not keep_deadlines(False)
        if self._worker_gc is not None and self._of(Gc):
            self._worker_gc.collect_no_more()

    def forget(self) -> None:
        """`finish`, and leave nothing to be asked for: a new block begins."""
        self.finish()
        self._planned = {}

    def close(self) -> None:
        """As the supervisor ends: let go of the worker, which is not replaced any more, and end all burners."""
        self._release()
        for stress in self._of(CpuStress):
            if stress.is_on:
                stress.finish()
        self._burners.end()

    def _release(self) -> None:
        """No more timers; and first of all a worker that was stopped goes on."""
        for planned in self._planned.values():
            for timer in planned.timers:
                timer.cancel()
        for planned in self._planned.values():
            if planned.injection.stops_worker and planned.injection.is_on:
                planned.injection.finish()

    def _of(self, kind: type[I]) -> list[I]:
        return [planned.injection for planned in self._planned.values() if isinstance(planned.injection, kind)]

    def _plan_all(self, request: JsonObject) -> None:
        """Plan the faults of a message `protocol.ProcessFaults`: all of them, or none."""
        orders = protocol.ProcessFaults.from_json(request).faults
        injections = [self._injection(order, f"faults.{number}") for number, order in enumerate(orders)]
        known = set(self._planned)
        for injection in injections:
            if injection.key in known:
                raise ControlError(f"field 'faults': there is a fault {injection.key!r} already")
            known.add(injection.key)
        before = self._planned
        self._planned = before | {injection.key: _Planned(injection) for injection in injections}
        try:
            self._burners.prepare(self._burners_needed())
            gc_times_ns = [injection.at_ns for injection in injections if isinstance(injection, Gc)]
            if self._worker_gc is not None and gc_times_ns:
                self._worker_gc.collect_at(gc_times_ns)
        except (OSError, ControlError):
            self._planned = before
            raise
        for injection in injections:
            self._plan(self._planned[injection.key])
        # Only while it has deadlines: it sleeps between them, and prepares and reports as anybody else.
        self._is_strict = self._is_strict or keep_deadlines(True)

    def _injection(self, order: protocol.ProcessFault, path: str) -> Injection:
        possible = {fault: kind for kind in KINDS if kind.is_possible(self._node) for fault in kind.faults}
        if order.fault not in possible:
            raise ControlError(f"field '{path}.fault' is {order.fault!r}, expected one of {', '.join(possible)}")
        return possible[order.fault].of(order, self._node, path)

    def _plan(self, planned: _Planned) -> None:
        injection = planned.injection
        if isinstance(injection, Gc):
            return  # the worker has the time itself
        planned.timers.append(self._supervisor.at(injection.at_ns, injection.begin))
        if injection.until_ns is not None:
            planned.timers.append(self._supervisor.at(injection.until_ns, partial(self._end, injection)))

    def _end(self, injection: Injection) -> None:
        if injection.is_on:
            injection.finish()
        if isinstance(injection, CpuStress):
            self._burners.keep(self._burners_needed())

    def _burners_needed(self) -> int:
        """How many burners must be in stock for the faults to come, given that those burning now come back."""
        changes: list[tuple[float, int]] = []
        for stress in self._of(CpuStress):
            if stress.undone_ns is None:
                changes.append((float("inf") if stress.until_ns is None else stress.until_ns, -stress.count))
                if stress.applied_ns is None:
                    changes.append((stress.at_ns, stress.count))
        needed = most = 0
        for _, change in sorted(changes):
            needed += change
            most = max(most, needed)
        return most

    def _report_all(self, _: JsonObject) -> JsonObject:
        """Undo what is still on, and say of every fault what was done when, and what shows it."""
        self.finish()
        if self._worker_gc is not None and self._of(Gc):
            runs = self._worker_gc.collected()
            for collection in self._of(Gc):
                collection.find(runs)
        reports = tuple(planned.injection.report() for planned in self._planned.values())
        self._planned = {}
        return protocol.ProcessFaultReports(reports).to_json()
