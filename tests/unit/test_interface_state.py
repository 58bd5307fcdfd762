"""The state of the client's interface, as the hedger reports it."""

from __future__ import annotations

import json
import socket

import pytest

from hedgerow_hedger.interface_state import device_statistics, interface_state, offloads, udp_counters
from hedgerow_node.protocol.hedger import InterfaceState

DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
    lo: 100 1 0 0 0 0 0 0 100 1 0 0 0 0 0 0
  eth0:2040 20 1 2 0 0 0 0 1663 16 3 4 0 0 0 0
"""
SNMP = """\
Ip: Forwarding DefaultTTL
Ip: 1 64
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors
Udp: 11878 338 249 12751 248
UdpLite: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors
UdpLite: 0 0 0 0 0
"""


def test_statistics_are_those_of_the_interface_asked_for() -> None:
    assert device_statistics(DEV, "eth0") == {
        "received_bytes": 2040,
        "received_packets": 20,
        "received_errors": 1,
        "received_dropped": 2,
        "transmitted_bytes": 1663,
        "transmitted_packets": 16,
        "transmitted_errors": 3,
        "transmitted_dropped": 4,
    }


def test_an_interface_that_is_not_there_is_an_error() -> None:
    with pytest.raises(OSError, match="no interface eth1"):
        device_statistics(DEV, "eth1")
    with pytest.raises(OSError, match="No such device"):
        interface_state("hr-nosuch0")


def test_udp_counters_are_not_those_of_udp_lite() -> None:
    assert udp_counters(SNMP) == {
        "InDatagrams": 11878,
        "NoPorts": 338,
        "InErrors": 249,
        "OutDatagrams": 12751,
        "RcvbufErrors": 248,
    }


def test_the_kernel_names_its_offloads() -> None:
    found = offloads("lo")
    assert found is not None
    assert found["tx-checksum-ip-generic"] is True  # always, on a loopback
    assert found["loopback"] is True
    assert "" not in found
    assert "rx-vlan-hw-parse" not in found  # neither on nor to be had


def test_this_hosts_loopback_counts_what_passes() -> None:
    before = interface_state("lo")
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(type=socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("127.0.0.1", 0))
        sender.sendto(b"x" * 100, receiver.getsockname())
        assert receiver.recv(200) == b"x" * 100
    after = interface_state("lo")
    assert InterfaceState.from_json(json.loads(json.dumps(after.to_json()))) == after
    assert list(after.to_json()) == ["name", "offloads", "qdiscs", "statistics", "udp"]
    assert after.statistics["transmitted_bytes"] >= before.statistics["transmitted_bytes"] + 100
    assert after.udp["OutDatagrams"] > before.udp["OutDatagrams"]
    assert after.qdiscs is not None
    assert all("packets" in counters for counters in after.qdiscs.values())
