"""Every branch of the parser: what is understood, what passes untouched and under which counter."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hedgerow_hedger.programs import Mode
from support.datagrams import HOPS, UNDERSTOOD, V4, V6
from support.frames import (
    ETH_ARP,
    ETH_VLAN,
    FRAGMENT,
    HOP_BY_HOP,
    ROUTING,
    TCP,
    Datagram,
    options_header,
)
from support.kernel_bench import PASSED, KernelBench

#: Engines have no part in it.
pytestmark = pytest.mark.parametrize("programs", ["clone-testbed"], indirect=True)

REFUSED = {
    "ARP": (replace(V4, ethertype=ETH_ARP), "not_ip"),
    "three VLAN tags": (replace(V4, vlan=[ETH_VLAN] * 3), "not_ip"),
    "IPv4's EtherType over version 6": (replace(V4, version=6), "bad_header"),
    "an IPv4 header shorter than 20 bytes": (replace(V4, header_words=4), "bad_header"),
    "an IPv4 header longer than the packet": (replace(V4, payload=b"", header_words=15), "bad_header"),
    "the first IPv4 fragment": (replace(V4, fragment=0x2000), "fragment"),
    "a later IPv4 fragment": (replace(V4, fragment=0x00B9), "fragment"),
    "TCP over IPv4": (replace(V4, protocol=TCP), "not_udp"),
    "a UDP length under 8": (replace(V4, udp_length=7), "bad_header"),
    "a UDP length beyond the packet": (replace(V4, udp_length=8 + 33), "bad_header"),
    "an IPv4 packet with no room for a UDP header": (replace(V4, header_words=13, payload=bytes(24)), "bad_header"),
    "IPv6's EtherType over version 4": (replace(V6, version=4), "bad_header"),
    "TCP over IPv6": (replace(V6, protocol=TCP), "not_udp"),
    "an IPv6 fragment": (replace(V6, extensions=[(FRAGMENT, bytes(7))]), "fragment"),
    "a fragment behind options": (replace(V6, extensions=[HOPS, (FRAGMENT, bytes(7))]), "fragment"),
    "an IPv6 routing header": (replace(V6, extensions=[(ROUTING, options_header())]), "routing_header"),
    "a routing header behind options": (
        replace(V6, extensions=[HOPS, (ROUTING, options_header())]),
        "routing_header",
    ),
    "a routing header behind six others": (
        replace(V6, extensions=[*[HOPS] * 6, (ROUTING, options_header())]),
        "routing_header",
    ),
    "seven extension headers": (replace(V6, extensions=[HOPS] * 7), "too_many_headers"),
    "an extension header longer than the packet": (
        replace(V6, payload=b"", extensions=[(HOP_BY_HOP, b"\xff" + bytes(6))]),
        "bad_header",
    ),
    "an extension header that is not there": (replace(V6, extensions=[HOPS], ip_length=0, cut=54), "truncated"),
    "an IPv6 length that ends inside an extension header": (
        replace(V6, extensions=[HOPS], ip_length=4),
        "bad_header",
    ),
    "an IPv6 length beyond the frame": (replace(V6, ip_length=500), "truncated"),
    "an IPv4 length beyond the frame": (replace(V4, ip_length=500), "truncated"),
    "an IPv4 length shorter than its header": (replace(V4, ip_length=19), "bad_header"),
}


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_parsed_requests_and_responses_are_matched_on_the_scoreboard(bench: KernelBench, name: str) -> None:
    request = UNDERSTOOD[name]
    bench.switch(Mode.TAP)
    for frame, program, counter in (
        (request.frame(), bench.split, "requests"),
        (request.reply(request.payload).frame(), bench.respond, "answered"),
    ):
        verdict = program(frame)
        assert (verdict.action, verdict.frame) == (PASSED, frame)
        assert bench.counted() == {"out_seen" if program == bench.split else "in_seen": 1, counter: 1}


@pytest.mark.parametrize("name", REFUSED)
def test_other_frames_pass_untouched_and_are_counted(bench: KernelBench, name: str) -> None:
    datagram, reason = REFUSED[name]
    for mode in (Mode.TAP, Mode.HEDGE):
        bench.switch(mode)
        for frame, program, hook in (
            (datagram.frame(), bench.split, "out"),
            (datagram.reply(datagram.payload).frame(), bench.respond, "in"),
        ):
            verdict = program(frame)
            assert (verdict.action, verdict.frame) == (PASSED, frame)
            assert bench.counted() == {f"{hook}_seen": 1, f"{hook}_{reason}": 1}


@pytest.mark.parametrize("datagram", [V4, V6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("segments", [4, 0], ids=["counted", "not counted, as from a virtual machine"])
def test_a_buffer_of_several_datagrams_passes_unhedged(bench: KernelBench, datagram: Datagram, segments: int) -> None:
    bench.switch(Mode.HEDGE)
    assert bench.split(datagram.frame(), gso_segs=segments, gso_size=512).action == PASSED
    reply = datagram.reply(datagram.payload).frame()
    assert bench.respond(reply, gso_segs=segments, gso_size=512).action == PASSED
    assert bench.counted() == {"out_seen": 1, "out_gso": 1, "in_seen": 1, "in_gso": 1}
