"""Faults of the real client's worker, which lasts for a block: seen by its server, and by what /proc says."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from hedgerow_node.clock import now_ns
from hedgerow_node.control import ControlError
from hedgerow_node.records import FIRST_WARMUP_ID, Outcome, Sample, read_rows
from support.node_programs import MS, PATIENCE_S, Client, Server, running_client, wait_until_gone
from support.processes import children, eventually, ran_ns, state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOUR_NS = 3_600_000 * MS
#: Takes about half a second.
OPEN = {"mode": "open", "process": "constant", "rate_per_s": 400.0, "seed": 1, "users": 1}
REQUESTS = {"first_id": 0, "count": 200}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with running_client(tmp_path) as started:
        yield started


def inject(client: Client, *faults: dict[str, Any]) -> None:
    assert client.program.control.call("inject", faults=list(faults)) == {}


def pause(at_ns: int, until_ns: int, key: str = "0.0") -> dict[str, Any]:
    return {"key": key, "fault": "pause", "at_ns": at_ns, "until_ns": until_ns}


def stress(at_ns: int, burners: int) -> dict[str, Any]:
    return {"key": "stress", "fault": "cpu-stress", "at_ns": at_ns, "until_ns": None, "burners": burners}


def faults_done(client: Client) -> list[dict[str, Any]]:
    return list(client.program.control.call("faults-done")["faults"])


def finished(client: Client) -> dict[str, Any]:
    return client.program.control.wait_event(("block-done", "block-failed"), PATIENCE_S)


def test_a_paused_client_sends_nothing_and_makes_up_for_it_afterwards(
    server: Server, client: Client, tmp_path: Path
) -> None:
    server.start_block()
    samples = client.start_block(
        server.address, "baseline", arrivals=OPEN, requests=REQUESTS, lead_ns=200 * MS, drain_ns=50 * MS
    )
    start_ns = client.program.control.wait_event("measuring", PATIENCE_S)["start_ns"]
    worker = client.program.ping()["worker_pid"]
    inject(client, *(pause(start_ns + at, start_ns + at + 100 * MS, f"0.{at}") for at in (100 * MS, 300 * MS)))
    eventually(lambda: state(worker) in ("T", ""))
    event = finished(client)
    assert (event["event"], event["rows"]) == ("block-done", 200)
    reports = faults_done(client)
    received = [row for row in server.end_block(tmp_path)[1] if row.request_id < FIRST_WARMUP_ID]
    sent = read_rows(samples, Sample)
    assert {sample.outcome for sample in sent} == {Outcome.ANSWERED}
    for report in reports:
        proof = report["proof"]
        assert (proof["state"], proof["cpu_ns_before"]) == ("T", proof["cpu_ns_after"])
        # What was sent just before the pause may come in after its beginning; it was not sent in it.
        during = range(report["applied_ns"], report["undone_ns"])
        assert not any(sample.sent_ns in during or sample.received_ns in during for sample in sent)
        due = [sample for sample in sent if sample.intended_ns in during]
        assert due
        assert all(
            row.received_ns > report["undone_ns"]
            for row in received
            if row.request_id in {sample.request_id for sample in due}
        )


def test_a_client_that_is_cancelled_while_paused_is_gone_and_no_other_process_is_resumed(
    silent: tuple[str, int], client: Client
) -> None:
    client.start_block(silent, "baseline")
    worker = client.program.ping()["worker_pid"]
    inject(client, pause(now_ns(), now_ns() + HOUR_NS))
    eventually(lambda: state(worker) == "T")
    assert client.program.control.call("cancel-block") == {"cancelled": 0}
    wait_until_gone(worker)
    [report] = faults_done(client)
    assert report["proof"]["state"] == "T"
    assert report["undone_ns"] <= now_ns()


def test_a_client_that_dies_while_paused_is_reported(silent: tuple[str, int], client: Client) -> None:
    client.start_block(silent, "baseline")
    worker = client.program.ping()["worker_pid"]
    until_ns = now_ns() + 1000 * MS
    inject(client, pause(now_ns(), until_ns))
    eventually(lambda: state(worker) == "T")
    os.kill(worker, signal.SIGKILL)
    assert finished(client)["error"] == "the client's worker has died (signal 9 (SIGKILL))"
    eventually(lambda: now_ns() > until_ns)
    [report] = faults_done(client)
    assert report["proof"]["state"] is None
    assert client.program.ping()["worker_pid"] is None


def test_without_a_block_there_is_no_worker_to_pause_but_burners_burn(client: Client) -> None:
    inject(client, pause(now_ns(), now_ns() + 1), stress(now_ns(), burners=2))
    supervisor = client.program.process.pid
    eventually(lambda: sum(state(pid) == "R" for pid in children(supervisor)) == 2)
    ran = {pid: ran_ns(pid) for pid in children(supervisor)}  # they ran before they were first stopped, too
    eventually(lambda: all(ran_ns(pid) > ran[pid] for pid in ran))
    paused, stressed = faults_done(client)
    assert (paused["applied_ns"], paused["proof"]["state"]) == (None, None)
    assert stressed["applied_ns"] < stressed["undone_ns"]
    assert stressed["proof"]["cpu_ns"] > 0
    assert children(supervisor) == set()


def test_the_next_block_is_not_affected_by_the_last_ones_faults(server: Server, client: Client) -> None:
    inject(client, pause(now_ns() + HOUR_NS, now_ns() + 2 * HOUR_NS), stress(now_ns(), burners=1))
    block = client.run_block(server.address, "baseline")
    assert block.event["answered"] == 20
    assert children(client.program.process.pid) == set()
    assert faults_done(client) == []


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
def test_nothing_is_left_of_faults_when_the_supervisor_ends(
    silent: tuple[str, int], client: Client, how: str
) -> None:
    client.start_block(silent, "baseline")
    worker = client.program.ping()["worker_pid"]
    inject(client, stress(now_ns(), burners=2), pause(now_ns(), now_ns() + HOUR_NS))
    eventually(lambda: state(worker) == "T")
    forked = children(client.program.process.pid)
    assert len(forked) == 3
    client.program.process.send_signal(signal.Signals[how])
    assert client.program.process.wait(PATIENCE_S) == (0 if how == "SIGTERM" else -signal.SIGKILL)
    for pid in forked:
        wait_until_gone(pid)


@pytest.mark.parametrize("fault", ["kill", "restart", "gc"])
def test_faults_that_a_client_cannot_have_are_refused(client: Client, fault: str) -> None:
    with pytest.raises(ControlError, match=f"fault' is '{fault}', expected one of pause, cpu-stress"):
        inject(client, {"key": "0.0", "fault": fault, "at_ns": 5, "until_ns": 6})
