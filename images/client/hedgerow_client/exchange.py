"""Sending requests, receiving answers, hedging, giving up: what every client does alike, whichever loop wakes it.

A request is known by its position in the ledger. It waits while it has a deadline, at which it is hedged or given
up. What wakes the client, sockets and deadlines, is the loops' business (`loop`, `asyncio_loop`); whose
request is next and when, the arrivals'; when to hedge, the policy's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from typing import TYPE_CHECKING

from hedgerow_client.arrivals import NEVER_NS, Arrivals
from hedgerow_client.sockets import ANCILLARY_SIZE, Connection, Connections, close_connections, kernel_timestamp_ns
from hedgerow_node.clock import now_ns
from hedgerow_node.protocol.client import SilentEvent
from hedgerow_node.records import NO_TIME, Outcome
from hedgerow_node.wire import MAX_PAYLOAD
from hedgerow_node.workload import hedge_replica, primary_replica

if TYPE_CHECKING:
    from collections.abc import Callable

    from hedgerow_client.ledger import Ledger
    from hedgerow_client.policies import Policy
    from hedgerow_node.protocol.client import BlockSettings

_NOTHING = -1  #: no position in the ledger
_SEND_ATTEMPTS = 3
#: So many requests in a row, none of which was answered, are no chance.
SILENT_REQUESTS = 4
BURST = 32  #: overdue requests sent, or deadlines met, before anything else gets its turn


class Exchange(ABC):
    """Sends ledgers' requests over `connections` and notes what comes back; the loops complete it.

    Counts what no ledger can: `stray_copies` (datagrams that are no response to anything sent in this block),
    `timer_restarts` (deadlines that a late answer has moved) and `socket_errors` (mostly ICMP errors, which
    concern an earlier datagram: they are passed over, and the time-out decides).

    Calls `silent` where nothing has been received for the patience of the settings while request after request was
    given up, and again each time that as much has passed since.
    """

    def __init__(
        self, settings: BlockSettings, policy: Policy, connections: Connections, realtime_offset_ns: int
    ) -> None:
        self.stray_copies = self.timer_restarts = self.socket_errors = 0
        self._policy, self._connections = policy, connections
        self._spread, self._target, self._replicas = settings.spread, settings.target, len(settings.servers)
        self._request_place, self._response_place = settings.places
        self._realtime_offset_ns = realtime_offset_ns
        self._payload = bytearray(settings.payload)
        self._buffer = bytearray(MAX_PAYLOAD)
        self._buffers = [self._buffer]
        self._ledger: Ledger
        self._arrivals: Arrivals
        self._earlier: list[Ledger] = []
        self.silent: Callable[[SilentEvent], None] = lambda _: None
        self._patience_ns = settings.patience_ns
        self._heard_ns = self._reported_ns = 0
        self._given_up = 0  # since something was received
        self._first_given_up = self._last_given_up = _NOTHING

    @abstractmethod
    def run(self, ledger: Ledger, arrivals: Arrivals) -> None:
        """Send every request of `ledger`; returns when each has been answered or given up."""

    @abstractmethod
    def drain(self, until_ns: int) -> None:
        """Receive what still comes until CLOCK_MONOTONIC reaches `until_ns`."""

    def close(self) -> None:
        """Close all sockets."""
        close_connections(self._connections)

    def _begin(self, ledger: Ledger, arrivals: Arrivals) -> None:
        """Take up `ledger`; copies of the requests of earlier ones are still theirs."""
        self._ledger, self._arrivals = ledger, arrivals
        self._waiting = 0
        self._deadline_ns = array("q", [NO_TIME]) * ledger.count
        self._user = array("L", [0]) * ledger.count
        self._hedged = bytearray(ledger.count)
        self._latest = [_NOTHING] * len(self._connections)  # each user's latest request
        self._given_up = 0

    def _end(self) -> None:
        self._earlier.append(self._ledger)

    @property
    def _is_over(self) -> bool:
        """Whether every request has been sent, and answered or given up."""
        return not self._waiting and self._arrivals.due_ns == NEVER_NS

    def _set_deadline(self, index: int, deadline_ns: int) -> None:
        """Let `_expire` be called at `deadline_ns`, unless the request has ended or has another deadline then."""
        self._deadline_ns[index] = deadline_ns

    def _send_due(self) -> None:
        """Send what is due, within reason."""
        arrivals = self._arrivals
        for _ in range(BURST):
            if arrivals.due_ns > now_ns():
                return
            self._send_next()

    def _send_next(self) -> None:
        ledger, arrivals = self._ledger, self._arrivals
        index, user = ledger.sent, arrivals.user
        request_id = ledger.first_id + index
        ledger.sent = index + 1
        self._user[index] = user
        self._latest[user] = index
        asked = self._connections[user][primary_replica(self._spread, request_id, self._replicas)]
        place = self._request_place
        self._payload[place.offset : place.end] = request_id.to_bytes(place.length)
        ledger.sent_ns[index] = sent_ns = now_ns()
        ledger.intended_ns[index] = intended_ns = arrivals.leave(sent_ns)
        self._waiting += 1
        if self._transmit(asked):
            self._set_deadline(index, self._policy.primary_deadline_ns(intended_ns, sent_ns))
        else:
            self._give_up(index, Outcome.ERROR, now_ns())

    def _transmit(self, connection: Connection) -> bool:
        """Send the payload; False where the kernel does not take it.

        An ICMP error of an earlier datagram makes the next send fail once without sending anything.
        """
        for _ in range(_SEND_ATTEMPTS):
            try:
                connection.send(self._payload)
            except OSError:
                self.socket_errors += 1
            else:
                return True
        return False

    def _receive(self, connection: Connection) -> bool:
        """Take one datagram from a socket; False where there is none."""
        try:
            length, ancillary, _, _ = connection.receive(self._buffers, ANCILLARY_SIZE)
        except BlockingIOError:
            return False
        except OSError:
            self.socket_errors += 1
            return True
        self._heard_ns = received_ns = now_ns()
        self._given_up = 0
        place, ledger = self._response_place, self._ledger
        request_id = int.from_bytes(self._buffer[place.offset : place.end]) if length >= place.end else _NOTHING
        index = request_id - ledger.first_id
        if 0 <= index < ledger.sent and self._user[index] == connection.user:
            ledger.copies[index] += 1
            if self._deadline_ns[index] != NO_TIME:
                ledger.received_ns[index] = received_ns
                ledger.kernel_rx_ns[index] = kernel_timestamp_ns(ancillary, self._realtime_offset_ns)
                self._finish(index, Outcome.ANSWERED, received_ns)
                return True
        elif not any(earlier.note_copy(request_id) for earlier in self._earlier):
            self.stray_copies += 1
        if self._policy.is_disturbed:
            self._disturb(self._latest[connection.user], received_ns)
        return True

    def _disturb(self, index: int, received_ns: int) -> None:
        """Something arrived for a user that awaits something else, if it awaits anything."""
        if index != _NOTHING and self._deadline_ns[index] != NO_TIME:
            self.timer_restarts += 1
            self._set_deadline(index, self._policy.disturbed_deadline_ns(bool(self._hedged[index]), received_ns))

    def _expire(self, index: int) -> None:
        """The deadline of a request has come: hedge it or give it up.

        Its answer may lie in a socket's buffer, and after a pause thousands of others before it: what came in time
        must be neither hedged nor given up.
        """
        ledger, deadline_ns = self._ledger, self._deadline_ns[index]
        connections, request_id = self._connections[self._user[index]], ledger.first_id + index
        asked = primary_replica(self._spread, request_id, self._replicas)
        replicas = [asked]
        if self._policy.hedges:
            other = hedge_replica(self._target, asked, request_id, self._replicas)
            replicas += [other] if self._hedged[index] and other != asked else []
        for replica in replicas:
            while self._deadline_ns[index] == deadline_ns and self._receive(connections[replica]):
                pass
        if self._deadline_ns[index] != deadline_ns:
            return
        ended_ns = now_ns()
        if self._policy.hedges and not self._hedged[index]:
            final_ns = self._policy.final_deadline_ns(ledger.intended_ns[index], ended_ns)
            if ended_ns < final_ns:
                self._hedge(index, connections[other])
                self._set_deadline(index, final_ns)
                return
        self._give_up(index, Outcome.TIMEOUT, ended_ns)

    def _hedge(self, index: int, connection: Connection) -> None:
        self._hedged[index] = True
        place, request_id = self._request_place, self._ledger.first_id + index
        self._payload[place.offset : place.end] = request_id.to_bytes(place.length)
        if self._transmit(connection):
            self._ledger.hedges_sent += 1

    def _give_up(self, index: int, outcome: Outcome, ended_ns: int) -> None:
        """A request ends without an answer."""
        if not self._given_up:
            self._first_given_up = index
        self._given_up += 1
        self._last_given_up = index
        self.report_silence(ended_ns)
        self._finish(index, outcome, ended_ns)

    def report_silence(self, time_ns: int) -> None:
        """Call `silent` if nothing has been received for too long by `time_ns`."""
        if self._given_up < SILENT_REQUESTS or not self._patience_ns:
            return
        ledger = self._ledger
        since_ns = max(self._heard_ns, ledger.sent_ns[self._first_given_up])
        if time_ns - max(since_ns, self._reported_ns) >= self._patience_ns:
            self._reported_ns = time_ns
            first_id, last_id = ledger.first_id + self._first_given_up, ledger.first_id + self._last_given_up
            self.silent(SilentEvent(since_ns, time_ns, self._given_up, first_id, max(first_id, last_id)))

    def _finish(self, index: int, outcome: Outcome, ended_ns: int) -> None:
        self._ledger.outcomes[index] = outcome
        self._deadline_ns[index] = NO_TIME
        self._waiting -= 1
        self._arrivals.end(self._user[index], ended_ns)
