"""A client's socket: UDP, connected, not blocking, and with the kernel's own receive timestamps."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

from hedgerow_node.addresses import resolve
from hedgerow_node.records import NO_TIME
from hedgerow_node.units import NS_PER_S

_SO_TIMESTAMPNS = 35  # Python's socket module does not name it
_TIMESPEC = struct.Struct("@ll")
ANCILLARY_SIZE = socket.CMSG_SPACE(_TIMESPEC.size)  #: bytes to receive a datagram's timestamp into


def open_socket(host: str, port: int) -> socket.socket:
    """A fresh socket connected to the server; OSError where there is no route to it.

    Timestamps are switched on before the first datagram: the kernel takes a moment to start them.
    """
    family, address = resolve(host, port)
    opened = socket.socket(family, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
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
