"""Processes that do nothing but use up processors, for the fault `cpu-stress`.

They are forked before they are needed and kept stopped (SIGSTOP) until then: forking takes milliseconds of the very
processors that are being measured, and a stress that builds up over them would not begin when it was declared to.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from hedgerow_node.processes import Worker, fork_worker

if TYPE_CHECKING:
    import socket

    from hedgerow_node.supervisor import Supervisor

_FIRST_FD_NOT_STANDARD = 3
_ALL_FDS = 1 << 30
_READY = b"r"


class Burners:
    """A stock of burners; `supervisor` watches for the end of those that are let go.

    The processes are bound to their supervisor's life: none of them outlives it, whether it burns or is stopped.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._stock: list[Worker] = []
        self._ending: dict[int, Worker] = {}

    def prepare(self, count: int) -> None:
        """Let there be at least `count` in stock. Raises OSError where the kernel allows no more processes."""
        processors = sorted(os.sched_getaffinity(0))
        for number in range(len(self._stock), count):
            burner = _fork_burner(processors[number % len(processors)])
            with burner.channel as channel:
                # Stopped any earlier it would not yet be bound to us, and might be left behind.
                ready = channel.recv(len(_READY))
            if ready != _READY:
                raise ChildProcessError(f"a burner has ended as it began: {burner.reap()}")
            burner.stop()
            self._stock.append(burner)

    def take(self, count: int) -> list[Worker]:
        """`count` of them out of the stock, burning from now on, spread evenly over the processors."""
        self.prepare(count)
        taken, self._stock = self._stock[:count], self._stock[count:]
        for burner in taken:
            burner.resume()
        return taken

    def put_back(self, burners: list[Worker]) -> None:
        """Stop `burners`, which were taken, and return them to the stock."""
        for burner in burners:
            burner.stop()
        self._stock = burners + self._stock

    def keep(self, count: int) -> None:
        """End those in stock beyond `count`, without waiting until they have ended."""
        self._stock, superfluous = self._stock[:count], self._stock[count:]
        for burner in superfluous:
            burner.kill()
            self._ending[burner.pid] = burner
            self._supervisor.watch(burner.pidfd, partial(self._ended, burner.pid))

    def end(self) -> None:
        """End all in stock and wait until none is left."""
        self.keep(0)
        for pid in list(self._ending):
            self._ended(pid)

    def _ended(self, pid: int) -> None:
        burner = self._ending.pop(pid)
        self._supervisor.unwatch(burner.pidfd)
        burner.reap()


def _fork_burner(processor: int) -> Worker:
    def burn(channel: socket.socket) -> None:
        os.sched_setaffinity(0, {processor})
        # A peer that waits for a connection's end must not wait for this process too.
        os.closerange(_FIRST_FD_NOT_STANDARD, channel.fileno())
        os.closerange(channel.fileno() + 1, _ALL_FDS)
        channel.sendall(_READY)
        while True:
            pass

    return fork_worker(burn)
