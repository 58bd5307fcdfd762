"""The server's listening sockets: opened at the start, and again by each worker that takes a killed one's place."""

from __future__ import annotations

import socket

from hedgerow_node.addresses import format_endpoint, resolve

_RECEIVE_BUFFER = 4 << 20  #: bytes asked for, so that a burst waits instead of getting lost; the kernel may give less


def open_socket(host: str, port: int) -> socket.socket:
    """A UDP socket bound to a numeric address, not blocking; OSError, naming the address, where there can be none."""
    family, address = resolve(host, port)
    opened = socket.socket(family, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        if family == socket.AF_INET6:
            # Or [::] would take IPv4's requests too, and with them the port that 0.0.0.0 wants.
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        opened.bind(address)
    except OSError as error:
        opened.close()
        raise OSError(error.errno, f"cannot listen on {format_endpoint(host, port)}: {error.strerror}") from error
    return opened
