"""What a block reports to its supervisor, when, and what garbage collections do, seen from its servers."""

from __future__ import annotations

import select
import socket
import struct
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from hedgerow_node.clock import now_ns, realtime_offset_ns
from hedgerow_node.records import FIRST_WARMUP_ID, Outcome
from hedgerow_node.workload import send_offsets_ns
from support.node_programs import MS, PATIENCE_S, Client, running_client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SO_TIMESTAMPNS = 35
CLOSED = {"mode": "closed", "users": 1, "think_ns": 0}
OPEN = {"mode": "open", "process": "poisson", "rate_per_s": 500, "seed": 9, "users": 2}
BOTH_ARRIVALS = pytest.mark.parametrize("arrivals", [CLOSED, OPEN], ids=["closed", "open"])


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with running_client(tmp_path) as started:
        yield started


class Echo:
    """A server that answers at once; what came in when, by the kernel's clock, it keeps: `arrived_ns` by id."""

    def __init__(self, listening: socket.socket) -> None:
        self.address: tuple[str, int] = listening.getsockname()
        self.arrived_ns: dict[int, int] = {}
        self.answered_ns: dict[int, int] = {}
        self._listening, self._offset_ns = listening, realtime_offset_ns()

    def serve(self, until: socket.socket) -> None:
        """Until something can be read from `until`."""
        while True:
            ready = select.select([self._listening, until], [], [])[0]
            if until in ready:
                return
            request, ancillary, _, source = self._listening.recvmsg(100, 100)
            seconds, nanoseconds = struct.unpack("@ll", ancillary[0][2])
            request_id = int.from_bytes(request[:4])
            self.arrived_ns.setdefault(request_id, seconds * 1_000_000_000 + nanoseconds - self._offset_ns)
            self.answered_ns[request_id] = now_ns()
            self._listening.sendto(request, source)


@contextmanager
def echo() -> Iterator[Echo]:
    ours, theirs = socket.socketpair()
    with ours, theirs, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        listening.bind(("127.0.0.1", 0))
        server = Echo(listening)
        thread = threading.Thread(target=server.serve, args=(theirs,))
        thread.start()
        try:
            yield server
        finally:
            ours.send(b"x")
            thread.join()


@BOTH_ARRIVALS
@pytest.mark.parametrize("strategy", ["baseline", "app-asyncio"])
def test_the_beginning_is_reported_between_the_warm_up_and_the_first_measured_request(
    client: Client, strategy: str, arrivals: dict[str, Any]
) -> None:
    lead_ns = 100 * MS
    with echo() as server:
        client.start_block(server.address, strategy, block=4, arrivals=arrivals, lead_ns=lead_ns)
        event = client.program.control.wait_event(("measuring", "block-done", "block-failed"), PATIENCE_S)
        assert (event["event"], event["block"]) == ("measuring", 4)
        done = client.program.control.wait_event(("measuring", "block-done", "block-failed"), PATIENCE_S)
    assert (done["event"], done["answered"]) == ("block-done", 20)
    start_ns = event["start_ns"]
    for request_id in range(3):
        assert server.answered_ns[FIRST_WARMUP_ID + request_id] + lead_ns <= start_ns
    assert start_ns <= done["first_send_ns"] <= server.arrived_ns[0]


def test_a_block_that_cannot_run_does_not_begin(client: Client) -> None:
    client.start_block(("255.255.255.255", 9), "baseline")
    event = client.program.control.wait_event(("measuring", "block-done", "block-failed"), PATIENCE_S)
    assert event["event"] == "block-failed"


@pytest.mark.parametrize("strategy", ["baseline", "app-deadline", "app-asyncio"])
def test_open_arrivals_are_as_planned_and_reported(client: Client, strategy: str) -> None:
    with echo() as server:
        samples = client.start_block(server.address, strategy, arrivals=OPEN)
        start_ns = client.program.control.wait_event("measuring", PATIENCE_S)["start_ns"]
        done = client.program.control.wait_event("block-done", PATIENCE_S)
    rows = client.read_samples(samples)
    offsets_ns = send_offsets_ns("poisson", 500, 9, 0, 20)
    assert [rows[n].intended_ns for n in range(20)] == [start_ns + offset_ns for offset_ns in offsets_ns]
    assert {row.outcome for row in rows.values()} == {Outcome.ANSWERED}
    late_us = sorted((row.sent_ns - row.intended_ns) / 1000 for row in rows.values())
    assert done["send_lateness_us"] == {"p50": late_us[9], "p99": late_us[19], "max": late_us[19]}
    assert late_us[0] >= 0


def test_closed_arrivals_have_no_send_lateness(client: Client) -> None:
    with echo() as server:
        block = client.run_block(server.address, "baseline")
    assert block.event["send_lateness_us"] is None
    assert block.event["collections"] == []
    for sample in block.samples.values():
        assert sample.intended_ns == sample.sent_ns


@pytest.mark.parametrize("strategy", ["app-deadline", "app-asyncio"])
def test_a_collection_stops_the_client_as_its_server_sees(client: Client, strategy: str) -> None:
    offsets_ns = [100 * MS, 500 * MS]
    with echo() as server:
        samples = client.start_block(
            server.address,
            strategy,
            requests={"first_id": 0, "count": 500},
            arrivals=OPEN | {"process": "constant"},
            gc={"objects": 1_000_000, "offsets_ns": offsets_ns},
        )
        start_ns = client.program.control.wait_event("measuring", PATIENCE_S)["start_ns"]
        done = client.program.control.wait_event("block-done", PATIENCE_S)
    rows = client.read_samples(samples)
    assert len(done["collections"]) == 2
    for collection, offset_ns in zip(done["collections"], offsets_ns, strict=True):
        assert collection["start_ns"] >= start_ns + offset_ns, "no collection is early"
        length_ns = collection["end_ns"] - collection["start_ns"]
        # The end is noted once the collecting thread has its turn again, which may be after a request or two.
        until_ns = collection["start_ns"] + length_ns * 3 // 4
        due = [row.request_id for row in rows.values() if collection["start_ns"] < row.intended_ns < until_ns]
        assert due, "a million objects take longer to look through than the 2 ms between two requests"
        for request_id in due:
            assert server.arrived_ns[request_id] >= until_ns
    assert done["answered"] == 500


def test_collections_that_never_come_due_are_none(client: Client) -> None:
    with echo() as server:
        block = client.run_block(
            server.address, "baseline", arrivals=OPEN, gc={"objects": 10, "offsets_ns": [3_600_000 * MS]}
        )
    assert (block.event["event"], block.event["collections"]) == ("block-done", [])


def test_a_silent_replica_costs_no_request_where_hedges_go_to_others(client: Client) -> None:
    with echo() as first, echo() as third, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        block = client.run_block(
            first.address,
            "app-deadline",
            servers=[list(first.address), list(silent.getsockname()), list(third.address)],
            spread="round-robin",
            target="other",
            requests={"first_id": 0, "count": 30},
            warmup={"first_id": FIRST_WARMUP_ID, "count": 0},
            arrivals=OPEN,
            hedge_delay_ns=200 * MS,
        )
    assert block.event["answered"] == 30
    assert block.event["hedges_sent"] >= 10
    for request_id in range(1, 30, 3):
        hedged_to = {1: first, 2: third}[1 + (request_id + 1) % 2]
        assert request_id in hedged_to.arrived_ns
        assert block.samples[request_id].received_ns >= block.samples[request_id].sent_ns + 200 * MS
