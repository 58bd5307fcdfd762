"""A frame cut off at any byte is never taken for a request, nor read beyond its end."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from pyroute2 import IPRoute

from hedgerow_hedger.attachments import EGRESS, Attachments
from hedgerow_hedger.programs import Mode
from support.datagrams import UNDERSTOOD
from support.kernel_bench import PASSED, KernelBench

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Engines have no part in it.
pytestmark = pytest.mark.parametrize("programs", ["clone-testbed"], indirect=True)

ETHERNET_HEADER = 14
#: The shortest frames that BPF_PROG_TEST_RUN takes: an Ethernet and an IP header. Shorter ones go over a link.
SHORTEST = {"IPv4": 34, "IPv6": 54}

CASES = [name for name in UNDERSTOOD if name != "IPv4 with link-layer padding"]


def shortest(name: str) -> int:
    """Where the first bytes are no IP EtherType (VLAN), any frame of Ethernet length will do."""
    return ETHERNET_HEADER if "VLAN" in name else SHORTEST[name[:4] if name[:4] in SHORTEST else "IPv4"]


@pytest.mark.parametrize("name", CASES)
def test_frames_truncated_anywhere_pass(bench: KernelBench, name: str) -> None:
    bench.switch(Mode.HEDGE)
    whole = UNDERSTOOD[name].frame()
    for length in range(shortest(name), len(whole)):
        verdict = bench.split(whole[:length])
        assert (verdict.action, verdict.frame) == (PASSED, whole[:length])
        assert bench.counted() == {"out_seen": 1, "out_truncated": 1}, f"{length} of {len(whole)} bytes"


@pytest.fixture
def link(bench: KernelBench) -> Iterator[socket.socket]:
    """A packet socket on a link whose egress the splitter watches."""
    with IPRoute() as ip, socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        attachments = Attachments(ip)
        attachments.attach(bench.out_ifindex, EGRESS, "splitter", bench.programs.splitter.fd)
        raw.bind(("out0", 0))
        yield raw
        attachments.detach(bench.out_ifindex)


@pytest.mark.parametrize("name", CASES)
def test_frames_shorter_than_the_system_call_takes_pass(bench: KernelBench, link: socket.socket, name: str) -> None:
    whole = UNDERSTOOD[name].frame()
    lengths = range(ETHERNET_HEADER, shortest(name))
    bench.switch(Mode.HEDGE)
    bench.counted()
    for length in lengths:
        link.send(whole[:length])
    bench.switch(Mode.OFF)
    counted = bench.counted()
    assert counted.pop("out_not_ip", 0) == counted.pop("out_seen", 0) - len(lengths), "only the host's own chatter"
    assert counted == ({"out_truncated": len(lengths)} if lengths else {})
