"""Clock, poller and worker processes: never early, never deaf, and nobody outlives whom they should not."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from hedgerow_node.clock import now_ns, realtime_offset_ns, set_timer_slack_ns
from hedgerow_node.poller import Poller
from hedgerow_node.processes import fork_worker
from node_programs import IMAGES, MS, PATIENCE_S, wait_until_gone


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("spin_ns", [0, 150_000])
@pytest.mark.parametrize("after_ns", [-MS, 0, 1, 50_000, MS, 30 * MS])
def test_a_wait_never_ends_early(pipe: tuple[int, int], spin_ns: int, after_ns: int) -> None:
    poller = Poller(spin_ns)
    poller.register(pipe[0])
    deadline_ns = now_ns() + after_ns
    assert poller.wait(deadline_ns) == []
    assert now_ns() >= deadline_ns


def test_a_ready_descriptor_is_seen_even_after_the_deadline(pipe: tuple[int, int]) -> None:
    poller = Poller()
    poller.register(pipe[0])
    os.write(pipe[1], b"x")
    assert poller.wait(now_ns() - MS) == [pipe[0]]
    assert poller.wait(None) == [pipe[0]]
    poller.unregister(pipe[0])
    assert poller.wait(now_ns()) == []


def test_only_the_ready_descriptors_are_returned(pipe: tuple[int, int]) -> None:
    poller = Poller()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as quiet:
        poller.register(quiet.fileno())
        poller.register(pipe[0])
        os.write(pipe[1], b"x")
        assert poller.wait(None) == [pipe[0]]


def test_a_descriptor_is_watched_once(pipe: tuple[int, int]) -> None:
    poller = Poller()
    poller.register(pipe[0])
    with pytest.raises(ValueError, match="watched already"):
        poller.register(pipe[0])
    poller.unregister(pipe[0])
    with pytest.raises(ValueError, match="not in list"):
        poller.unregister(pipe[0])


def test_a_closed_descriptor_is_an_event_not_a_deadlock(pipe: tuple[int, int]) -> None:
    poller = Poller()
    duplicate = os.dup(pipe[0])
    poller.register(duplicate)
    os.close(duplicate)
    assert poller.wait(None) == [duplicate]


def test_a_signal_does_not_end_a_wait(pipe: tuple[int, int]) -> None:
    poller, seen = Poller(), []
    poller.register(pipe[0])
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(now_ns()))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        deadline_ns = now_ns() + 100 * MS
        assert poller.wait(deadline_ns) == []
        assert now_ns() >= deadline_ns
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(seen) == 1


def test_the_offset_between_the_clocks_converts_one_into_the_other() -> None:
    before_ns, real_ns, after_ns = now_ns(), time.time_ns(), now_ns()
    converted_ns = real_ns - realtime_offset_ns()
    tolerance_ns = MS  # for a clock that is being slewed meanwhile
    assert before_ns - tolerance_ns <= converted_ns <= after_ns + tolerance_ns


def test_timer_slack_is_set_for_this_thread() -> None:
    libc, get_timer_slack = ctypes.CDLL(None), 30
    before_ns = libc.prctl(get_timer_slack, 0, 0, 0, 0)
    try:
        set_timer_slack_ns(1)
        assert libc.prctl(get_timer_slack, 0, 0, 0, 0) == 1
    finally:
        set_timer_slack_ns(before_ns)


def test_a_worker_talks_over_its_channel_and_ends_well() -> None:
    worker = fork_worker(lambda channel: channel.sendall(channel.recv(100).upper()))
    with worker.channel as channel:
        channel.sendall(b"hello")
        channel.settimeout(PATIENCE_S)
        assert channel.recv(100) == b"HELLO"
        assert worker.reap() is None


@pytest.mark.parametrize(
    ("work", "end"),
    [
        ("sys.exit(0)", "exit code 1"),
        ("raise ValueError", "exit code 1"),
        ("os._exit(3)", "exit code 3"),
        ("os.kill(os.getpid(), signal.SIGTERM)", "signal 15 (SIGTERM)"),
        ("os.kill(os.getpid(), signal.SIGINT)", "None"),
    ],
)
def test_how_a_worker_ended_is_said(work: str, end: str) -> None:
    program = f"""
import os, signal, sys
from hedgerow_node.processes import fork_worker
def work(channel):
    {work}
print(fork_worker(work).reap())
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(IMAGES / "base")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{end}\n"


def test_killing_an_ended_worker_is_harmless() -> None:
    worker = fork_worker(lambda channel: channel.close())
    worker.channel.recv(1)
    worker.kill()
    assert worker.reap() in (None, "signal 9 (SIGKILL)")
    worker.channel.close()


def test_a_worker_does_not_outlive_its_supervisor() -> None:
    program = """
import signal
from hedgerow_node.processes import fork_worker
print(fork_worker(lambda channel: channel.recv(1)).pid, flush=True)
signal.pause()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(IMAGES / "base")},
        stdout=subprocess.PIPE,
        text=True,
    ) as supervisor:
        assert supervisor.stdout is not None
        worker_pid = int(supervisor.stdout.readline())
        supervisor.kill()
    wait_until_gone(worker_pid)
