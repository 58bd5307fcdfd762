"""A client's sockets: UDP, connected, not blocking, and with the kernel's own receive timestamps."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hedgerow_node.addresses import resolve
from hedgerow_node.records import NO_TIME
from hedgerow_node.units import NS_PER_S

if TYPE_CHECKING:
    from hedgerow_node.protocol.client import BlockSettings

_SO_TIMESTAMPNS = 35  # Python's socket module does not name it
_RECEIVE_BUFFER = 4 << 20  # bytes asked for, for what arrives while the client is held up; the kernel may give less
_TIMESPEC = struct.Struct("@ll")
ANCILLARY_SIZE = socket.CMSG_SPACE(_TIMESPEC.size)  #: bytes to receive a datagram's timestamp into


class Connection:
    """A user's socket to one replica."""

    __slots__ = ("fd", "receive", "send", "socket", "user")

    def __init__(self, user: int, connected: socket.socket) -> None:
        self.user, self.socket = user, connected
        self.fd = connected.fileno()
        self.send = connected.send
        self.receive = connected.recvmsg_into


#: By user and replica. Replicas that nothing is asked of have none.
Connections = Sequence[dict[int, Connection]]


def open_connections(settings: BlockSettings) -> Connections:
    """Fresh connections of every user to every replica that its requests or hedges may go to.

    Raises OSError, with no socket left open, where one cannot be opened.
    """
    everywhere = settings.spread == "round-robin" or (settings.hedges and settings.target == "other")
    servers = settings.servers if everywhere else settings.servers[:1]
    connections: list[dict[int, Connection]] = []
    try:
        for user in range(settings.arrivals.users):
            connections.append({})
            for replica, server in enumerate(servers):
                connections[user][replica] = Connection(user, open_socket(*server))
    except OSError:
        close_connections(connections)
        raise
    return connections


def close_connections(connections: Connections) -> None:
    """Close all sockets."""
    for replicas in connections:
        for connection in replicas.values():
            connection.socket.close()


def open_socket(host: str, port: int) -> socket.socket:
    """A fresh socket connected to the server; OSError where there is no route to it.

    Timestamps are switched on before the first datagram: the kernel takes a moment to start them.
    """
    family, address = resolve(host, port)
    opened = socket.socket(family, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        opened.connect(address)
    except OSError:
        opened.close()
        raise
    return opened


def kernel_timestamp_ns(ancillary: Sequence[tuple[int, int, bytes]], realtime_offset_ns: int) -> int:
    """When the kernel received the datagram, on CLOCK_MONOTONIC, or NO_TIME where it does not say.

    `realtime_offset_ns` is CLOCK_REALTIME, which the kernel stamps with, minus CLOCK_MONOTONIC.
    """
    if not ancillary:
        return NO_TIME
    seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])
    return int(seconds * NS_PER_S + nanoseconds - realtime_offset_ns)
