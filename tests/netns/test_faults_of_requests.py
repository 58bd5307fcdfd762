"""Requests under faults of the service and of the network, as client and servers have them in their records.

Which requests are affected is computed here once more, from the scenario alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hedgerow_node.fault_draw import is_selected, rule_salt
from hedgerow_node.units import NS_PER_MS
from support.fault_run import FaultRun, temporary_run

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

SEED = 42
#: A second each, one after the other, at the first server but for the partition.
FAULTS = (
    "fault: slow, target: server-0, at: 100ms, duration: 400ms, factor: 30",
    'fault: stall, target: server-1, at: 100ms, duration: 400ms, when: "id % 2 == 1", delay: 60ms',
    'fault: drop-requests, target: server-2, at: 100ms, duration: 400ms, when: "id % 4 < 2"',
    "fault: loss, target: server-0, at: 700ms, duration: 500ms, percent: 40%, direction: requests",
    "fault: partition, target: server-1, at: 700ms, duration: 300ms",
    "fault: duplicate, target: server-2, at: 700ms, duration: 500ms, percent: 60%",
    "fault: corrupt, target: server-0, at: 1400ms, duration: 500ms, percent: 40%",
    "fault: delay, target: server-1, at: 1400ms, duration: 400ms, delay: 50ms",
    "fault: loss, target: server-2, at: 1400ms, duration: 500ms, percent: 40%, direction: responses",
)


@pytest.fixture(scope="module")
def faulty() -> Iterator[FaultRun]:
    with temporary_run(*FAULTS, requests=440, watched=True) as run:
        yield run


def drawn(faulty: FaultRun, index: int, direction: str) -> tuple[int, set[int], set[int]]:
    """Of the scenario's fault `index`: its server, and the ids sent to it that the draw selects, and the others."""
    (planned,) = [planned for planned in faulty.all_planned() if planned.occurrence.fault == index]
    salt = rule_salt(f"{index}.0@{planned.node}", direction)
    percent = getattr(planned.fault, "percent", 100.0)
    eligible = set(faulty.sent_to_target(planned))
    hit = {id_ for id_ in eligible if is_selected(SEED, id_, 1, planned.replica, salt, percent)}
    assert hit
    return planned.replica, hit, eligible - hit


def latency_ns(faulty: FaultRun, id_: int) -> int:
    sample = faulty.sample(id_)
    assert sample["outcome"] == "answered", id_
    return int(sample["received_ns"] - sample["sent_ns"])


def answered(faulty: FaultRun, ids: set[int]) -> set[int]:
    return {id_ for id_ in ids if faulty.sample(id_)["outcome"] == "answered"}


def test_every_fault_affected_requests(faulty: FaultRun) -> None:
    records = faulty.records()
    assert len(records) == len(FAULTS)
    assert all(record["proven"] and record["proof"]["hits"] for record in records)


def test_requests_that_no_fault_affects_are_answered(faulty: FaultRun) -> None:
    affected_ids = {id_ for planned in faulty.all_planned() for id_ in planned.affected_ids}
    untouched = {row["request_id"] for row in faulty.samples} - affected_ids
    assert len(untouched) > 20
    assert answered(faulty, untouched) == untouched


def test_a_slow_server_takes_so_many_times_as_long(faulty: FaultRun) -> None:
    ids = faulty.sent_to_target(faulty.planned("slow", "server-0"))
    assert len(ids) > 10
    assert min(latency_ns(faulty, id_) for id_ in ids) >= 30 * NS_PER_MS


def test_a_stalling_server_holds_back_those_it_was_told_to(faulty: FaultRun) -> None:
    planned = faulty.planned("stall", "server-1")
    odd = {id_ for id_ in faulty.sent_to_target(planned) if id_ % 2}
    assert odd
    assert min(latency_ns(faulty, id_) for id_ in odd) >= 61 * NS_PER_MS
    actions = {id_: faulty.received(id_, 1)[0]["action"] for id_ in faulty.sent_to_target(planned)}
    assert {id_ for id_, action in actions.items() if action == "stalled"} == odd


def test_what_a_server_drops_arrives_and_is_never_answered(faulty: FaultRun) -> None:
    eligible = set(faulty.sent_to_target(faulty.planned("drop-requests", "server-2")))
    dropped = {id_ for id_ in eligible if id_ % 4 < 2}
    assert dropped
    assert answered(faulty, eligible) == eligible - dropped
    assert all(len(faulty.received(id_, 2)) == 1 for id_ in dropped)


def test_lost_requests_never_arrive_and_the_others_do(faulty: FaultRun) -> None:
    replica, hit, missed = drawn(faulty, 3, "requests")
    assert answered(faulty, hit | missed) == missed
    assert {id_ for id_ in hit | missed if faulty.received(id_, replica)} == missed


def test_a_partition_lets_nothing_through(faulty: FaultRun) -> None:
    replica, hit, missed = drawn(faulty, 4, "requests")
    assert missed == set()
    assert answered(faulty, hit) == set()
    assert not any(faulty.received(id_, replica) for id_ in hit)


def test_what_the_network_duplicates_arrives_twice(faulty: FaultRun) -> None:
    replica, hit, missed = drawn(faulty, 5, "requests")
    assert {id_: len(faulty.received(id_, replica)) for id_ in hit | missed} == {
        **dict.fromkeys(hit, 2),
        **dict.fromkeys(missed, 1),
    }


def test_what_is_corrupted_is_refused_by_the_servers_kernel(faulty: FaultRun) -> None:
    replica, hit, missed = drawn(faulty, 6, "requests")
    assert {id_ for id_ in hit | missed if faulty.received(id_, replica)} == missed
    attempts = 1 + len(faulty.run.manifest["discarded"])
    assert faulty.observer is not None
    assert {node: counted["InCsumErrors"] for node, counted in faulty.observer.datagrams.items()} == {
        "client": 0,
        "server-0": attempts * len(hit),
        "server-1": 0,
        "server-2": 0,
    }


def test_what_is_delayed_arrives_so_much_later(faulty: FaultRun) -> None:
    replica, hit, _ = drawn(faulty, 7, "requests")
    for id_ in hit:
        (copy,) = faulty.received(id_, replica)
        assert copy["received_ns"] - faulty.sample(id_)["sent_ns"] >= 50 * NS_PER_MS


def test_lost_responses_were_sent_and_never_arrive(faulty: FaultRun) -> None:
    replica, hit, missed = drawn(faulty, 8, "responses")
    assert answered(faulty, hit | missed) == missed
    assert all(faulty.received(id_, replica)[0]["sent_ns"] is not None for id_ in hit)
