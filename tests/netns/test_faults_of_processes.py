"""Processes and processors under faults, as the kernel shows them to somebody who has no part in the run."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from hedgerow_node.units import NS_PER_MS
from support.fault_run import NODES, FaultRun, temporary_run
from support.observer import Observer, Sight, within

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

#: A process stops only when it gets a processor to do so, and this host has others.
_SETTLED_NS = 100 * NS_PER_MS

ENOUGH = 2  #: looks: whoever stood still in between has used no processor time. How many there are is up to the host.

FAULTS = (
    "fault: pause, target: server-0, at: 400ms, duration: 400ms",
    "fault: freeze, target: server-1, at: 400ms, duration: 400ms",
    "fault: pause, target: client, at: 1000ms, duration: 400ms",
    "fault: freeze, target: client, at: 1600ms, duration: 400ms",
    "fault: kill, target: server-0, at: 2200ms, duration: 400ms",
    "fault: restart, target: server-1, at: 2200ms",
    # How much of a CPU a server uses depends on the host; burners use up every quota.
    "fault: cpu-stress, target: server-2, at: 2800ms, duration: 800ms",
    "fault: cpu-quota, target: server-2, at: 3100ms, duration: 500ms, percent: 20",
    "fault: gc, target: server-2, at: 3800ms, objects: 2000000",
    "fault: gc, target: client, at: 4200ms, objects: 1000000",
)


@pytest.fixture(scope="module")
def faulty() -> Iterator[FaultRun]:
    with temporary_run(*FAULTS, watched=True, requests=1000) as run:
        yield run


@pytest.fixture
def observer(faulty: FaultRun) -> Observer:
    assert faulty.observer is not None
    assert {sight.node for sight in faulty.observer.sights} == set(NODES)
    return faulty.observer


def settled(record: dict[str, int]) -> dict[str, int]:
    """A fault's time without its beginning."""
    return {**record, "applied_ns": record["applied_ns"] + _SETTLED_NS}


def burnt(sights: list[Sight], pid: int) -> int:
    """The ticks of processor time that a process used between the first look and the last."""
    ticks = [sight.cpu_ticks for sight in sights if sight.pid == pid]
    return max(ticks) - min(ticks) if ticks else 0


def sent_meanwhile(faulty: FaultRun, from_ns: int, to_ns: int) -> list[int]:
    """The requests that the client sent, or that a server received, in that time."""
    sent = [row["request_id"] for row in faulty.samples if from_ns < row["sent_ns"] < to_ns]
    return sent + [row["request_id"] for row in faulty.copies if from_ns < row["received_ns"] < to_ns]


def test_every_fault_was_proven_there_where_it_was_declared(faulty: FaultRun) -> None:
    records = faulty.records()
    assert {(record["fault"], record["target"]) for record in records} == {
        (planned.fault.fault, planned.node) for planned in faulty.all_planned()
    }
    assert all(record["proven"] for record in records)
    assert sum(entry["proven"] for entry in faulty.run.summary["faults"]) == len(FAULTS) == len(records)


def test_a_paused_worker_is_stopped_and_goes_on(faulty: FaultRun, observer: Observer) -> None:
    record = faulty.record("pause", "server-0")
    seen = observer.of("server-0", settled(record))
    assert len(seen) >= ENOUGH
    assert {sight.state for sight in seen} == {"T"}
    assert burnt(seen, seen[0].pid) == 0
    afterwards = observer.after("server-0", record["undone_ns"] + _SETTLED_NS)
    assert afterwards
    assert "T" not in {sight.state for sight in afterwards}


def test_what_is_asked_of_a_paused_server_is_answered_when_it_goes_on(faulty: FaultRun) -> None:
    record = faulty.record("pause", "server-0")
    late = [
        row
        for row in map(faulty.sample, faulty.sent_to_target(faulty.planned("pause", "server-0")))
        if row["sent_ns"] > record["applied_ns"] + _SETTLED_NS and row["sent_ns"] < record["undone_ns"]
    ]
    assert late
    assert all(row["outcome"] == "answered" and row["received_ns"] >= record["undone_ns"] for row in late)


@pytest.mark.parametrize("node", ["server-1", "client"])
def test_a_frozen_node_stands_still_with_its_supervisor(faulty: FaultRun, observer: Observer, node: str) -> None:
    record = faulty.record("freeze", node)
    groups = [look for look in observer.groups if look.node == node]
    inside = [look for look in groups if within(look, record["applied_ns"], record["undone_ns"])]
    assert len(inside) >= ENOUGH
    assert all(look.frozen for look in inside)
    for depth in (0, 1):
        seen = observer.of(node, record, depth)
        assert len(seen) >= ENOUGH
        assert {burnt(seen, sight.pid) for sight in seen} == {0}
    later = [look for look in groups if look.from_ns > record["undone_ns"] + _SETTLED_NS]
    assert later
    assert not any(look.frozen for look in later)


@pytest.mark.parametrize("fault", ["pause", "freeze"])
def test_a_client_that_stands_still_sends_nothing_until_it_goes_on(faulty: FaultRun, fault: str) -> None:
    record = faulty.record(fault, "client")
    assert sent_meanwhile(faulty, record["applied_ns"] + _SETTLED_NS, record["undone_ns"]) == []
    due = [row for row in faulty.samples if record["applied_ns"] + _SETTLED_NS < row["intended_ns"]]
    held_up = [row for row in due if row["intended_ns"] < record["undone_ns"]]
    assert held_up
    assert all(row["sent_ns"] >= record["undone_ns"] for row in held_up)


def test_a_paused_clients_worker_is_stopped(faulty: FaultRun, observer: Observer) -> None:
    seen = observer.of("client", settled(faulty.record("pause", "client")))
    assert len(seen) >= ENOUGH
    assert {sight.state for sight in seen} == {"T"}


def test_a_killed_worker_is_gone_until_another_takes_its_place(faulty: FaultRun, observer: Observer) -> None:
    record = faulty.record("kill", "server-0")
    old, new = record["proof"]["old_pid"], record["proof"]["new_pid"]
    meanwhile = observer.of("server-0", {**settled(record), "undone_ns": record["planned_until_ns"]})
    assert [sight for sight in meanwhile if sight.state not in "ZX"] == []
    alone = {**record, "applied_ns": record["start_ns"], "undone_ns": record["applied_ns"]}
    assert {sight.pid for sight in observer.of("server-0", alone)} == {old}
    assert {sight.pid for sight in observer.after("server-0", record["undone_ns"])} == {new}
    lost = [
        row
        for row in map(faulty.sample, faulty.sent_to_target(faulty.planned("kill", "server-0")))
        if record["applied_ns"] + _SETTLED_NS < row["sent_ns"] < record["planned_until_ns"] - _SETTLED_NS
    ]
    assert lost
    assert {row["outcome"] for row in lost} <= {"timeout", "error"}
    assert all(
        row["outcome"] == "answered"
        for row in faulty.samples
        if row["request_id"] % 3 == 0 and row["intended_ns"] > record["undone_ns"] + _SETTLED_NS
    )


def test_a_restarted_worker_is_another_at_once(faulty: FaultRun, observer: Observer) -> None:
    record = faulty.record("restart", "server-1")
    alone = {**record, "applied_ns": record["start_ns"], "undone_ns": record["applied_ns"]}
    before = {sight.pid for sight in observer.of("server-1", alone)}
    after = {sight.pid for sight in observer.after("server-1", record["undone_ns"])}
    assert (len(before), len(after), before & after) == (1, 1, set())


def test_burners_burn_for_as_long_as_declared(faulty: FaultRun, observer: Observer) -> None:
    record = faulty.record("cpu-stress", "server-2")
    inside = observer.of("server-2", record)
    before = observer.of("server-2", {"applied_ns": record["start_ns"], "undone_ns": record["applied_ns"]})
    burners = {sight.pid for sight in before if sight.state == "T"}
    assert len(burners) == record["proof"]["burners"]
    assert all(burnt([s for s in before if s.state == "T"], pid) == 0 for pid in burners)
    assert sum(burnt(inside, pid) for pid in burners) > 0
    after = observer.after("server-2", record["undone_ns"] + _SETTLED_NS)
    assert all(burnt(after, pid) == 0 for pid in burners)


def test_a_quota_is_there_for_its_time_only(faulty: FaultRun, observer: Observer) -> None:
    record = faulty.record("cpu-quota", "server-2")
    quotas = [(look, look.quota.split()[0]) for look in observer.groups if look.node == "server-2" and look.quota]
    inside = {
        quota for look, quota in quotas if within(look, record["applied_ns"] + _SETTLED_NS, record["undone_ns"])
    }
    assert inside == {"20000"}
    outside = {
        quota
        for look, quota in quotas
        if record["start_ns"] < look.from_ns < look.to_ns < record["applied_ns"]
        or look.from_ns > record["undone_ns"] + _SETTLED_NS
    }
    assert outside <= {"-1", "max"}
    assert outside


def test_a_server_that_collects_garbage_computes_and_answers_nobody(faulty: FaultRun, observer: Observer) -> None:
    record = faulty.record("gc", "server-2")
    worker = {sight.pid for sight in observer.of("server-2", record) if sight.state == "R"}
    assert any(burnt(observer.of("server-2", record), pid) for pid in worker)
    rows = [row for row in faulty.copies if row["replica"] == 2]
    for row in rows:
        assert not record["applied_ns"] < row["received_ns"] < record["undone_ns"]
        assert not record["applied_ns"] < row["sent_ns"] < record["undone_ns"]
    assert [row for row in rows if row["sent_ns"] > record["undone_ns"]]


def test_a_client_that_collects_garbage_sends_nothing(faulty: FaultRun) -> None:
    """At both ends of the measured time other threads had the interpreter's lock."""
    record = faulty.record("gc", "client")
    sent = sorted(row["sent_ns"] for row in faulty.samples)
    middle_ns = (record["applied_ns"] + record["undone_ns"]) // 2
    ((before_ns, after_ns),) = [(one, other) for one, other in pairwise(sent) if one <= middle_ns < other]
    assert after_ns - before_ns >= (record["undone_ns"] - record["applied_ns"]) // 2
    assert max(sent) > record["undone_ns"]
