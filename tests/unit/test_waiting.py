"""Clock, poller and worker processes: never early, never deaf, and no process outlives its supervisor."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hedgerow_node.clock import now_ns, realtime_offset_ns, set_timer_slack_ns
from hedgerow_node.poller import Poller
from hedgerow_node.process_state import cpu_ns, process_state
from hedgerow_node.processes import fork_worker
from hedgerow_node.supervisor import Supervisor, Timer
from support.node_programs import IMAGES, MS, PATIENCE_S, wait_until_gone
from support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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
from hedgerow_node.process_state import cpu_ns, process_state
from hedgerow_node.processes import fork_worker
from hedgerow_node.supervisor import Timer, Supervisor
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
from hedgerow_node.process_state import cpu_ns, process_state
from hedgerow_node.processes import fork_worker
from hedgerow_node.supervisor import Timer, Supervisor
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


def in_a_supervisor(work: Callable[[Supervisor, list[str]], None]) -> list[str]:
    """What `work`, given a supervisor that is run in a process of its own, has appended to the list by its end."""

    def run(channel: socket.socket) -> None:
        supervisor, said = Supervisor(None), list[str]()
        work(supervisor, said)
        supervisor.run()
        channel.sendall(json.dumps(said).encode())

    worker = fork_worker(run)
    with worker.channel as channel:
        channel.settimeout(PATIENCE_S)
        said: list[str] = json.loads(channel.recv(1 << 16))
        assert worker.reap() is None
    return said


def test_a_supervisor_calls_at_the_times_it_is_given_in_their_order() -> None:
    def work(supervisor: Supervisor, said: list[str]) -> None:
        begun_ns = now_ns()

        def say(word: str, after_ns: int) -> Timer:
            def speak() -> None:
                said.append(word if now_ns() >= begun_ns + after_ns else f"{word} is early")

            return supervisor.at(begun_ns + after_ns, speak)

        say("third", 40 * MS)
        say("second", 20 * MS)
        say("also second", 20 * MS)
        say("first", -MS)
        say("never", 10 * MS).cancel()
        supervisor.every(15 * MS, lambda: said.append("beat") if "beat" not in said else None)
        supervisor.at(begun_ns + 60 * MS, supervisor.stop)

    said = in_a_supervisor(work)
    assert said.count("beat") == 1
    assert [word for word in said if word != "beat"] == ["first", "second", "also second", "third"]


def test_a_timer_that_sets_another_does_not_starve_the_descriptors(pipe: tuple[int, int]) -> None:
    def work(supervisor: Supervisor, said: list[str]) -> None:
        def again() -> None:
            supervisor.at(now_ns() + MS, again)

        def heard() -> None:
            said.append(os.read(pipe[0], 1).decode())
            supervisor.stop()

        again()
        supervisor.watch(pipe[0], heard)
        supervisor.at(now_ns() + 20 * MS, lambda: said.append(str(os.write(pipe[1], b"x"))))

    assert in_a_supervisor(work) == ["1", "x"]


def test_a_descriptor_that_was_given_to_another_is_not_taken_for_ready() -> None:
    def work(supervisor: Supervisor, said: list[str]) -> None:
        ready, other = os.pipe(), os.pipe()
        fresh = os.pipe()

        def replace() -> None:
            """As where a worker has ended and its successor's descriptor gets the number of its own."""
            said.append("replaced")
            supervisor.unwatch(other[0])
            os.dup2(fresh[0], other[0])
            supervisor.watch(other[0], lambda: said.append("taken for ready"))
            supervisor.unwatch(ready[0])
            supervisor.at(now_ns() + 10 * MS, supervisor.stop)

        supervisor.watch(ready[0], replace)
        supervisor.watch(other[0], lambda: said.append("old"))
        os.write(ready[1], b"x")
        os.write(other[1], b"x")

    assert in_a_supervisor(work) == ["replaced"]


def test_a_worker_that_was_stopped_twice_is_resumed_the_second_time() -> None:
    worker = fork_worker(lambda channel: channel.sendall(channel.recv(1)))
    worker.stop()
    worker.stop()
    worker.resume()
    eventually(lambda: process_state(worker.pid) == "T")
    before_ns = cpu_ns(worker.pid)
    worker.channel.sendall(b"x")
    worker.channel.settimeout(0.1)
    with pytest.raises(TimeoutError):
        worker.channel.recv(1)
    assert cpu_ns(worker.pid) == before_ns is not None
    worker.resume()
    worker.channel.settimeout(PATIENCE_S)
    assert worker.channel.recv(1) == b"x"
    assert worker.reap() is None
    worker.channel.close()
    worker.stop()  # it has been reaped
    assert (process_state(worker.pid), cpu_ns(worker.pid)) == (None, None)


def test_the_state_of_a_process_is_that_of_all_its_threads() -> None:
    def work(_: socket.socket) -> None:
        threading.Thread(target=time.sleep, args=(PATIENCE_S,), daemon=True).start()
        time.sleep(PATIENCE_S)

    worker = fork_worker(work)
    eventually(lambda: len(list(Path(f"/proc/{worker.pid}/task").iterdir())) == 2)
    eventually(lambda: process_state(worker.pid) == "S")
    worker.stop()
    eventually(lambda: process_state(worker.pid) == "T")
    worker.kill()
    worker.reap()
    worker.channel.close()
