"""A client's loop in the test's own process, and scripted peers at the other ends of its connections."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hedgerow_client.arrivals import make_arrivals
from hedgerow_client.ledger import Ledger
from hedgerow_client.sockets import Connection, close_connections
from hedgerow_client.worker import make_loop
from hedgerow_node.clock import now_ns
from hedgerow_node.protocol.client import BlockSettings, ClosedArrivals, IdRange
from hedgerow_node.wire import IdPlace, RequestIdPlaces
from support.node_programs import MS, PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Closed arrivals, three requests, deadlines so late that only those count which a test sets itself.
SETTINGS = BlockSettings(
    strategy="baseline",
    servers=(("127.0.0.1", 1),),
    spread="first",
    target="same",
    requests=IdRange(10, 3),
    warmup=IdRange(0, 0),
    payload=8,
    timeout_ns=600_000 * MS,
    arrivals=ClosedArrivals(users=1, think_ns=0),
    hedge_delay_ns=300_000 * MS,
    places=RequestIdPlaces(IdPlace(0, 4), IdPlace(0, 4)),
    drain_ns=0,
)


def answer(request_id: int) -> bytes:
    """A response."""
    return struct.pack(">I", request_id) + bytes(4)


def asked(peer: socket.socket) -> int:
    """The id of the next request; ConnectionError once the client has closed its end."""
    request = peer.recv(100)
    if not request:
        raise ConnectionError
    return int(struct.unpack(">I", request[:4])[0])


def unread(peer: socket.socket) -> list[int]:
    """The ids of the requests that have come and were not taken yet."""
    peer.setblocking(False)
    ids = []
    while True:
        try:
            ids.append(asked(peer))
        except (BlockingIOError, ConnectionError):
            return ids


class Peers:
    """Connections and their other ends, by user and replica, and scripts that play on threads of their own."""

    def __init__(self, users: int, replicas: int) -> None:
        self.connections: list[dict[int, Connection]] = []
        self.ends: dict[tuple[int, int], socket.socket] = {}
        self._scripts: list[threading.Thread] = []
        self._failures: list[BaseException] = []
        for user in range(users):
            self.connections.append({})
            for replica in range(replicas):
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                ours.setblocking(False)
                theirs.settimeout(PATIENCE_S)
                self.connections[user][replica] = Connection(user, ours)
                self.ends[user, replica] = theirs

    def play(self, script: Callable[..., None], *arguments: object) -> None:
        """Run `script` until it ends, or the test does; where it fails, the test fails."""

        def run() -> None:
            try:
                script(*arguments)
            except ConnectionError:
                return
            except BaseException as failure:
                self._failures.append(failure)

        self._scripts.append(threading.Thread(target=run))
        self._scripts[-1].start()

    def close(self) -> None:
        """Close the connections, which ends the scripts, and say what went wrong in them."""
        close_connections(self.connections)
        for script in self._scripts:
            script.join()
        for end in self.ends.values():
            end.close()
        if self._failures:
            raise self._failures[0]


@contextmanager
def peers(users: int = 1, replicas: int = 1) -> Iterator[Peers]:
    """Peers that are gone at the end, their scripts having ended well."""
    made = Peers(users, replicas)
    try:
        yield made
    finally:
        made.close()


def run(settings: BlockSettings, made: Peers, start_ns: int | None = None) -> Ledger:
    """What became of the measured requests; the loop is closed, and its ends of the connections."""
    loop, ledger = make_loop(settings, made.connections, 0), Ledger(settings.requests)
    arrivals = make_arrivals(settings, settings.requests)
    arrivals.begin(now_ns() if start_ns is None else start_ns)
    try:
        loop.run(ledger, arrivals)
        loop.drain(now_ns() + settings.drain_ns)
    finally:
        loop.close()
    return ledger
