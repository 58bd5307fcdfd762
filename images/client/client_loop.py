"""The client's one loop: any number of users, each a small state machine, on one thread with absolute deadlines.

A user sends a request and waits for its answer or for the time-out, thinks, and takes the next id; hedging is its
policy's business. All strategies run through here, so a difference between two of them is not the loop's.
"""

from __future__ import annotations

import heapq
import socket
from collections.abc import Sequence

from client_block import BlockSettings
from client_ledger import Ledger
from client_socket import ANCILLARY_SIZE, kernel_timestamp_ns
from hedgerow_node.clock import now_ns
from hedgerow_node.poller import Poller
from hedgerow_node.records import Outcome
from hedgerow_node.wire import MAX_PAYLOAD
from hedging_policies import Policy

_NOTHING = -1  #: no request awaited, no deadline set
_SEND_ATTEMPTS = 3


class _User:
    """One user: `awaited` is the id of its request while it waits; `deadline_ns` is when it will do something itself:
    hedge or give up while it waits, send the next request while it thinks.
    """

    __slots__ = ("awaited", "deadline_ns", "fd", "hedged", "number", "payload", "receive", "send", "sent_ns")

    def __init__(self, number: int, connected: socket.socket, payload: int) -> None:
        self.number = number
        self.fd = connected.fileno()
        self.send = connected.send
        self.receive = connected.recvmsg_into
        self.payload = bytearray(payload)
        self.awaited = self.deadline_ns = self.sent_ns = _NOTHING
        self.hedged = False


class ClientLoop:
    """Sends ledgers' requests through `sockets`, one connected socket a user.

    Counts what no ledger can: `stray_copies` (datagrams that are no response to anything sent in this block),
    `timer_restarts` (deadlines that a late answer has moved) and `socket_errors` (mostly ICMP errors, which
    concern an earlier datagram: they are passed over, and the time-out decides).
    """

    def __init__(
        self, settings: BlockSettings, policy: Policy, sockets: Sequence[socket.socket], realtime_offset_ns: int
    ) -> None:
        self.stray_copies = self.timer_restarts = self.socket_errors = 0
        self._policy = policy
        self._think_ns = settings.think_ns
        self._request_place, self._response_place = settings.places
        self._realtime_offset_ns = realtime_offset_ns
        self._buffer = bytearray(MAX_PAYLOAD)
        self._buffers = [self._buffer]
        self._users = [_User(number, connected, settings.payload) for number, connected in enumerate(sockets)]
        self._by_fd = {user.fd: user for user in self._users}
        self._poller = Poller()
        for fd in self._by_fd:
            self._poller.register(fd)
        self._ledgers: list[Ledger] = []
        self._timers: list[tuple[int, int]] = []  # a heap of (deadline, user's number); moved deadlines leave theirs
        self._active = 0

    def run(self, ledger: Ledger) -> None:
        """Send every request of `ledger`; returns when each has been answered or given up.

        The users start spread over one think time, or they would send in step for a long while.
        """
        self._ledgers.insert(0, ledger)
        self._active, start_ns = len(self._users), now_ns()
        for user in self._users:
            self._set_deadline(user, start_ns + self._think_ns * user.number // len(self._users))
        timers, users, by_fd, wait = self._timers, self._users, self._by_fd, self._poller.wait
        while self._active:
            deadline_ns, number = timers[0]
            if users[number].deadline_ns != deadline_ns:
                heapq.heappop(timers)
                continue
            ready = wait(deadline_ns)
            for fd in ready:
                self._receive(by_fd[fd])
            self._fire_timers(ready)

    def drain(self, until_ns: int) -> None:
        """Receive what still comes until CLOCK_MONOTONIC reaches `until_ns`."""
        while now_ns() < until_ns:
            for fd in self._poller.wait(until_ns):
                self._receive(self._by_fd[fd])

    def _set_deadline(self, user: _User, deadline_ns: int) -> None:
        user.deadline_ns = deadline_ns
        heapq.heappush(self._timers, (deadline_ns, user.number))

    def _fire_timers(self, ready: list[int]) -> None:
        timers = self._timers
        while timers and timers[0][0] <= now_ns():
            deadline_ns, number = heapq.heappop(timers)
            user = self._users[number]
            if user.fd in ready and user.awaited != _NOTHING:
                # The answer may be next in the socket's buffer: what came in time must not be hedged.
                while user.deadline_ns == deadline_ns and self._receive(user):
                    pass
            if user.deadline_ns == deadline_ns:
                self._fire(user)

    def _fire(self, user: _User) -> None:
        if user.awaited == _NOTHING:
            self._send_next(user)
        elif self._policy.hedges and not user.hedged:
            user.hedged = True
            if self._transmit(user):
                self._ledgers[0].hedges_sent += 1
            self._set_deadline(user, self._policy.final_deadline_ns(user.sent_ns, now_ns()))
        else:
            self._finish(user, Outcome.TIMEOUT, now_ns())

    def _send_next(self, user: _User) -> None:
        ledger = self._ledgers[0]
        index = ledger.sent
        if index == ledger.count:
            self._rest(user)
            return
        request_id = ledger.first_id + index
        place = self._request_place
        user.payload[place.offset : place.offset + place.length] = request_id.to_bytes(place.length)
        user.awaited, user.hedged = request_id, False
        ledger.sent = index + 1
        user.sent_ns = ledger.sent_ns[index] = sent_ns = now_ns()
        if self._transmit(user):
            self._set_deadline(user, self._policy.primary_deadline_ns(sent_ns))
        else:
            self._finish(user, Outcome.ERROR, now_ns())

    def _transmit(self, user: _User) -> bool:
        """Send the user's payload; False where the kernel does not take it.

        An ICMP error of an earlier datagram makes the next send fail once without sending anything.
        """
        for _ in range(_SEND_ATTEMPTS):
            try:
                user.send(user.payload)
            except OSError:
                self.socket_errors += 1
            else:
                return True
        return False

    def _receive(self, user: _User) -> bool:
        """Take one datagram from the user's socket; False where there is none."""
        try:
            length, ancillary, _, _ = user.receive(self._buffers, ANCILLARY_SIZE)
        except BlockingIOError:
            return False
        except OSError:
            self.socket_errors += 1
            return True
        received_ns = now_ns()
        place = self._response_place
        end = place.offset + place.length
        request_id = int.from_bytes(self._buffer[place.offset : end]) if length >= end else _NOTHING
        for ledger in self._ledgers:
            if ledger.note_copy(request_id):
                break
        else:
            self.stray_copies += 1
        if user.awaited == _NOTHING:
            return True
        if request_id == user.awaited:
            ledger = self._ledgers[0]
            index = request_id - ledger.first_id
            ledger.received_ns[index] = received_ns
            ledger.kernel_rx_ns[index] = kernel_timestamp_ns(ancillary, self._realtime_offset_ns)
            self._finish(user, Outcome.ANSWERED, received_ns)
            return True
        deadline_ns = self._policy.disturbed_deadline_ns(user.deadline_ns, user.hedged, received_ns)
        if deadline_ns != user.deadline_ns:
            self.timer_restarts += 1
            self._set_deadline(user, deadline_ns)
        return True

    def _finish(self, user: _User, outcome: Outcome, ended_ns: int) -> None:
        ledger = self._ledgers[0]
        ledger.outcomes[user.awaited - ledger.first_id] = outcome
        user.awaited = _NOTHING
        if ledger.sent == ledger.count:
            self._rest(user)
        else:
            self._set_deadline(user, ended_ns + self._think_ns)

    def _rest(self, user: _User) -> None:
        user.deadline_ns = _NOTHING
        self._active -= 1
