"""Builds the frames that the tests feed to the programs, checksums right, every field open to being wrong."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ETH_IPV4, ETH_IPV6, ETH_VLAN, ETH_QINQ, ETH_ARP = 0x0800, 0x86DD, 0x8100, 0x88A8, 0x0806
UDP, TCP, HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION = 17, 6, 0, 43, 44, 60
CLIENT_MAC, SERVER_MAC = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


def internet_checksum(data: bytes) -> int:
    """The ones' complement sum of RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@dataclass(frozen=True)
class Datagram:
    """A UDP datagram in a frame. `None` for a length or an EtherType means: what is right."""

    source: tuple[str, int]
    destination: tuple[str, int]
    payload: bytes
    vlan: Sequence[int] = ()  #: EtherTypes of the tags, outermost first
    ethertype: int | None = None
    version: int | None = None
    header_words: int | None = None
    options: bytes = b""
    fragment: int = 0  #: IPv4 flags and offset
    protocol: int = UDP
    extensions: Sequence[tuple[int, bytes]] = ()  #: IPv6: (type, header without its first byte)
    udp_length: int | None = None
    udp_checksum: int | None = None
    ip_length: int | None = None  #: what the IP header says
    trailer: bytes = b""  #: link-layer padding
    cut: int | None = None  #: the frame ends after that many bytes

    def reply(self, payload: bytes) -> Datagram:
        """The datagram that answers this one."""
        return replace(self, source=self.destination, destination=self.source, payload=payload)

    def frame(self) -> bytes:
        """The whole frame."""
        ipv6 = ":" in self.source[0]
        network = self._ipv6() if ipv6 else self._ipv4()
        inner = self.ethertype if self.ethertype is not None else (ETH_IPV6 if ipv6 else ETH_IPV4)
        types = [*self.vlan, inner]
        tags = b"".join(struct.pack(">HH", 100 + n, kind) for n, kind in enumerate(types[1:]))
        whole = SERVER_MAC + CLIENT_MAC + struct.pack(">H", types[0]) + tags + network + self.trailer
        return whole[: self.cut]

    def _udp(self) -> bytes:
        length = 8 + len(self.payload) if self.udp_length is None else self.udp_length
        header = struct.pack(">HHH", self.source[1], self.destination[1], length)
        checksum = self.udp_checksum
        if checksum is None:
            addresses = b"".join(ip_address(end[0]).packed for end in (self.source, self.destination))
            pseudo = addresses + struct.pack(">II", length, UDP)
            checksum = internet_checksum(pseudo + header + b"\0\0" + self.payload) or 0xFFFF
        return header + struct.pack(">H", checksum) + self.payload

    def _ipv4(self) -> bytes:
        udp = self._udp()
        words = 5 + len(self.options) // 4 if self.header_words is None else self.header_words
        version = 4 if self.version is None else self.version
        total = 20 + len(self.options) + len(udp) if self.ip_length is None else self.ip_length
        ends = ip_address(self.source[0]).packed + ip_address(self.destination[0]).packed
        before = struct.pack(">BBHHHBB", version << 4 | words, 0, total, 7, self.fragment, 64, self.protocol)
        checksum = internet_checksum(before + b"\0\0" + ends + self.options)
        return before + struct.pack(">H", checksum) + ends + self.options + udp

    def _ipv6(self) -> bytes:
        body, following = self._udp(), self.protocol
        for kind, header in reversed(self.extensions):
            body, following = bytes([following]) + header + body, kind
        version = 6 if self.version is None else self.version
        ends = ip_address(self.source[0]).packed + ip_address(self.destination[0]).packed
        length = len(body) if self.ip_length is None else self.ip_length
        return struct.pack(">IHBB", version << 28, length, following, 64) + ends + body


def options_header(eight_byte_units: int = 1) -> bytes:
    """A hop-by-hop or destination options header of that length, without its first byte: all padding."""
    size = 8 * eight_byte_units
    return bytes([eight_byte_units - 1, 1, size - 4]) + bytes(size - 4)
