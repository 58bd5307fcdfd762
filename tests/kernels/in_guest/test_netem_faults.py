"""Network faults by netem, seen by the sockets of client and service: run inside the virtual machines, whose kernels
have netem; a host's kernel may not (tests/netns has what becomes of it then).
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from support.faulty import PATIENCE_S, FaultyHedger, FaultyPath, faulty_hedger, faulty_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.root

IDS = range(100)
DELAY_NS = 5_000_000_000  #: enough for tc to change its mind in a virtual machine
QUIET_S = 10  #: longer than any packet is held there


@pytest.fixture
def path(request: pytest.FixtureRequest, shared_hedger: FaultyHedger) -> Iterator[FaultyPath]:
    """Afterwards no qdisc is left."""
    with faulty_path(shared_hedger, getattr(request, "param", "IPv4")) as made:
        yield made
        made.netem()
        made.prepare_netem()
        deadline_s = time.monotonic() + PATIENCE_S
        while qdiscs(made) != {"clsact", "noqueue"}:
            assert time.monotonic() < deadline_s, "still there"
            time.sleep(0.05)


def qdiscs(path: FaultyPath) -> set[str]:
    return {qdisc["kind"] for qdisc in path.pair.show("tc", "qdisc", "show", "dev", "eth0")}


@pytest.mark.parametrize("path", ["IPv4", "IPv6"], indirect=True)
def test_a_partition_takes_all_requests_to_its_replica_and_no_others(path: FaultyPath) -> None:
    path.netem({"kind": "partition", "replica": 1})
    for replica in range(3):
        path.send(IDS, replica)
    assert [len(path.arrived(replica).copies) for replica in range(3)] == [len(IDS), 0, len(IDS)]
    (was,) = path.netem()
    assert (was["replicas"], was["drops"]) == ([1], len(IDS))
    path.send(IDS, 1)
    assert len(path.arrived(1).copies) == len(IDS)


def test_loss_duplication_and_corruption_by_chance(path: FaultyPath) -> None:
    path.netem({"kind": "loss", "percent": 50})
    path.send(IDS)
    assert 10 < len(path.arrived().copies) < 90
    path.netem({"kind": "duplicate", "percent": 50})
    path.send(IDS)
    assert 110 < sum(path.arrived().copies.values()) < 190
    before = path.wrong_sums(path.pair.server)
    path.netem({"kind": "corrupt", "percent": 50})
    path.send(IDS)
    # The bit may also fall on a header: then the packet is lost elsewhere, or comes to the wrong place.
    assert 10 < len(path.arrived().copies) < 90
    assert path.wrong_sums(path.pair.server) > before


def test_delay_and_what_is_let_go_when_it_ends(path: FaultyPath) -> None:
    path.netem({"kind": "delay", "delay_ns": DELAY_NS, "replica": 2}, {"kind": "loss", "replica": 1})
    started_ns = time.time_ns()
    path.send(IDS, 2)
    path.netem({"kind": "partition", "replica": 0})  # the delay ends while all packets are held back
    path.send(range(1000, 1010), 2)
    arrived = path.arrived(2, QUIET_S)
    assert arrived.copies == Counter([*IDS, *range(1000, 1010)])
    assert list(arrived.copies)[:10] == list(range(1000, 1010))
    assert all(arrived.kernel_ns[request_id][0] >= started_ns + DELAY_NS for request_id in IDS)


def test_a_class_goes_on_counting_while_others_come_and_go(path: FaultyPath) -> None:
    path.netem({"kind": "loss", "replica": 0})
    counted = []
    for other in ({"kind": "partition", "replica": 1}, {"kind": "loss", "replica": 2, "percent": 50}):
        path.send(IDS)
        (first,) = [was for was in path.netem({"kind": "loss", "replica": 0}, other) if was["replicas"] == [0]]
        counted.append((first["packets"], first["drops"]))
    # netem counts what it drops as it comes among the drops alone.
    assert [drops for _, drops in counted] == [len(IDS)] * 2
    assert path.arrived().copies == {}


def test_what_is_prepared_takes_no_packet_until_its_time_and_none_after_it(path: FaultyPath) -> None:
    partition = {"kind": "partition", "replica": 1}
    path.prepare_netem([partition], [{"kind": "delay", "delay_ns": DELAY_NS, "replica": 2}])
    prepared = path.pair.show("tc", "qdisc", "show", "dev", "eth0")
    assert [qdisc["kind"] for qdisc in prepared].count("netem") == 2
    counted = []
    for rules, arriving in (([], len(IDS)), ([partition], 0), ([], len(IDS))):
        counted += [(was["replicas"], was["drops"]) for was in path.netem(*rules)]
        path.send(IDS, 1)
        assert len(path.arrived(1).copies) == arriving
    assert counted == [([1], len(IDS))]
    assert path.pair.show("tc", "qdisc", "show", "dev", "eth0") == prepared


def test_reordered_packets_overtake_the_others(path: FaultyPath) -> None:
    path.netem({"kind": "reorder", "delay_ns": DELAY_NS, "percent": 30})
    path.send(IDS)
    order = list(path.arrived(0, QUIET_S).copies)
    assert sorted(order) == list(IDS)
    assert order != list(IDS)


def test_a_rate_spreads_packets_out(path: FaultyPath) -> None:
    """Fifty packets of at least 100 bytes at 100 kbit/s take 400 ms."""
    path.netem({"kind": "rate", "rate_bit_per_s": 100_000})
    path.send(range(50))
    stamps = path.arrived().kernel_ns
    assert len(stamps) == 50
    assert max(stamps.values())[0] - min(stamps.values())[0] >= 390_000_000


def test_another_programs_qdisc_is_left_alone(path: FaultyPath) -> None:
    path.pair.change("tc", "qdisc add dev eth0 root handle 1: prio")
    with pytest.raises(Exception, match="a qdisc prio at its root that is not Hedgerow's"):
        path.netem({"kind": "loss"})
    assert qdiscs(path) == {"clsact", "prio"}
    path.pair.change("tc", "qdisc delete dev eth0 root")


@pytest.mark.once
def test_netem_goes_with_the_hedger_and_with_what_a_killed_one_left(tmp_path: Path) -> None:
    with faulty_hedger(tmp_path / "hedger.sock") as made, faulty_path(made, "IPv4") as path:
        path.netem({"kind": "delay", "delay_ns": DELAY_NS})
        made.process.kill()
        made.process.wait(PATIENCE_S)
        assert "netem" in qdiscs(path)
        successor = made.pair.hedge("--service=10.9.0.2:9000", "--delay=5s")
        assert qdiscs(path) == {"clsact", "noqueue"}
        successor.terminate()
        assert successor.wait(PATIENCE_S) == 0
