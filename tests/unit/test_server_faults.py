"""Faults of single requests, through the real server: which are affected, and what their client notices."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Any

import pytest

from hedgerow_node.control import ControlError
from hedgerow_node.protocol.server import (
    DropFault,
    ServiceFault,
    ServiceSettings,
    ServiceTime,
    SlowFault,
    Stall,
    StallFault,
)
from hedgerow_node.records import FIRST_WARMUP_ID, NO_TIME, Action
from hedgerow_node.wire import IdPlace, RequestIdPlaces
from hedgerow_server.model import FaultRanges, ServiceModel
from support.node_programs import MS, PATIENCE_S, Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOURCE = ("192.0.2.1", 40_000)
PLACES = RequestIdPlaces(IdPlace(0, 4), IdPlace(0, 4))
STALL = {"when": "id >= 0", "duration_ns": 150 * MS, "heal_on_duplicate": True}


@pytest.fixture
def client(server: Server) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connected:
        connected.settimeout(PATIENCE_S)
        connected.connect(server.address)
        yield connected


def ask(client: socket.socket, *request_ids: int) -> None:
    for request_id in request_ids:
        client.send(struct.pack(">I", request_id).ljust(64, b"\0"))


def answered(client: socket.socket, count: int) -> list[int]:
    """The ids of the next `count` responses, in the order of their arrival."""
    return [struct.unpack(">I", client.recv(100)[:4])[0] for _ in range(count)]


def slow(key: str, first_id: int, last_id: int, factor: float) -> dict[str, Any]:
    return {"key": key, "kind": "slow", "factor": factor, "first_id": first_id, "last_id": last_id}


def stall(key: str, first_id: int, last_id: int, delay_ns: int, when: str = "id >= 0") -> dict[str, Any]:
    rule = {"key": key, "kind": "stall", "when": when, "delay_ns": delay_ns}
    return {**rule, "first_id": first_id, "last_id": last_id}


def drop(key: str, first_id: int, last_id: int, when: str = "id >= 0") -> dict[str, Any]:
    return {"key": key, "kind": "drop-requests", "when": when, "first_id": first_id, "last_id": last_id}


def test_slowed_requests_are_overtaken_by_those_outside_the_range(
    server: Server, client: socket.socket, tmp_path: Path
) -> None:
    server.start_block(faults=[slow("0.0", 2, 3, 500.0)])
    ask(client, *range(6))
    assert answered(client, 6) == [0, 1, 4, 5, 2, 3]
    reply, rows = server.end_block(tmp_path)
    assert reply["fault_hits"] == {"0.0": 2}
    assert [row.action for row in rows] == [*[Action.SERVED] * 2, *[Action.SLOWED] * 2, *[Action.SERVED] * 2]
    assert [(row.due_ns - row.received_ns) // MS for row in rows] == [2, 2, 1000, 1000, 2, 2]


def test_stalled_requests_are_those_in_the_range_that_the_condition_holds_for(
    server: Server, client: socket.socket, tmp_path: Path
) -> None:
    server.start_block(faults=[stall("0.0", 1, 4, 1000 * MS, when="id % 2 == 0")])
    ask(client, 0, 1, 2, 3, 4, 5, 6, FIRST_WARMUP_ID, 2)
    assert answered(client, 9) == [0, 1, 3, 5, 6, FIRST_WARMUP_ID, 2, 4, 2], "and a second copy does not heal it"
    reply, rows = server.end_block(tmp_path)
    assert reply["fault_hits"] == {"0.0": 3}
    assert [row.request_id for row in rows if row.action == Action.STALLED] == [2, 4, 2]


def test_dropped_requests_are_never_answered_and_have_a_row(
    server: Server, client: socket.socket, tmp_path: Path
) -> None:
    server.start_block(faults=[drop("0.0", 0, 1), drop("1.0", 4, 9, when="id == 5")])
    ask(client, 0, 1, 2, 3, 4, 5, 6, 0)
    assert answered(client, 4) == [2, 3, 4, 6]
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.recv(100)
    reply, rows = server.end_block(tmp_path)
    assert (reply["fault_hits"], reply["in_flight"]) == ({"0.0": 3, "1.0": 1}, 0)
    dropped = [row for row in rows if row.action == Action.DROPPED]
    assert [(row.request_id, row.copy, row.due_ns, row.sent_ns) for row in dropped] == [
        (0, 1, NO_TIME, NO_TIME),
        (1, 1, NO_TIME, NO_TIME),
        (5, 1, NO_TIME, NO_TIME),
        (0, 2, NO_TIME, NO_TIME),
    ]


def test_the_next_block_has_its_own_faults(server: Server, client: socket.socket, tmp_path: Path) -> None:
    server.start_block(faults=[drop("0.0", 0, 9)])
    ask(client, 1)
    server.end_block(tmp_path)
    server.start_block(faults=[])
    ask(client, 1)
    assert answered(client, 1) == [1]
    assert server.end_block(tmp_path)[0]["fault_hits"] == {}


def test_rules_of_one_key_are_counted_together_and_those_without_hits_as_zero(
    server: Server, client: socket.socket, tmp_path: Path
) -> None:
    server.start_block(faults=[slow("a", 0, 0, 1.5), slow("a", 2, 2, 1.5), slow("b", 7, 7, 1.5)])
    ask(client, 0, 1, 2)
    answered(client, 3)
    assert server.end_block(tmp_path)[0]["fault_hits"] == {"a": 2, "b": 0}


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ({"kind": "fast"}, "field 'faults.0.kind' is 'fast', expected one of slow, stall, drop-requests"),
        ({"kind": "slow"}, "field 'faults.0.factor' is missing"),
        ({"kind": "stall", "when": "id > 1"}, "field 'faults.0.delay_ns' is missing"),
        ({"kind": "stall", "when": "id > x", "delay_ns": 1}, "column 6: unknown name 'x'"),
        ({"kind": "drop-requests"}, "field 'faults.0.when' is missing"),
        ({"kind": "slow", "factor": 2, "last_id": 0}, "fault 0.0: last_id is 0, expected at least 1"),
    ],
)
def test_a_wrong_fault_is_refused_by_name(server: Server, fault: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ControlError) as caught:
        server.start_block(faults=[{"key": "0.0", "first_id": 1, "last_id": 2} | fault])
    assert complaint in str(caught.value)


def test_a_condition_that_fails_for_an_id_fails_the_block_even_when_its_worker_was_killed(
    server: Server, client: socket.socket, tmp_path: Path
) -> None:
    server.start_block(faults=[drop("3.1", 0, 9, when="1 // (id - 5) == 7")])
    ask(client, 5)
    assert answered(client, 1) == [5]
    server.program.control.call("inject", faults=[{"key": "0.0", "fault": "restart", "at_ns": 0}])
    server.program.control.call("faults-done")
    with pytest.raises(ControlError, match=r"fault 3\.1's condition .* failed: .*division by zero for id 5"):
        server.end_block(tmp_path)


def test_hits_survive_the_worker(server: Server, client: socket.socket, tmp_path: Path) -> None:
    server.start_block(faults=[slow("0.0", 0, 9, 1.5)])
    for number in range(3):
        ask(client, number)
        assert answered(client, 1) == [number]
        fault = {"key": f"1.{number}", "fault": "restart", "at_ns": 0}
        server.program.control.call("inject", faults=[fault])
        [done] = server.program.control.call("faults-done")["faults"]
        assert done["proof"]["new_pid"] == server.program.ping()["worker_pid"]
    assert server.end_block(tmp_path)[0]["fault_hits"] == {"0.0": 3}


# The decisions, without a socket.


def model(*faults: ServiceFault, stall: Stall | None = None, concurrency: int | None = None) -> ServiceModel:
    time = ServiceTime("constant", 1000)
    return ServiceModel(ServiceSettings(PLACES, time, faults=faults, stall=stall, concurrency=concurrency))


def test_faults_add_up_and_a_dropped_copy_meets_nothing_else() -> None:
    serving = model(
        SlowFault("a", 0, 5, factor=3.0),
        SlowFault("b", 2, 9, factor=0.5),
        StallFault("c", 3, 9, "id >= 0", delay_ns=70),
        DropFault("d", 4, 4, "id >= 0"),
    )
    assert [serving.admit(SOURCE, request_id, 0) for request_id in range(7)] == [
        (3000, 1, Action.SLOWED),
        (3000, 1, Action.SLOWED),
        (1500, 1, Action.SLOWED),
        (1570, 1, Action.STALLED),
        (NO_TIME, 1, Action.DROPPED),
        (1570, 1, Action.STALLED),
        (570, 1, Action.STALLED),
    ]
    assert list(serving.hits) == [5, 4, 3, 1]


def test_a_dropped_copy_takes_no_worker() -> None:
    serving = model(DropFault("d", 0, 0, "id >= 0"), concurrency=1)
    assert serving.admit(SOURCE, 0, 0)[2] == Action.DROPPED
    assert serving.admit(SOURCE, 1, 0) == (1000, 1, Action.SERVED)
    assert serving.admit(SOURCE, 2, 0) == (2000, 1, Action.SERVED)


def test_a_healed_copy_is_still_slow_and_a_stall_by_a_fault_does_not_heal() -> None:
    own = Stall("id >= 0", 5000, heal_on_duplicate=True)
    serving = model(
        SlowFault("a", 0, 0, factor=2.0),
        StallFault("b", 1, 1, "id >= 0", delay_ns=70),
        stall=own,
    )
    assert [serving.admit(SOURCE, 0, 0) for _ in range(2)] == [(7000, 1, Action.STALLED), (2000, 2, Action.HEALED)]
    assert [serving.admit(SOURCE, 1, 0) for _ in range(2)] == [(6070, 1, Action.STALLED), (1070, 2, Action.STALLED)]
    assert list(serving.hits) == [2, 2], "whatever else happened to them"


def test_warm_up_requests_are_affected_by_no_fault() -> None:
    serving = model(SlowFault("a", 0, 1 << 40, factor=2.0))
    assert serving.admit(SOURCE, FIRST_WARMUP_ID, 0) == (1000, 1, Action.SERVED)
    assert serving.admit(SOURCE, FIRST_WARMUP_ID - 1, 0) == (2000, 1, Action.SLOWED)


def test_ranges_that_overlap_in_any_way_find_what_a_look_at_each_would() -> None:
    bounds = [(0, 0), (0, 9), (3, 5), (4, 4), (4, 20), (5, 9), (10, 10), (15, 30)]
    faults = [SlowFault(str(number), first, last, 1.0) for number, (first, last) in enumerate(bounds)]
    ranges = FaultRanges(faults)
    for request_id in range(40):
        expected = [number for number, (first, last) in enumerate(bounds) if first <= request_id <= last]
        assert [entry.number for entry in ranges.at(request_id)] == expected
