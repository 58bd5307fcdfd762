"""The server's worker: sockets, the queue of responses that are due, and the log that proves what was done.

One thread and one loop for any number of requests in flight. A response leaves by an absolute deadline; the last
stretch before it is spent asking instead of sleeping (`SPIN_NS`), because waking up late is a fault that no scenario
declared. For the same reason the garbage collector is off (the loop makes no reference cycles) and collects only when
a fault has it collect.
"""

from __future__ import annotations

import gc
import heapq
import os
import socket
from typing import TYPE_CHECKING

from hedgerow_node.clock import now_ns, set_timer_slack_ns
from hedgerow_node.control import ControlServer
from hedgerow_node.object_graph import collect, object_graph
from hedgerow_node.poller import Poller
from hedgerow_node.protocol.server import CollectAt, InFlight, ServiceSettings
from hedgerow_node.records import NO_TIME, Action
from hedgerow_node.units import NS_PER_US
from hedgerow_node.wire import MAX_COPY_ORDINAL, MAX_PAYLOAD
from hedgerow_server.model import ServiceModel, Source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hedgerow_node.protocol import JsonObject
    from hedgerow_server.log import ServerLog

SPIN_NS = 150 * NS_PER_US  #: waking up takes 80 to 160 µs on an idle virtual machine, on bare metal less
_MAX_LOGGED_COPY = 0xFFFF
_NOT_LOGGED = -1

#: (due_ns, order, socket, response, source, place in the log); `order` breaks ties
_Pending = tuple[int, int, socket.socket, bytearray, Source, int]


class ServerWorker:
    """Serves as `settings` say until a block is started over `channel`. Only blocks started that way are logged.

    Ends when the other end of `channel` is closed.
    """

    def __init__(self, settings: ServiceSettings, channel: socket.socket, log: ServerLog) -> None:
        self._log = log
        self._buffer = bytearray(MAX_PAYLOAD)
        self._pending: list[_Pending] = []
        self._order = 0
        self._logs = False
        self._graph: list[list[object]] = []
        self._collections_due: list[int] = []
        self._begin(settings)
        self._control = ControlServer()
        self._control.operation("ping", lambda _: None)
        self._control.operation("start-block", self._start_block)
        self._control.operation("end-block", self._end_block)
        self._control.operation("collect-at", self._collect_at)
        self._control.operation("collect-no-more", self._collect_no_more)
        self._control.adopt(channel)
        self._poller = Poller(SPIN_NS)
        self._control.join(self._poller)

    def take_over(self, block: ServiceSettings | None, logs: bool, collections_due: Sequence[int]) -> None:
        """Replace a worker that was killed: serve its last block, remembering nothing of it.

        `block` is how that is served (None: there was none), `logs` whether it is still on.
        """
        self._log.take_over()
        if block is not None:
            self._prepare(block)
        self._logs = logs
        self._collections_due = sorted(collections_due)

    def run(self, sockets: list[socket.socket]) -> None:
        """Serve `sockets` (bound, not blocking) until the supervisor hangs up."""
        by_fd = {opened.fileno(): opened for opened in sockets}
        for fd in by_fd:
            self._poller.register(fd)
        set_timer_slack_ns(1)
        gc.disable()
        self._log.workers.append(os.getpid(), now_ns())
        pending, wait = self._pending, self._poller.wait
        while self._control.connections:
            for fd in wait(self._next_due_ns() if self._collections_due else pending[0][0] if pending else None):
                if fd in by_fd:
                    self._receive(by_fd[fd])
                else:
                    self._control.handle(fd)
            # Datagrams first: a response that has become due is late by one reception at most.
            while pending and pending[0][0] <= now_ns():
                self._respond(heapq.heappop(pending))
            if self._collections_due and self._collections_due[0] <= now_ns():
                self._log.collections.append(self._collections_due.pop(0), *collect())

    def _next_due_ns(self) -> int:
        collection_ns = self._collections_due[0]
        return min(self._pending[0][0], collection_ns) if self._pending else collection_ns

    def _begin(self, settings: ServiceSettings) -> None:
        self._model = ServiceModel(settings, self._log.hits, self._log.fail)
        self._places, self._replica = settings.request_id, settings.replica
        self._shortest = settings.request_id.shortest_request
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
            self._log.count_malformed()
            return
        request, response = self._places
        request_id = int.from_bytes(buffer[request.offset : request.offset + request.length])
        end = response.offset + response.length
        payload = bytearray(length)
        try:
            payload[response.offset : end] = request_id.to_bytes(response.length)
        except OverflowError:  # the response has less room for an id than the request
            self._log.count_malformed()
            return
        due_ns, copy, action = self._model.admit(source, request_id, received_ns)
        place = _NOT_LOGGED
        if self._logs:
            logged = (request_id, min(copy, _MAX_LOGGED_COPY), source[1], self._replica)
            place = self._log.copies.append(*logged, received_ns, due_ns, NO_TIME, action)
        if action is Action.DROPPED:
            return
        payload[end] = min(copy, MAX_COPY_ORDINAL)
        payload[end + 1] = self._replica
        self._order += 1
        heapq.heappush(self._pending, (due_ns, self._order, listening, payload, source, place))

    def _respond(self, pending: _Pending) -> None:
        _, _, answering, payload, source, place = pending
        logged = self._logs and place != _NOT_LOGGED
        # Before it leaves, or a response might have been received that the log knows nothing of.
        if logged:
            self._log.answered(place, now_ns())
        try:
            answering.sendto(payload, source)
        except OSError:  # no route, a full queue, a filter: the client's time-out decides, the log shows it
            self._log.count_send_error()
            if logged:
                self._log.answered(place, NO_TIME)

    def _prepare(self, settings: ServiceSettings) -> None:
        objects = 0 if settings.gc is None else settings.gc.objects
        self._begin(settings)
        if len(self._graph) != objects:
            self._graph = []
            self._graph = object_graph(objects) if objects else []
        self._collections_due = []

    def _start_block(self, request: JsonObject) -> None:
        self._prepare(ServiceSettings.from_json(request))
        self._log.clear()
        self._logs = True
        gc.collect()

    def _end_block(self, _: JsonObject) -> JsonObject:
        """Serving goes on, unlogged; the log is complete."""
        self._logs = False
        return InFlight(len(self._pending)).to_json()

    def _collect_at(self, request: JsonObject) -> None:
        self._collections_due = sorted([*self._collections_due, *CollectAt.from_json(request).at_ns])

    def _collect_no_more(self, _: JsonObject) -> None:
        self._collections_due = []
