"""The server's worker: sockets, the queue of responses that are due, and the log that proves what was done.

One thread and one loop for any number of requests in flight. A response leaves by an absolute deadline; the last
stretch before it is spent asking instead of sleeping (`SPIN_NS`), because waking up late is a fault that nobody
declared. For the same reason the garbage collector is off: the loop makes no reference cycles.
"""

from __future__ import annotations

import gc
import heapq
import socket
from pathlib import Path
from typing import Any

from hedgerow_node.clock import now_ns, set_timer_slack_ns
from hedgerow_node.control import ControlError, ControlServer, Message
from hedgerow_node.fields import Fields
from hedgerow_node.poller import Poller
from hedgerow_node.records import NO_TIME, ServedCopy, write_rows
from hedgerow_node.units import NS_PER_US
from hedgerow_node.wire import MAX_COPY_ORDINAL, MAX_PAYLOAD
from service_model import ServiceModel, ServiceSettings, read_settings

SPIN_NS = 150 * NS_PER_US  #: waking up takes 80 to 160 µs on an idle virtual machine, on bare metal less
_MAX_LOGGED_COPY = 0xFFFF

#: (due_ns, order, socket, response, source, request id, copy, received_ns, action); `order` breaks ties
_Pending = tuple[int, int, socket.socket, bytearray, Any, int, int, int, int]


class ServerWorker:
    """Serves `sockets` (bound, not blocking) as `settings` say until a block is started over `channel`.

    Only blocks started that way are logged. Ends when the other end of `channel` is closed.
    """

    def __init__(self, sockets: list[socket.socket], settings: ServiceSettings, channel: socket.socket) -> None:
        self._sockets = {opened.fileno(): opened for opened in sockets}
        self._buffer = bytearray(MAX_PAYLOAD)
        self._pending: list[_Pending] = []
        self._order = 0
        self._log: list[tuple[int, ...]] | None = None
        self._begin(settings)
        self._control = ControlServer()
        self._control.operation("start-block", self._start_block)
        self._control.operation("end-block", self._end_block)
        self._control.adopt(channel)
        self._poller = Poller(SPIN_NS)
        self._control.join(self._poller)
        for fd in self._sockets:
            self._poller.register(fd)

    def run(self) -> None:
        """Serve until the supervisor hangs up."""
        set_timer_slack_ns(1)
        gc.disable()
        pending, sockets, wait = self._pending, self._sockets, self._poller.wait
        while self._control.connections:
            for fd in wait(pending[0][0] if pending else None):
                if fd in sockets:
                    self._receive(sockets[fd])
                else:
                    self._control.handle(fd)
            # Datagrams first: a response that has become due is late by one reception at most.
            while pending and pending[0][0] <= now_ns():
                self._respond(heapq.heappop(pending))

    def _begin(self, settings: ServiceSettings) -> None:
        self._model = ServiceModel(settings)
        self._places, self._replica = settings.places, settings.replica
        self._shortest = settings.places.shortest_request
        self._malformed = self._send_errors = 0
        # Responses still due belong to sockets that their block has closed.
        self._pending.clear()

    def _receive(self, listening: socket.socket) -> None:
        buffer = self._buffer
        try:
            length, source = listening.recvfrom_into(buffer)
        except BlockingIOError:  # the kernel found the datagram's checksum wrong when it was to be copied
            return
        received_ns = now_ns()
        if length < self._shortest:
            self._malformed += 1
            return
        request, response = self._places
        request_id = int.from_bytes(buffer[request.offset : request.offset + request.length])
        end = response.offset + response.length
        payload = bytearray(length)
        try:
            payload[response.offset : end] = request_id.to_bytes(response.length)
        except OverflowError:  # the response has less room for an id than the request
            self._malformed += 1
            return
        due_ns, copy, action = self._model.admit(source, request_id, received_ns)
        payload[end] = min(copy, MAX_COPY_ORDINAL)
        payload[end + 1] = self._replica
        self._order += 1
        heapq.heappush(
            self._pending,
            (due_ns, self._order, listening, payload, source, request_id, copy, received_ns, action),
        )

    def _respond(self, pending: _Pending) -> None:
        sent_ns = now_ns()
        try:
            pending[2].sendto(pending[3], pending[4])
        except OSError:  # no route, a full queue, a filter: the client's time-out decides, the log tells
            self._send_errors += 1
            sent_ns = NO_TIME
        if self._log is not None:
            self._log.append(self._row(pending, sent_ns))

    def _row(self, pending: _Pending, sent_ns: int) -> tuple[int, ...]:
        due_ns, _, _, _, source, request_id, copy, received_ns, action = pending
        logged_copy = min(copy, _MAX_LOGGED_COPY)
        return (request_id, logged_copy, source[1], self._replica, received_ns, due_ns, sent_ns, action)

    def _start_block(self, request: Message) -> None:
        self._begin(read_settings(Fields(request)))
        self._log = []
        gc.collect()

    def _end_block(self, request: Message) -> Message:
        """Write the log, with what is still in flight as not sent; serving goes on, unlogged."""
        path = Path(Fields(request).text("log"))
        if self._log is None:
            raise ControlError("no block was started")
        rows = self._log + [self._row(pending, NO_TIME) for pending in self._pending]
        rows.sort(key=lambda row: row[4])
        write_rows(path, rows, ServedCopy)
        in_flight, self._log = len(self._pending), None
        if self._model.failure is not None:
            raise ControlError(self._model.failure)
        return {
            "rows": len(rows),
            "in_flight": in_flight,
            "timer_lateness_us": _lateness_us(rows),
            "malformed": self._malformed,
            "send_errors": self._send_errors,
        }


def _lateness_us(rows: list[tuple[int, ...]]) -> dict[str, float] | None:
    """How late the responses left, in microseconds: nearest-rank P50 and P99, and the maximum."""
    late_ns = sorted(row[6] - row[5] for row in rows if row[6] != NO_TIME)
    if not late_ns:
        return None
    figures = {"p50": late_ns[(len(late_ns) - 1) // 2], "p99": late_ns[(len(late_ns) * 99 - 1) // 100]}
    return {name: value / NS_PER_US for name, value in (figures | {"max": late_ns[-1]}).items()}
