"""The loop that all strategies but one run in: one thread, one wait for sockets and for the next of all deadlines.

A difference between two strategies is not the loop's. The exception is app-asyncio, whose loop is what it measures.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from hedgerow_client.arrivals import NEVER_NS, Arrivals
from hedgerow_client.exchange import BURST, Exchange
from hedgerow_node.clock import now_ns
from hedgerow_node.poller import Poller
from hedgerow_node.protocol.client import BlockSettings, OpenArrivals
from hedgerow_node.units import NS_PER_US

if TYPE_CHECKING:
    from hedgerow_client.ledger import Ledger
    from hedgerow_client.policies import Policy
    from hedgerow_client.sockets import Connections

_INDEX_BITS = 32
_INDEX_MASK = (1 << _INDEX_BITS) - 1
_OPEN_SPIN_NS = 90 * NS_PER_US


def spin_ns(settings: BlockSettings) -> int:
    """The last stretch before a deadline, spent asking instead of sleeping: open arrivals keep to a schedule."""
    return _OPEN_SPIN_NS if isinstance(settings.arrivals, OpenArrivals) else 0


class ClientLoop(Exchange):
    """Runs ledgers of a block, one after the other."""

    def __init__(
        self, settings: BlockSettings, policy: Policy, connections: Connections, realtime_offset_ns: int
    ) -> None:
        super().__init__(settings, policy, connections, realtime_offset_ns)
        self._by_fd = {connection.fd: connection for user in connections for connection in user.values()}
        self._poller = Poller(spin_ns(settings))
        for fd in self._by_fd:
            self._poller.register(fd)
        # A heap of deadlines, each with the position of its request in the low bits: integers, since the garbage
        # collector does not count them. Deadlines that were moved, or are needed no more, stay until they come up.
        self._deadlines: list[int] = []

    def run(self, ledger: Ledger, arrivals: Arrivals) -> None:
        self._begin(ledger, arrivals)
        self._deadlines.clear()
        by_fd, wait = self._by_fd, self._poller.wait
        while not self._is_over:
            ready = wait(min(arrivals.due_ns, self._next_deadline_ns()))
            self._send_due()
            for fd in ready:
                self._receive(by_fd[fd])
            for _ in range(BURST):
                if self._next_deadline_ns() > now_ns():
                    break
                self._expire(heapq.heappop(self._deadlines) & _INDEX_MASK)
        self._end()

    def drain(self, until_ns: int) -> None:
        while now_ns() < until_ns:
            for fd in self._poller.wait(until_ns):
                self._receive(self._by_fd[fd])

    def _set_deadline(self, index: int, deadline_ns: int) -> None:
        super()._set_deadline(index, deadline_ns)
        heapq.heappush(self._deadlines, deadline_ns << _INDEX_BITS | index)

    def _next_deadline_ns(self) -> int:
        deadlines, current_ns = self._deadlines, self._deadline_ns
        while deadlines:
            deadline_ns = deadlines[0] >> _INDEX_BITS
            if current_ns[deadlines[0] & _INDEX_MASK] == deadline_ns:
                return deadline_ns
            heapq.heappop(deadlines)
        return NEVER_NS
