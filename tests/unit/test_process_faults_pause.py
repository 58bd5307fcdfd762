"""How often a pause looks at a worker that does not stop, with a clock and a worker of words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hedgerow_node import process_fault_kinds
from hedgerow_node.process_fault_kinds import Pause
from hedgerow_node.supervisor import Timer
from support.node_programs import MS

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


class Supervised:
    """A worker that stops at `stops_ns`, and the timers that look at it."""

    pid, alive = 1, True

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stops_ns: int) -> None:
        self.now_ns, self.due_ns = 0, 0
        self.looks_ns: list[int] = []
        self._timer: Timer | None = None
        self._stops_ns = stops_ns
        monkeypatch.setattr(process_fault_kinds, "now_ns", lambda: self.now_ns)
        monkeypatch.setattr(process_fault_kinds, "process_state", self._state)
        monkeypatch.setattr(process_fault_kinds, "cpu_ns", lambda _: min(self.now_ns, self._stops_ns))

    def at(self, due_ns: int, callback: Callable[[], None]) -> Timer:
        self.due_ns, self._timer = due_ns, Timer(callback)
        return self._timer

    def stop(self) -> None:
        """It is told to, and does so in its time."""

    def resume(self) -> None:
        """It goes on."""

    def _state(self, _: int) -> str:
        self.looks_ns.append(self.now_ns)
        return "T" if self.now_ns >= self._stops_ns else "R"

    def paused(self, until_ns: int) -> dict[str, Any]:
        """What a pause from now on says."""
        worker: Any = self
        pause = Pause("0.0", 0, until_ns, worker, lambda: worker)
        pause.begin()
        while self._timer is not None and self._timer.is_set and self.due_ns < until_ns:
            self.now_ns = self.due_ns
            self._timer.fire()
        self.now_ns = until_ns
        pause.finish()
        return dict(pause.report().evidence)


def test_a_worker_that_stops_late_is_seen_soon_after(monkeypatch: pytest.MonkeyPatch) -> None:
    supervised = Supervised(monkeypatch, stops_ns=120 * MS)
    proof = supervised.paused(until_ns=200 * MS)
    assert (proof["state"], proof["cpu_ns_before"], proof["cpu_ns_after"]) == ("T", 120 * MS, 120 * MS)
    seen_ns = next(at_ns for at_ns in supervised.looks_ns if at_ns >= 120 * MS)
    assert seen_ns <= 125 * MS


def test_the_looks_are_soon_at_first_and_then_few(monkeypatch: pytest.MonkeyPatch) -> None:
    supervised = Supervised(monkeypatch, stops_ns=1000 * MS)
    supervised.paused(until_ns=200 * MS)
    assert supervised.looks_ns[:4] == [0, MS // 10, 3 * MS // 10, 7 * MS // 10]
    assert len(supervised.looks_ns) < 50


def test_one_that_stops_after_the_last_look_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    proof = Supervised(monkeypatch, stops_ns=199 * MS).paused(until_ns=200 * MS)
    assert (proof["state"], proof["cpu_ns_before"], proof["cpu_ns_after"]) == ("T", None, 199 * MS)
