"""The requests and responses that several tests send."""

from __future__ import annotations

from dataclasses import replace

from support.frames import DESTINATION, ETH_QINQ, ETH_VLAN, HOP_BY_HOP, Datagram, options_header
from support.kernel_bench import CLIENT4, CLIENT6, SERVER4, SERVER6

ID = b"\0\0\0\7"
V4 = Datagram(CLIENT4, SERVER4, ID + bytes(28))
V6 = Datagram(CLIENT6, SERVER6, ID + bytes(28))
HOPS = (HOP_BY_HOP, options_header())
DESTINATIONS = (DESTINATION, options_header(2))

#: Requests in every form that the parser understands.
UNDERSTOOD = {
    "IPv4": V4,
    "IPv4 with options": replace(V4, options=b"\1" * 8),
    "IPv4 with the longest options": replace(V4, options=b"\1" * 40),
    "IPv4, don't fragment": replace(V4, fragment=0x4000),
    "IPv4 without UDP checksum": replace(V4, udp_checksum=0),
    "IPv4 with link-layer padding": replace(V4, trailer=bytes(18)),
    "IPv4, a UDP length shorter than the IP packet's": replace(V4, udp_length=8 + 16),
    "IPv4 in one VLAN": replace(V4, vlan=[ETH_VLAN]),
    "IPv4 in two VLANs": replace(V4, vlan=[ETH_QINQ, ETH_VLAN]),
    "IPv6": V6,
    "IPv6 in two VLANs": replace(V6, vlan=[ETH_VLAN, ETH_VLAN]),
    "IPv6 with hop-by-hop options": replace(V6, extensions=[HOPS]),
    "IPv6 with six extension headers": replace(V6, extensions=[HOPS, *[DESTINATIONS] * 5]),
    "a payload that is just the id": replace(V4, payload=ID),
}


def request(number: int, client: tuple[str, int] = CLIENT4, server: tuple[str, int] = SERVER4) -> Datagram:
    """Request `number`, four bytes of id and some more."""
    return Datagram(client, server, number.to_bytes(4, "big") + bytes(12))


def response(to: Datagram, copy: int = 1) -> Datagram:
    """The response to `to`'s copy number `copy`, as our server writes it."""
    return to.reply(to.payload[:4] + bytes([copy, 0]) + bytes(10))
