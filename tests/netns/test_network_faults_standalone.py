"""Network faults seen from outside: by the sockets of client and service, and by what their kernels count."""

from __future__ import annotations

import signal
import socket
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from hedgerow_hedger import delay_link
from hedgerow_node.control import ControlError
from orchestrator.host.namespaces import inside
from orchestrator.topology.programs import HEDGER
from support.faulty import Arrived, FaultyHedger, FaultyPath, faulty_hedger, faulty_path, predicted
from support.pair import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.root

IDS = range(100)
DELAY_NS = 50_000_000
OURS = ["hedgerow:responder", "hedgerow:splitter"]


BOTH_FAMILIES = pytest.mark.parametrize("path", ["IPv4", "IPv6"], indirect=True)


@pytest.fixture
def path(request: pytest.FixtureRequest, shared_hedger: FaultyHedger) -> Iterator[FaultyPath]:
    with faulty_path(shared_hedger, getattr(request, "param", "IPv4")) as made:
        yield made


@pytest.fixture
def own_path(tmp_path: Path) -> Iterator[FaultyPath]:
    """With a hedger that the test may end."""
    with faulty_hedger(tmp_path / "hedger.sock") as made, faulty_path(made, "IPv4") as path:
        yield path


def both_ways(path: FaultyPath, direction: str) -> Arrived:
    """Sends each request, or has each answered; what arrived at the other end."""
    path.send(IDS)
    arrived = path.arrived()
    if direction == "requests":
        return arrived
    path.answer(IDS)
    return path.answers()


@BOTH_FAMILIES
@pytest.mark.parametrize("direction", ["requests", "responses"])
def test_exactly_the_predicted_copies_are_lost_and_silently(path: FaultyPath, direction: str) -> None:
    path.put({"percent": 30, "direction": direction})
    lost = predicted(IDS, 30, direction=direction)
    assert 10 < len(lost) < 60
    assert set(both_ways(path, direction).copies) == set(IDS) - lost
    assert path.hits() == {"0.0": len(lost)}
    path.control.call("faults", seed=1, rules=[])
    assert path.pair.hooks() == OURS
    path.begin("tap")
    assert set(both_ways(path, direction).copies) == set(IDS)
    assert path.control.call("fault-hits")["hits"] == {}


def test_the_same_requests_lose_the_same_copies_whether_the_client_hedges_or_the_kernel(path: FaultyPath) -> None:
    """Nobody answers: every request is hedged, and which of the two copies arrive was known beforehand."""
    path.put(
        {"percent": 30}, {"percent": 30, "replica": 1, "key": "1.0"}, {"percent": 30, "replica": 2, "key": "1.0"}
    )
    lost_first = predicted(IDS, 30)
    hedged_with = {request_id: 1 + request_id % 2 for request_id in IDS}
    second = {
        replica: {request_id for request_id in IDS if hedged_with[request_id] == replica}
        - predicted(IDS, 30, copy=2, replica=replica, key="1.0")
        for replica in (1, 2)
    }
    assert lost_first
    path.send(IDS)
    for request_id in IDS:
        path.send([request_id], hedged_with[request_id])
    assert [set(path.arrived(replica).copies) for replica in range(3)] == [
        set(IDS) - lost_first,
        second[1],
        second[2],
    ]
    by_client = path.hits()

    path.begin("hedge")
    path.send(IDS)
    assert [set(path.arrived(replica).copies) for replica in range(3)] == [
        set(IDS) - lost_first,
        second[1],
        second[2],
    ]
    assert path.hits() == {key: 2 * hits for key, hits in by_client.items()}
    assert path.counters()["hedges_sent"] == 2 * len(IDS)


def test_later_responses_of_a_replica_have_draws_of_their_own(path: FaultyPath) -> None:
    path.put({"percent": 40, "direction": "responses"})
    path.send(IDS)
    path.arrived()
    for copy in (1, 2):
        path.answer(IDS, copy=copy)
        expected = set(IDS) - predicted(IDS, 40, direction="responses", copy=copy)
        assert set(path.answers().copies) == expected


def test_only_the_ids_and_the_replica_named_are_affected(path: FaultyPath) -> None:
    path.put({"kind": "partition", "first_id": 10, "last_id": 19, "replica": 1})
    for replica in range(3):
        path.send(IDS, replica)
    spared = [id for id in IDS if not 10 <= id <= 19]
    assert [list(path.arrived(replica).copies) for replica in range(3)] == [list(IDS), spared, list(IDS)]


def test_of_several_rules_the_first_that_selects_a_copy_decides(path: FaultyPath) -> None:
    path.put({"percent": 50, "key": "0.0"}, {"kind": "duplicate", "percent": 50, "key": "1.0"})
    lost = predicted(IDS, 50, key="0.0")
    twice = predicted(IDS, 50, key="1.0") - lost
    path.send(IDS)
    assert path.arrived().copies == Counter({id: 1 + (id in twice) for id in IDS if id not in lost})
    assert path.hits() == {"0.0": len(lost), "1.0": len(twice)}


@BOTH_FAMILIES
@pytest.mark.parametrize("direction", ["requests", "responses"])
def test_a_duplicate_arrives_and_is_not_a_hedge(path: FaultyPath, direction: str) -> None:
    path.put({"kind": "duplicate", "percent": 30, "direction": direction})
    twice = predicted(IDS, 30, direction=direction)
    assert twice
    assert both_ways(path, direction).copies == Counter({id: 1 + (id in twice) for id in IDS})
    counters = path.counters()
    assert (counters["requests"], counters["hedges_sent"], counters["resent"]) == (len(IDS), 0, 0)
    assert counters["out_struck"] == (len(twice) if direction == "requests" else 0)
    assert counters["duplicates_passed"] == (len(twice) if direction == "responses" else 0)


@BOTH_FAMILIES
@pytest.mark.parametrize("direction", ["requests", "responses"])
def test_a_corrupted_copy_is_dropped_by_its_receivers_kernel(path: FaultyPath, direction: str) -> None:
    receiver = path.pair.server if direction == "requests" else path.pair.client
    links = path.pair.links()
    path.put({"kind": "corrupt", "percent": 30, "direction": direction})
    wrong = predicted(IDS, 30, direction=direction)
    assert wrong
    before = path.wrong_sums(receiver)
    arrived = both_ways(path, direction)
    assert arrived.copies == Counter(set(IDS) - wrong)
    assert path.wrong_sums(receiver) - before == len(wrong) == path.hits()["0.0"]
    path.put()
    assert (path.pair.hooks(), path.pair.links()) == (OURS, links)


@BOTH_FAMILIES
def test_a_corrupted_answer_does_not_win_over_the_hedges(path: FaultyPath) -> None:
    path.begin("hedge")
    path.put({"kind": "corrupt", "direction": "responses"})
    path.send(IDS)
    path.answer(IDS)
    hedged_with = {1: [id for id in IDS if id % 2 == 0], 2: [id for id in IDS if id % 2]}
    for replica, ids in hedged_with.items():
        assert set(path.arrived(replica).copies) == set(ids)
        path.answer(ids, replica)
    assert path.answers().copies == Counter(IDS)
    counters = path.counters()
    assert (counters["in_bad_checksum"], counters["hedges_won"]) == (len(IDS), len(IDS))


@BOTH_FAMILIES
@pytest.mark.parametrize("direction", ["requests", "responses"])
def test_a_delayed_copy_arrives_unchanged_and_that_much_later(path: FaultyPath, direction: str) -> None:
    links = path.pair.links()
    path.put({"kind": "delay", "percent": 30, "delay_ns": DELAY_NS, "direction": direction})
    late = predicted(IDS, 30, direction=direction)
    assert late
    if direction == "requests":
        started_ns = time.time_ns()
        path.send(IDS)
        arrived = path.arrived()
    else:
        path.send(IDS)
        path.arrived()
        started_ns = time.time_ns()
        path.answer(IDS)
        arrived = path.answers()
    assert set(arrived.copies.values()) == {1}
    assert {id for id, stamps in arrived.kernel_ns.items() if stamps[0] >= started_ns + DELAY_NS} >= late
    counters = path.counters()
    assert (counters["hedges_sent"], counters["resent"], counters["duplicates_passed"]) == (0, 0, 0)
    path.put()
    assert (path.pair.hooks(), path.pair.links()) == (OURS, links)


def test_rules_that_end_let_go_of_the_packets_that_they_hold(path: FaultyPath) -> None:
    links = path.pair.links()
    path.put({"kind": "delay", "delay_ns": 1_000_000_000})
    path.send(IDS)
    path.put()
    path.send(range(100, 110))
    arrived = path.arrived(quiet_s=2)
    assert arrived.copies == Counter(range(110))
    assert list(arrived.copies)[:10] == list(range(100, 110))
    deadline_s = time.monotonic() + PATIENCE_S
    while (path.pair.hooks(), path.pair.links()) != (OURS, links):
        assert time.monotonic() < deadline_s, "still there"
        time.sleep(0.05)


def test_faults_in_force_go_with_the_hedger(own_path: FaultyPath) -> None:
    own_path.put({"kind": "delay", "delay_ns": DELAY_NS}, {"kind": "corrupt", "direction": "responses"})
    assert own_path.pair.hooks() == ["hedgerow:fault_egress", "hedgerow:fault_ingress", *OURS]
    own_path.hedger.process.terminate()
    assert own_path.hedger.process.wait(PATIENCE_S) == 0
    assert own_path.pair.hooks() == []
    assert not any(name.startswith("hr") for name in own_path.pair.links())
    own_path.send(IDS)
    assert own_path.arrived().copies == Counter(IDS)


@pytest.mark.parametrize("successor", ["detach", "hedger"])
def test_faults_that_a_killed_hedger_left_are_cleaned_up(own_path: FaultyPath, successor: str) -> None:
    own_path.put({"kind": "delay", "delay_ns": DELAY_NS}, {"kind": "corrupt", "direction": "responses"})
    own_path.hedger.process.send_signal(signal.SIGKILL)
    own_path.hedger.process.wait(PATIENCE_S)
    assert {name[-2] for name in own_path.pair.links() if name.startswith("hr")} == {"d", "h", "f", "c"}
    if successor == "detach":
        done = own_path.pair.start(own_path.pair.client, HEDGER, "--interface=eth0", "--detach")
        assert done.wait(PATIENCE_S) == 0
        assert own_path.pair.hooks() == []
    else:
        own_path.pair.hedge("--service=10.9.0.2:9000", "--delay=5s")
        assert own_path.pair.hooks() == OURS
    left = {name[-2] for name in own_path.pair.links() if name.startswith("hr")}
    assert left == (set() if successor == "detach" else {"d", "h"})
    own_path.send(IDS)
    assert own_path.arrived().copies == Counter(IDS)


def test_the_clients_own_mark_does_not_protect_a_copy(path: FaultyPath) -> None:
    path.client.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 0x12345678)
    path.put({"kind": "delay", "delay_ns": DELAY_NS})
    path.send(IDS)
    assert path.arrived().copies == Counter(IDS)
    assert path.hits() == {"0.0": len(IDS)}


def test_a_wrong_rule_is_refused_and_those_in_force_stay(path: FaultyPath) -> None:
    path.put({"kind": "partition"})
    with pytest.raises(ControlError, match=r"field 'rules\.0\.replica' is 3"):
        path.put({"replica": 3})
    path.send(IDS)
    assert path.arrived().copies == {}


def test_netem_works_or_says_that_the_kernel_has_none(own_path: FaultyPath) -> None:
    def kinds() -> set[str]:
        return {qdisc["kind"] for qdisc in own_path.pair.show("tc", "qdisc", "show", "dev", "eth0")}

    before = kinds()
    with inside(own_path.pair.client):
        refusal = delay_link.probe()["netem"]
    if refusal is None:
        own_path.netem({"kind": "partition"})
        own_path.send(IDS)
        assert own_path.arrived().copies == {}
        own_path.netem()
    else:
        with pytest.raises(ControlError, match=r"has no netem, install .* or declare the fault with model: ebpf"):
            own_path.netem({"kind": "partition"})
    own_path.send(IDS)
    assert own_path.arrived().copies == Counter(IDS)
    assert kinds() == before
