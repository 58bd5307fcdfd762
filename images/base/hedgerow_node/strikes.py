"""Faults that strike a node's process, carried out by the node's own supervisor at times given in advance.

A remote hand would be late by its own delays; the supervisor wakes up by itself, on CLOCK_MONOTONIC, which all
nodes of a host share. `strike` gives it the times, `strikes-done` asks for what became of them. Whatever is on is
undone there, and also when the next block starts, and when the supervisor ends in any way that it can notice; where
it cannot, the kernel ends all processes that it has forked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from hedgerow_node.burners import Burners
from hedgerow_node.clock import keep_deadlines, set_timer_slack_ns
from hedgerow_node.control import ControlError, Message
from hedgerow_node.fields import Fields
from hedgerow_node.strike_kinds import Collection, Collector, CpuStress, Kill, Lifeline, Pause, Strike

if TYPE_CHECKING:
    from collections.abc import Callable

    from hedgerow_node.processes import Worker
    from hedgerow_node.supervisor import Alarm, Supervisor

S = TypeVar("S", bound=Strike)

MAX_BURNERS = 4096  #: in one strike


@dataclass
class _Planned:
    strike: Strike
    alarms: list[Alarm] = field(default_factory=list)


class Strikes:
    """The strikes of a node and the operations `strike` and `strikes-done`.

    `worker` gives the process to strike, None while there is none. A node whose worker may be killed has a
    `lifeline`, one whose worker takes times to collect garbage at has a `collector`; without them these faults are
    refused.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        worker: Callable[[], Worker | None],
        lifeline: Lifeline | None = None,
        collector: Collector | None = None,
    ) -> None:
        set_timer_slack_ns(1)
        self._supervisor, self._worker = supervisor, worker
        self._lifeline, self._collector = lifeline, collector
        self._burners = Burners(supervisor)
        self._planned: dict[str, _Planned] = {}
        self._is_strict = False
        supervisor.operation("strike", self._strike)
        supervisor.operation("strikes-done", self._strikes_done)

    def finish(self) -> None:
        """Undo what is still on and forget what is still to come; `strikes-done` can be asked as before.

        To be called before the worker is asked for anything that is waited for.
        """
        self._release()
        for planned in self._planned.values():
            if planned.strike.is_on:
                planned.strike.finish(wait=True)
        self._burners.end()
        if self._is_strict:
            self._is_strict = not keep_deadlines(False)
        if self._collector is not None and self._of(Collection):
            self._collector.collect_no_more()

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
        """No more alarms; and first of all whoever was stopped goes on."""
        for planned in self._planned.values():
            for alarm in planned.alarms:
                alarm.cancel()
        for pause in self._of(Pause):
            if pause.is_on:
                pause.finish()

    def _of(self, kind: type[S]) -> list[S]:
        return [planned.strike for planned in self._planned.values() if isinstance(planned.strike, kind)]

    def _strike(self, request: Message) -> None:
        """Plan strikes: {"key", "fault", "at_ns", "until_ns" (null: until undone), "burners"}.

        A restart and a collection end by themselves; what `until_ns` says of them is not looked at.
        """
        strikes = [self._read(fields) for fields in Fields(request).sections("strikes")]
        known = set(self._planned)
        for strike in strikes:
            if strike.key in known:
                raise ControlError(f"field 'strikes': there is a strike {strike.key!r} already")
            known.add(strike.key)
        before = self._planned
        self._planned = before | {strike.key: _Planned(strike) for strike in strikes}
        try:
            self._burners.prepare(self._burners_needed())
            collections = [strike.at_ns for strike in strikes if isinstance(strike, Collection)]
            if self._collector is not None and collections:
                self._collector.collect_at(collections)
        except (OSError, ControlError):
            self._planned = before
            raise
        for strike in strikes:
            self._plan(self._planned[strike.key])
        # Only while it has deadlines: it sleeps between them, and prepares and reports as anybody else.
        self._is_strict = self._is_strict or keep_deadlines(True)

    def _read(self, fields: Fields) -> Strike:
        lifeline, collector = self._lifeline, self._collector
        kinds = [*(["kill", "restart"] if lifeline else []), *(["gc"] if collector else [])]
        fault = fields.text("fault", "pause", "cpu-stress", *kinds)
        key, at_ns = fields.text("key"), fields.integer("at_ns", 0)
        if fault == "gc" and collector is not None:
            return Collection(key, at_ns)
        if fault == "restart" and lifeline is not None:
            return Kill(key, at_ns, None, True, self._worker, lifeline)
        until_ns = fields.integer("until_ns", at_ns + 1) if "until_ns" in fields else None
        if fault == "kill" and lifeline is not None:
            return Kill(key, at_ns, until_ns, False, self._worker, lifeline)
        if fault == "cpu-stress":
            return CpuStress(key, at_ns, until_ns, fields.integer("burners", 1, MAX_BURNERS), self._burners)
        # A block's worker that nobody resumes never ends its block.
        return Pause(key, at_ns, fields.integer("until_ns", at_ns + 1), self._supervisor, self._worker)

    def _plan(self, planned: _Planned) -> None:
        strike = planned.strike
        if isinstance(strike, Collection):
            return  # the worker has the time itself
        planned.alarms.append(self._supervisor.at(strike.at_ns, strike.begin))
        if strike.until_ns is not None:
            planned.alarms.append(self._supervisor.at(strike.until_ns, partial(self._end, strike)))

    def _end(self, strike: Strike) -> None:
        if strike.is_on:
            strike.finish()
        if isinstance(strike, CpuStress):
            self._burners.keep(self._burners_needed())

    def _burners_needed(self) -> int:
        """How many burners must be in stock for the strikes to come, given that those burning now come back."""
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

    def _strikes_done(self, _: Message) -> Message:
        """Undo what is still on, and say of every strike what was done when, and what proves it."""
        self.finish()
        if self._collector is not None and self._of(Collection):
            collected = self._collector.collected()
            for collection in self._of(Collection):
                collection.find(collected)
        answer = {"strikes": [planned.strike.report() for planned in self._planned.values()]}
        self._planned = {}
        return answer
