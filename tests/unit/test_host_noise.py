"""The noise probe: what it counts, in simulated time and once for real."""

from __future__ import annotations

import os
import signal
import threading
from array import array
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hedgerow_node.processes import Worker, fork_worker
from hedgerow_node.units import NS_PER_MS, NS_PER_S, NS_PER_US
from orchestrator.errors import RunError
from orchestrator.host.observe import noise
from orchestrator.host.observe.noise import FULL_NS, SHORT_NS, latenesses, probe, probe_length
from orchestrator.runfolder.observed import Lateness, NoiseProbe

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType


class Simulated:
    """A clock that only sleeping moves: wake-ups come `late_ns` after the deadline, by the number of the sleep."""

    def __init__(self, start_ns: int, late_ns: dict[int, int]) -> None:
        self._now_ns, self._late_ns, self.sleeps = start_ns, late_ns, 0

    def now(self) -> int:
        return self._now_ns

    def wait(self, deadline_ns: int) -> None:
        self._now_ns = max(self._now_ns, deadline_ns) + self._late_ns.get(self.sleeps, 0)
        self.sleeps += 1


def test_on_a_perfect_host_nothing_is_late() -> None:
    clock = Simulated(0, {})
    assert list(latenesses(NS_PER_MS, 10, clock.now, clock.wait)) == [0] * 10
    assert clock.sleeps == 10


def test_a_pause_makes_every_deadline_late_that_it_covers() -> None:
    clock = Simulated(0, {1: 60 * NS_PER_US, 3: 3 * NS_PER_MS + 1})
    found = latenesses(NS_PER_MS, 8, clock.now, clock.wait)
    assert list(found) == [0, 60_000, 0, 3_000_001, 2_000_001, 1_000_001, 1, 0]
    assert clock.sleeps == 5
    summary = NoiseProbe.of(found, 8 * NS_PER_MS, "short", 1, None)
    assert summary.wakeups == 8
    assert summary.late_1ms == 3 / 8


def test_a_pause_beyond_the_end_ends_it() -> None:
    clock = Simulated(0, {0: 10 * NS_PER_S})
    found = latenesses(0, 3, clock.now, clock.wait)
    assert list(found) == [10_000_000_000, 9_999_000_000, 9_998_000_000]


def test_waking_up_early_does_not_count() -> None:
    times = iter([500_000, 1_000_002])
    waited: list[int] = []
    assert list(latenesses(NS_PER_MS, 1, lambda: next(times), waited.append)) == [2]
    assert waited == [NS_PER_MS, NS_PER_MS]


def test_quantiles_are_order_statistics() -> None:
    numbers = array("q", [number * NS_PER_US for number in range(200, 0, -1)])
    figures = NoiseProbe.of(numbers, FULL_NS, "in full", 2, 0)
    assert figures.lateness_us == Lateness(p50=100.0, p99=198.0, max=200.0, mean=100.5)
    assert figures.late_1ms == 0


@pytest.mark.parametrize(
    ("run_ns", "smoke", "duration_ns"),
    [
        (30 * NS_PER_S, False, FULL_NS),
        (30 * NS_PER_S - 1, False, SHORT_NS),
        (3600 * NS_PER_S, True, SHORT_NS),
    ],
)
def test_short_runs_are_probed_for_a_short_time_and_say_so(run_ns: int, smoke: bool, duration_ns: int) -> None:
    found_ns, why = probe_length(run_ns, smoke)
    assert found_ns == duration_ns
    assert why.startswith("short: ") == (duration_ns == SHORT_NS)


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processes that a probe forks."""
    pids: list[int] = []

    def remembering(work: Callable[[socket.socket], None]) -> Worker:
        worker = fork_worker(work)
        pids.append(worker.pid)
        return worker

    monkeypatch.setattr(noise, "fork_worker", remembering)
    return pids


def gone(pids: list[int]) -> bool:
    """Whether all have ended and have been waited for."""
    return bool(pids) and not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_this_host_is_probed_on_every_cpu_and_left_as_it_was(forked: list[int]) -> None:
    before = os.sched_getaffinity(0)
    found = probe(SHORT_NS, "short: a test")
    assert os.sched_getaffinity(0) == before
    assert (found.duration_s, found.length, found.cpus) == (0.3, "short: a test", len(before))
    assert found.wakeups == 300 * len(before)
    late = found.lateness_us
    assert 0 <= late.p50 <= late.p99 <= late.max
    assert 0 <= found.late_1ms <= 1
    assert (found.late_1ms > 0) == (late.max > 1000)
    assert found.steal_ms is None or found.steal_ms >= 0
    assert gone(forked)


def test_a_probe_in_one_line() -> None:
    late = Lateness(p50=61.7, p99=250.2, max=900.0, mean=70.0)
    probed = NoiseProbe(0.3, "short", 2, 600, late, 0.0, steal_ms=0)
    assert probed.text() == "host noise: wake-ups late by 62 µs (P50), 250 µs (P99)"
    assert replace(probed, steal_ms=30).text().endswith("250 µs (P99), 30 ms stolen by the hypervisor")


class Hangup(Exception):  # noqa: N818 - an event, not a fault
    """What the handler of a signal raises."""


def test_a_signal_in_the_very_moment_of_forking_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, forked: list[int]
) -> None:
    """Python calls functions of its own while it forks, logging's for one, and swallows whatever they raise.

    A second thread is there, as numpy's may be, which takes the signals that the main thread blocks.
    """
    over = threading.Event()
    threading.Thread(target=over.wait, daemon=True).start()

    def hang_up(_number: int, _frame: FrameType | None) -> None:
        raise Hangup

    before = signal.signal(signal.SIGHUP, hang_up)
    try:
        fork = os.fork

        def disturbed() -> int:
            try:
                os.kill(os.getpid(), signal.SIGHUP)
            except Hangup:
                print("swallowed")
            return fork()

        monkeypatch.setattr(os, "fork", disturbed)
        with pytest.raises(Hangup):
            probe(SHORT_NS)
        assert signal.getsignal(signal.SIGHUP) is hang_up
    finally:
        signal.signal(signal.SIGHUP, before)
        over.set()
    assert gone(forked)


def test_a_probe_that_fails_fails_the_run(monkeypatch: pytest.MonkeyPatch, forked: list[int]) -> None:
    monkeypatch.setattr(noise, "set_timer_slack_ns", lambda _: 1 / 0)
    with pytest.raises(RunError, match="the noise probe on CPU"):
        probe(SHORT_NS)
    assert gone(forked)
