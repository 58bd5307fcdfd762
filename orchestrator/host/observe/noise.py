"""How punctually this host wakes programs up before anything of the run is at work: a probe of its noise.

On each CPU that the run may use, all at once, a process of its own sleeps to a deadline every millisecond, as the
testbed's programs sleep, and notes how late it is back. Deadlines that pass while it is kept from running count with
the lateness they met, so a pause of 5 ms is five late wake-ups and not one. What a wake-up is late by, every latency
measured afterwards may be off by.
"""

from __future__ import annotations

import gc
import os
import signal
import struct
from array import array
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from hedgerow_node.clock import now_ns, set_timer_slack_ns
from hedgerow_node.poller import Poller
from hedgerow_node.processes import Worker, fork_worker
from hedgerow_node.units import NS_PER_MS, NS_PER_S
from orchestrator.errors import RunError
from orchestrator.host.observe.activity import cpu_time_ms
from orchestrator.host.observe.facts import Tree
from orchestrator.runfolder.observed import NoiseProbe

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from types import FrameType

FULL_NS = 2 * NS_PER_S
SHORT_NS = 300 * NS_PER_MS
SHORT_RUN_NS = 30 * NS_PER_S
INTERVAL_NS = NS_PER_MS
#: From the message to the first deadline: time for all processes to receive it.
_LEAD_NS = 50 * NS_PER_MS
_PATIENCE_S = 30.0
_READY = b"ready"
_FIRST = struct.Struct("=q")  #: when the first deadline is, ns


def probe_length(run_ns: int, smoke: bool = False) -> tuple[int, str]:
    """How long to probe, ns, before a run expected to take `run_ns`, and why: two seconds are not for short runs."""
    if smoke:
        return SHORT_NS, "short: a smoke run"
    if run_ns < SHORT_RUN_NS:
        return SHORT_NS, f"short: a run of less than {SHORT_RUN_NS // NS_PER_S} s"
    return FULL_NS, "in full"


def probe(duration_ns: int, length: str = "in full") -> NoiseProbe:
    """Probes for `duration_ns`; RunError where a process of the probe fails."""
    stolen_ms = _steal_ms()
    cpus = sorted(os.sched_getaffinity(0))
    latenesses_ns = array("q")
    for measured in _on_all(cpus, duration_ns // INTERVAL_NS):
        latenesses_ns.extend(measured)
    stolen_after_ms = _steal_ms()
    steal_ms = None if stolen_ms is None or stolen_after_ms is None else stolen_after_ms - stolen_ms
    return NoiseProbe.of(latenesses_ns, duration_ns, length, len(cpus), steal_ms)


def latenesses(first_ns: int, count: int, now: Callable[[], int], wait: Callable[[int], object]) -> array[int]:
    """The lateness, ns, at each of `count` deadlines from `first_ns` on; `wait` sleeps until one, as `now` tells."""
    found = array("q", bytes(8 * count))
    done = 0
    while done < count:
        wait(first_ns + done * INTERVAL_NS)
        woken_ns = now()
        while done < count and first_ns + done * INTERVAL_NS <= woken_ns:
            found[done] = woken_ns - first_ns - done * INTERVAL_NS
            done += 1
    return found


def _on_all(cpus: list[int], count: int) -> list[array[int]]:
    """What a process on each of `cpus` found; none of them outlives this, however it ends."""
    with ExitStack() as stack:
        workers = {cpu: _forked(cpu, count, stack) for cpu in cpus}
        for cpu, worker in workers.items():
            _receive(worker, cpu, len(_READY))
        first_ns = now_ns() + _LEAD_NS
        for worker in workers.values():
            with suppress(BrokenPipeError):  # that it has ended is seen below
                worker.channel.sendall(_FIRST.pack(first_ns))
        return [array("q", _receive(worker, cpu, 8 * count)) for cpu, worker in workers.items()]


def _forked(cpu: int, count: int, stack: ExitStack) -> Worker:
    """A process on `cpu` that ends with `stack`.

    Signals are held back during the fork: Python runs functions of its own there, and would swallow what handlers
    raise; and until the stack knows of the process, nothing would end it.
    """
    with _signals_held_back():
        worker = fork_worker(lambda channel: _measure(channel, cpu, count))
        stack.callback(_end, worker)
    return worker


def _measure(channel: socket.socket, cpu: int, count: int) -> None:
    os.sched_setaffinity(0, {cpu})
    set_timer_slack_ns(1)
    gc.disable()
    channel.sendall(_READY)
    (first_ns,) = _FIRST.unpack(channel.recv(_FIRST.size))
    channel.sendall(latenesses(first_ns, count, now_ns, Poller().wait).tobytes())


def _receive(worker: Worker, cpu: int, size: int) -> bytes:
    """The next `size` bytes that the process on `cpu` sends; RunError where it ends or stays silent."""
    worker.channel.settimeout(FULL_NS / NS_PER_S + _PATIENCE_S)
    received = bytearray()
    while len(received) < size:
        try:
            chunk = worker.channel.recv(size - len(received))
        except TimeoutError as error:
            raise RunError(f"the noise probe on CPU {cpu} does not end", "is the host overloaded?") from error
        if not chunk:
            raise RunError(f"the noise probe on CPU {cpu} failed", "see stderr")
        received += chunk
    return bytes(received)


def _end(worker: Worker) -> None:
    worker.kill()
    worker.reap()
    worker.channel.close()


def _steal_ms() -> int | None:
    return (cpu_time_ms(Tree()) or {}).get("steal")


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """While entered, signals with a handler in Python are only remembered; they are raised again on leaving.

    Blocking them in the calling thread is not enough: the kernel hands a process's signal to any thread that takes
    it, a library's own for one, and Python runs the handler in the main thread all the same. For the main thread.
    """
    remembered: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        remembered.append(number)

    before = {number: handler for number in signal.valid_signals() if callable(handler := signal.getsignal(number))}
    try:
        for number in before:
            signal.signal(number, remember)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for caught in remembered:
            signal.raise_signal(caught)
