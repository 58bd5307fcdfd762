"""When requests are sent, and by whom: by users who wait for their answers, or by a schedule that does not wait.

The loop looks at `due_ns` and `user`, sends, and reports what was sent and when a request has ended. It does not know
which of the two kinds it has.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Protocol

from hedgerow_node.protocol.client import BlockSettings, ClosedArrivals, IdRange, OpenArrivals
from hedgerow_node.workload import send_offsets_ns

if TYPE_CHECKING:
    from array import array

NEVER_NS = (1 << 63) - 1


class Arrivals(Protocol):
    """Where requests come from."""

    due_ns: int  #: when the next request is to be sent; NEVER_NS while there is none
    user: int  #: whose request that is

    def begin(self, start_ns: int) -> None:
        """The first request is due at `start_ns`."""

    def leave(self, sent_ns: int) -> int:
        """The request that was due leaves now, at `sent_ns`: when it should have, its latency's beginning."""

    def end(self, user: int, ended_ns: int) -> None:
        """A request of `user` was answered or given up at `ended_ns`."""


class ClosedUsers:
    """Users with one request at a time. A request is meant to leave when it does: its user decides only then.

    The users start spread over one think time, or they would send in step for a long while.
    """

    def __init__(self, users: int, think_ns: int, count: int) -> None:
        self.due_ns, self.user = NEVER_NS, 0
        self._users, self._think_ns = users, think_ns
        self._left = count
        self._thinking: list[tuple[int, int]] = []  # a heap of (when the user sends, its number)

    def begin(self, start_ns: int) -> None:
        self._thinking = [(start_ns + self._think_ns * user // self._users, user) for user in range(self._users)]
        self._look()

    def leave(self, sent_ns: int) -> int:
        heapq.heappop(self._thinking)
        self._left -= 1
        self._look()
        return sent_ns

    def end(self, user: int, ended_ns: int) -> None:
        heapq.heappush(self._thinking, (ended_ns + self._think_ns, user))
        self._look()

    def _look(self) -> None:
        if self._left and self._thinking:
            self.due_ns, self.user = self._thinking[0]
        else:
            self.due_ns = NEVER_NS


class OpenSchedule:
    """Requests due at the given offsets from the start, taken by the users in turn."""

    def __init__(self, offsets_ns: array[int], users: int) -> None:
        self.due_ns, self.user = NEVER_NS, 0
        self._offsets_ns, self._users = offsets_ns, users
        self._start_ns = self._next = 0

    def begin(self, start_ns: int) -> None:
        self._start_ns = start_ns
        if self._offsets_ns:
            self.due_ns = start_ns + self._offsets_ns[0]

    def leave(self, sent_ns: int) -> int:  # noqa: ARG002 (closed arrivals need it)
        due_ns = self.due_ns
        self._next = index = self._next + 1
        if index < len(self._offsets_ns):
            self.due_ns = self._start_ns + self._offsets_ns[index]
            self.user = index % self._users
        else:
            self.due_ns = NEVER_NS
        return due_ns

    def end(self, user: int, ended_ns: int) -> None:
        """What becomes of a request is nothing to the schedule."""


def make_arrivals(settings: BlockSettings, ids: IdRange, warm_up: bool = False) -> Arrivals:
    """Arrivals of the requests `ids` of a block."""
    arrivals = settings.arrivals
    if isinstance(arrivals, ClosedArrivals):
        return ClosedUsers(arrivals.users, arrivals.think_ns, ids.count)
    return OpenSchedule(open_offsets_ns(arrivals, ids, warm_up), arrivals.users)


def open_offsets_ns(arrivals: OpenArrivals, ids: IdRange, warm_up: bool) -> array[int]:
    """When the requests `ids` are due, in ns after the first; a warm-up's are as many a second, but even."""
    process = "constant" if warm_up else arrivals.process
    return send_offsets_ns(process, arrivals.rate_per_s, arrivals.seed, ids.first_id, ids.count)
