"""The same client in asyncio, as its users write it: hedging by asyncio's timers, whose rounding is part of it.

asyncio waits for its timers in whole milliseconds, rounded up. Requests themselves leave as punctually as in the
other strategies, by a timer of the kernel's that asyncio watches like a socket: what is compared is hedging, not the
sending of requests.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from hedgerow_client.exchange import Exchange
from hedgerow_client.loop import spin_ns
from hedgerow_node.poller import TimerFd
from hedgerow_node.units import NS_PER_S

if TYPE_CHECKING:
    from hedgerow_client.arrivals import Arrivals
    from hedgerow_client.ledger import Ledger
    from hedgerow_client.policies import Policy
    from hedgerow_client.sockets import Connection, Connections
    from hedgerow_node.protocol.client import BlockSettings
    from hedgerow_node.records import Outcome


class AsyncioLoop(Exchange):
    """Runs ledgers of a block, one after the other, in an event loop of its own."""

    def __init__(
        self, settings: BlockSettings, policy: Policy, connections: Connections, realtime_offset_ns: int
    ) -> None:
        super().__init__(settings, policy, connections, realtime_offset_ns)
        self._timers: list[asyncio.TimerHandle | None] = []
        self._draining = False
        self._failure: BaseException | None = None
        self._spin_ns, self._pace, self._pace_ns = spin_ns(settings), TimerFd(), 0
        self._loop = asyncio.SelectorEventLoop()
        self._loop.set_exception_handler(self._failed)
        self._loop.add_reader(self._pace.fileno(), self._woken)
        for user in connections:
            for connection in user.values():
                self._loop.add_reader(connection.fd, partial(self._readable, connection))

    def run(self, ledger: Ledger, arrivals: Arrivals) -> None:
        self._begin(ledger, arrivals)
        self._draining = False
        self._timers = [None] * ledger.count
        self._look()
        self._run()
        self._end()

    def drain(self, until_ns: int) -> None:
        self._draining = True
        self._loop.call_at(until_ns / NS_PER_S, self._loop.stop)
        self._run()

    def close(self) -> None:
        self._loop.close()
        super().close()

    def _run(self) -> None:
        self._loop.run_forever()
        if self._failure is not None:
            raise self._failure

    def _failed(self, _: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        """asyncio would print the exception and go on."""
        error = context.get("exception")
        self._failure = error if isinstance(error, BaseException) else RuntimeError(context["message"])
        self._loop.stop()

    def _look(self) -> None:
        """After anything has happened: end, or set the timer for the next request."""
        if self._is_over and not self._draining:
            self._loop.stop()
        due_ns = self._arrivals.due_ns
        if due_ns != self._pace_ns:
            self._pace_ns = due_ns
            self._pace.set(due_ns - self._spin_ns)

    def _woken(self) -> None:
        """The timer stays readable until it is set again, so the loop spins until the request is due."""
        self._send_due()
        self._look()

    def _readable(self, connection: Connection) -> None:
        self._receive(connection)
        self._look()

    def _set_deadline(self, index: int, deadline_ns: int) -> None:
        super()._set_deadline(index, deadline_ns)
        self._cancel(index)
        self._timers[index] = self._loop.call_at(deadline_ns / NS_PER_S, self._due, index)

    def _due(self, index: int) -> None:
        self._expire(index)
        self._look()

    def _finish(self, index: int, outcome: Outcome, ended_ns: int) -> None:
        self._cancel(index)
        super()._finish(index, outcome, ended_ns)

    def _cancel(self, index: int) -> None:
        timer = self._timers[index]
        if timer is not None:
            timer.cancel()
            self._timers[index] = None
