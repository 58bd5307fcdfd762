"""Internet addresses as people write them ("192.0.2.10:53", "[2001:db8::1]:53") and as sockets take them."""

from __future__ import annotations

import re
import socket

#: What sockets take and `getaddrinfo` gives: of IPv4, of IPv6, and of a Python without IPv6.
SocketAddress = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
_ENDPOINT = re.compile(r"(?:\[([^\]]+)\]|([^:\[\]]+)):(\d+)\Z")


def parse_endpoint(text: str) -> tuple[str, int]:
    """Address and port of `text`, the address numeric; ValueError where it is no such pair."""
    match = _ENDPOINT.match(text.strip())
    if match is None or int(match[3]) > 0xFFFF:
        raise ValueError(f"{text!r} is not ADDRESS:PORT; an IPv6 address stands in brackets: [::1]:9000")
    host, port = match[1] or match[2], int(match[3])
    resolve(host, port)
    return host, port


def format_endpoint(host: str, port: int) -> str:
    """`host` and `port` as `parse_endpoint` reads them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def resolve(host: str, port: int) -> tuple[socket.AddressFamily, SocketAddress]:
    """Family and socket address of a numeric address; ValueError where `host` is none. Never asks a name server."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror as error:
        raise ValueError(f"{host!r} is not a numeric address") from error
    family, _, _, _, address = found[0]
    return family, address
