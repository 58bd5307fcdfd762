"""A hedger below a VLAN interface: requests carry their tag beside the packet, and hedges must carry it too.

Run inside the virtual machines, whose kernels all have VLANs; a host's kernel may not.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from support.conversation import Conversation
from support.host_state import assert_as_before, host_state
from support.pair import PORT, SERVER_HOSTS, Pair, ipv4, linked_pair, statistics

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

IDS = range(20)


@pytest.fixture
def tagged_pair() -> Iterator[Pair]:
    before = host_state()
    with linked_pair(vlan=True) as made:
        yield made
    assert_as_before(before)


def test_requests_in_a_vlan_are_hedged_on_the_interface_below(tagged_pair: Pair) -> None:
    address = ipv4(SERVER_HOSTS[0], tagged=True)
    stalling = ("--service-time=1ms", "--stall-when=id % 5 == 0", "--stall-duration=300ms", "--heal-on-duplicate")
    tagged_pair.serve(*stalling, tagged=True)
    service = f"--service={address}:{PORT}"
    hedger = tagged_pair.hedge(service, "--delay=10ms", "--copy-id=4:1", "--stats=600s")
    with tagged_pair.socket(socket.AF_INET) as client:
        talk = Conversation(client, (address, PORT))
        talk.ask(IDS)
        talk.listen(0.5)
    assert talk.copies == dict.fromkeys(IDS, 1)
    counters = statistics(hedger)["counters"]
    assert counters["requests"] == counters["answered"] == len(IDS)
    assert counters["hedges_won"] >= len(IDS) // 5
