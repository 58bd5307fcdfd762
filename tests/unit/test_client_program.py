"""The real client against the real server over loopback: relations that hold on any host, however busy."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from hedgerow_node.control import ControlError
from hedgerow_node.records import FIRST_WARMUP_ID, NO_TIME, Action, Outcome, Sample, ServedCopy, read_rows
from support.node_programs import (
    IMAGES,
    MS,
    PATIENCE_S,
    Client,
    Server,
    running_client,
    running_server,
    wait_until_gone,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STALL_NS = 400 * MS
STALL = {"when": "id % 10 == 3", "duration_ns": STALL_NS, "heal_on_duplicate": True}
STALLED_IDS = {3, 13}  #: of the 20 requests of a block


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with running_client(tmp_path) as started:
        yield started


def measured(rows: list[ServedCopy]) -> list[ServedCopy]:
    return [row for row in rows if row.request_id < FIRST_WARMUP_ID]


def test_every_request_is_answered_once_and_both_sides_agree(server: Server, client: Client, tmp_path: Path) -> None:
    server.start_block()
    block = client.run_block(server.address, "baseline", block=7)
    rows = server.end_block(tmp_path)[1]

    event = block.event
    assert (event["event"], event["block"], event["strategy"], event["rows"]) == ("block-done", 7, "baseline", 20)
    assert (event["answered"], event["timeouts"], event["errors"], event["hedges_sent"]) == (20, 0, 0, 0)
    assert (event["duplicates_delivered"], event["stray_copies"], event["socket_errors"]) == (0, 0, 0)
    assert sorted(block.samples) == list(range(20))
    assert [row.request_id for row in rows] == [FIRST_WARMUP_ID + n for n in range(3)] + list(range(20))
    assert len({row.source_port for row in rows}) == 1
    assert event["first_send_ns"] == block.samples[0].sent_ns
    assert event["last_send_ns"] == block.samples[19].sent_ns
    for row in measured(rows):
        sample = block.samples[row.request_id]
        assert (sample.outcome, sample.copies_received, sample.seq) == (Outcome.ANSWERED, 1, row.request_id)
        assert sample.sent_ns <= row.received_ns, "one clock for all processes"
        assert row.sent_ns <= sample.received_ns
        assert sample.received_ns - sample.sent_ns >= 2 * MS


def test_the_kernels_timestamp_lies_between_sending_and_receiving(server: Server, client: Client) -> None:
    server.start_block()
    for sample in client.run_block(server.address, "kernel").samples.values():
        assert sample.sent_ns < sample.kernel_rx_ns < sample.received_ns


def test_without_hedging_a_stall_is_waited_for(server: Server, client: Client, tmp_path: Path) -> None:
    for strategy in ("baseline", "kernel"):
        server.start_block(stall=STALL)
        block = client.run_block(server.address, strategy)
        rows = measured(server.end_block(tmp_path)[1])
        assert block.event["hedges_sent"] == 0
        assert len(rows) == 20
        assert {row.request_id for row in rows if row.action == Action.STALLED} == STALLED_IDS
        waited = {n for n, sample in block.samples.items() if sample.received_ns - sample.sent_ns >= STALL_NS}
        assert waited >= STALLED_IDS


CLOSED = {"mode": "closed", "users": 1, "think_ns": 0}
OPEN = {"mode": "open", "process": "poisson", "rate_per_s": 200, "seed": 9, "users": 1}


@pytest.mark.parametrize(
    ("strategy", "arrivals"),
    [
        ("app-seed", CLOSED),
        ("app-deadline", CLOSED),
        ("app-asyncio", CLOSED),
        ("app-deadline", OPEN),
        ("app-asyncio", OPEN),
    ],
)
def test_the_stalled_requests_are_hedged_and_healed(
    server: Server, client: Client, tmp_path: Path, strategy: str, arrivals: dict[str, Any]
) -> None:
    server.start_block(stall=STALL)
    block = client.run_block(server.address, strategy, drain_ns=2 * STALL_NS, arrivals=arrivals)
    answer, rows = server.end_block(tmp_path)

    copies = Counter(row.request_id for row in measured(rows))
    hedged = {request_id for request_id, count in copies.items() if count == 2}
    assert hedged >= STALLED_IDS
    assert set(copies.values()) <= {1, 2}, "no request is hedged twice"
    assert len(measured(rows)) == 20 + block.event["hedges_sent"]
    assert block.event["answered"] == 20
    for request_id in hedged:
        # On a busy host a request may be hedged that did not stall, but none that was answered before its deadline.
        sample = block.samples[request_id]
        assert sample.received_ns - sample.sent_ns >= 50 * MS
    actions = {(row.request_id, row.copy): row.action for row in measured(rows)}
    for request_id in STALLED_IDS:
        assert actions[request_id, 1] == Action.STALLED
        assert actions[request_id, 2] == Action.HEALED

    # The stalled copies' answers come too, while the client is busy with other requests or drains.
    assert answer["in_flight"] == 0
    assert {request_id for request_id, sample in block.samples.items() if sample.copies_received == 2} == hedged
    assert block.event["duplicates_delivered"] == block.event["hedges_sent"] == len(hedged)
    assert block.event["stray_copies"] == 0


def test_a_late_answer_delays_the_published_clients_hedge_by_as_much(client: Client) -> None:
    """A scripted server answers request 0 once more while request 1 waits, and otherwise says nothing to it."""
    delay_ns = 400 * MS
    restarts = {}
    for strategy in ("app-seed", "app-deadline"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            peer.settimeout(PATIENCE_S)
            samples = client.start_block(
                peer.getsockname(),
                strategy,
                requests={"first_id": 0, "count": 2},
                warmup={"first_id": FIRST_WARMUP_ID, "count": 0},
                hedge_delay_ns=delay_ns,
            )
            first, address = peer.recvfrom(100)
            peer.sendto(first, address)
            second = peer.recv(100)
            peer.sendto(first, address)
            assert peer.recv(100) == second, "the hedge is the request once more"
            peer.sendto(second, address)
            event = client.program.control.wait_event("block-done", PATIENCE_S)
        rows = {row.request_id: row for row in read_rows(samples, Sample)}
        assert [rows[0].copies_received, rows[1].copies_received] == [2, 1]
        assert (event["answered"], event["hedges_sent"], event["duplicates_delivered"]) == (2, 1, 1)
        assert rows[1].received_ns - rows[1].sent_ns >= delay_ns
        restarts[strategy] = event["timer_restarts"]
    assert restarts == {"app-seed": 1, "app-deadline": 0}


def test_two_users_share_the_ids(server: Server, client: Client, tmp_path: Path) -> None:
    server.start_block()
    block = client.run_block(
        server.address,
        "baseline",
        requests={"first_id": 100, "count": 60},
        arrivals={"mode": "closed", "users": 2, "think_ns": MS},
    )
    rows = measured(server.end_block(tmp_path)[1])
    assert block.event["answered"] == 60
    assert sorted(row.request_id for row in rows) == list(range(100, 160))
    users: dict[int, list[Sample]] = {}
    for row in rows:
        users.setdefault(row.source_port, []).append(block.samples[row.request_id])
    assert len(users) == 2
    for samples in users.values():
        samples.sort(key=lambda sample: sample.sent_ns)
        assert len(samples) > 1
        for earlier, later in itertools.pairwise(samples):
            assert later.sent_ns >= earlier.received_ns + MS, "one request at a time, and a think time between them"
    in_order = sorted(block.samples.values(), key=lambda sample: sample.sent_ns)
    assert [sample.request_id for sample in in_order] == list(range(100, 160))


def test_each_block_has_fresh_sockets(server: Server, client: Client, tmp_path: Path) -> None:
    ports = set()
    for _ in range(2):
        server.start_block()
        client.run_block(server.address, "baseline")
        ports |= {row.source_port for row in server.end_block(tmp_path)[1]}
    assert len(ports) == 2


@pytest.mark.ipv6
def test_ipv6(tmp_path: Path, client: Client) -> None:
    with running_server(tmp_path, "[::1]:0") as server:
        server.start_block(stall=STALL)
        block = client.run_block(server.address, "app-deadline", drain_ns=2 * STALL_NS)
    assert block.event["answered"] == 20
    assert all(block.samples[request_id].copies_received == 2 for request_id in STALLED_IDS)
    assert all(sample.kernel_rx_ns != NO_TIME for sample in block.samples.values())


def test_what_is_never_answered_times_out(client: Client, silent: tuple[str, int]) -> None:
    for strategy, hedges in (("baseline", 0), ("app-seed", 5), ("app-deadline", 5)):
        block = client.run_block(
            silent,
            strategy,
            requests={"first_id": 0, "count": 5},
            timeout_ns=20 * MS,
            hedge_delay_ns=5 * MS,
        )
        assert (block.event["timeouts"], block.event["hedges_sent"]) == (5, hedges)
        for sample in block.samples.values():
            assert (sample.outcome, sample.copies_received) == (Outcome.TIMEOUT, 0)
            assert (sample.received_ns, sample.kernel_rx_ns) == (NO_TIME, NO_TIME)


def test_icmp_errors_are_passed_over_and_the_time_out_decides(client: Client) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        closed = taken.getsockname()
    block = client.run_block(closed, "app-deadline", timeout_ns=20 * MS, hedge_delay_ns=5 * MS)
    assert (block.event["timeouts"], block.event["errors"], block.event["hedges_sent"]) == (20, 0, 20)
    assert block.event["socket_errors"] > 0


def start_endless_block(client: Client, silent: tuple[str, int]) -> int:
    """Start a block that does not end by itself and return its worker's pid."""
    client.start_block(silent, "baseline", timeout_ns=3_600_000 * MS)
    worker_pid: int = client.program.ping()["worker_pid"]
    return worker_pid


def test_one_block_at_a_time(client: Client, silent: tuple[str, int]) -> None:
    start_endless_block(client, silent)
    with pytest.raises(ControlError, match="block 0 of baseline is still running"):
        client.start_block(silent, "baseline")
    with pytest.raises(ControlError, match="block 0 of baseline is still running"):
        client.start_block(silent, "kernel")


def test_a_cancelled_block_ends_and_another_begins(server: Server, client: Client, silent: tuple[str, int]) -> None:
    worker_pid = start_endless_block(client, silent)
    assert client.program.control.call("cancel-block") == {"cancelled": 0}
    assert client.program.ping()["worker_pid"] is None
    wait_until_gone(worker_pid)
    assert client.program.control.call("cancel-block") == {"cancelled": None}
    assert client.run_block(server.address, "baseline").event["answered"] == 20


def test_a_dead_worker_fails_its_block_and_no_other(server: Server, client: Client, silent: tuple[str, int]) -> None:
    worker_pid = start_endless_block(client, silent)
    os.kill(worker_pid, signal.SIGKILL)
    control = client.program.control
    assert control.wait_event("worker-died", PATIENCE_S) == {
        "event": "worker-died",
        "role": "client",
        "pid": worker_pid,
        "status": "signal 9 (SIGKILL)",
    }
    assert control.wait_event("block-failed", PATIENCE_S) == {
        "event": "block-failed",
        "block": 0,
        "strategy": "baseline",
        "error": "the client's worker has died (signal 9 (SIGKILL))",
    }
    assert client.run_block(server.address, "baseline").event["answered"] == 20


def test_a_block_that_cannot_run_fails_with_its_reason(client: Client, tmp_path: Path) -> None:
    broadcast = ("255.255.255.255", 9)  # no socket may connect there without asking for it
    assert client.run_block(broadcast, "baseline").event["error"] == "[Errno 13] Permission denied"
    with pytest.raises(ControlError, match="'samples': there is no folder"):
        client.run_block(broadcast, "baseline", samples=str(tmp_path / "missing" / "x"))
    with pytest.raises(ControlError, match="field 'strategy' is 'app-magic'"):
        client.run_block(broadcast, "app-magic")


def test_an_empty_block_is_done_at_once(client: Client, silent: tuple[str, int]) -> None:
    none: dict[str, Any] = {"first_id": 0, "count": 0}
    event = client.run_block(silent, "baseline", requests=none, warmup=none).event
    assert (event["rows"], event["first_send_ns"], event["last_send_ns"]) == (0, None, None)


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "stop"])
def test_it_ends_cleanly_in_the_middle_of_a_block(client: Client, silent: tuple[str, int], how: str) -> None:
    worker_pid = start_endless_block(client, silent)
    if how == "stop":
        client.program.control.call("stop")
    else:
        client.program.process.send_signal(signal.Signals[how])
    assert client.program.process.wait(PATIENCE_S) == 0
    wait_until_gone(worker_pid)
    assert not client.program.path.exists()


def test_a_killed_supervisor_takes_its_worker_along(client: Client, silent: tuple[str, int]) -> None:
    worker_pid = start_endless_block(client, silent)
    client.program.process.kill()
    wait_until_gone(worker_pid)


def run_client(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(IMAGES / "client/client.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def test_standalone_it_prints_a_report(server: Server, tmp_path: Path) -> None:
    server.start_block()
    host, port = server.address
    samples = tmp_path / "by-hand.samples"
    options = "--strategy kernel --requests 30 --warmup 2 --users 3 --drain 0s --think 0s --samples"
    done = run_client("--server", f"{host}:{port}", *options.split(), str(samples))
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert (report["strategy"], report["answered"], report["rows"]) == ("kernel", 30, 30)
    latency = report["latency_ms"]
    assert 2 <= latency["p50"] <= latency["p95"] <= latency["p99"] <= latency["max"]
    assert len(read_rows(samples, Sample)) == 30
    assert len(server.end_block(tmp_path)[1]) == 32


def test_standalone_it_sends_by_a_schedule_to_several_replicas(server: Server, tmp_path: Path) -> None:
    host, port = server.address
    samples = tmp_path / "by-hand.samples"
    options = "--rate 1000/s --process constant --seed 3 --spread round-robin --requests 30 --warmup 2 --users 3"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        second = f"127.0.0.1:{silent.getsockname()[1]}"
        hedged = "--strategy app-deadline --target other --delay 100ms --drain 0s --samples"
        done = run_client(
            "--server", f"{host}:{port}", "--server", second, *options.split(), *hedged.split(), str(samples)
        )
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert (report["answered"], report["rows"]) == (30, 30)
    assert report["hedges_sent"] >= 15
    assert report["latency_ms"]["max"] >= 100
    assert report["send_lateness_us"]["p50"] <= report["send_lateness_us"]["max"]
    rows = read_rows(samples, Sample)
    assert [row.intended_ns - rows[0].intended_ns for row in rows] == [n * MS for n in range(30)]
    for row in rows[1::2]:
        assert row.received_ns - row.sent_ns >= 100 * MS


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("", "one of the arguments --control --server is required"),
        ("--server localhost:1", "'localhost' is not a numeric address"),
        ("--server 127.0.0.1:1 --control x", "not allowed with argument"),
        ("--server 127.0.0.1:1 --strategy none", "invalid choice: 'none'"),
        ("--server 127.0.0.1:1 --requests 0", "'0' is not a whole number, at least 1"),
        ("--server 127.0.0.1:1 --delay 10", "'10' is not a duration"),
        ("--server 127.0.0.1:1 --payload 5", "client: a payload of 5 bytes is too short"),
        ("--server 127.0.0.1:1 --request-id 0:2", "client: id 2147483667 does not fit into 2 bytes"),
        ("--server 127.0.0.1:1 --rate 500", "'500' is not a rate"),
        ("--server 127.0.0.1:1 --rate 0/s", "client: a rate of 0 requests a second is not possible"),
        ("--server 127.0.0.1:1 --rate 5/s --process even", "invalid choice: 'even'"),
        ("--server 127.0.0.1:1 --rate 5/s --strategy app-seed", "client: app-seed is the published client"),
        ("--server 127.0.0.1:1 --spread last", "invalid choice: 'last'"),
        ("--server 127.0.0.1:1 --target other", "client: hedges to another replica (target other) need at least two"),
    ],
)
def test_a_wrong_command_line_is_refused(arguments: str, complaint: str) -> None:
    done = run_client(*arguments.split())
    assert done.returncode == 2
    assert complaint in done.stderr


def test_ids_may_be_short_where_there_is_no_warm_up(server: Server) -> None:
    places = {"request": {"offset": 1, "length": 2}, "response": {"offset": 3, "length": 2}}
    server.start_block(request_id=places)
    host, port = server.address
    options = "--warmup 0 --requests 5 --payload 7 --drain 0s --request-id 1:2 --response-id 3:2"
    done = run_client("--server", f"{host}:{port}", *options.split())
    assert json.loads(done.stdout)["answered"] == 5
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        plain.settimeout(PATIENCE_S)
        plain.connect(server.address)
        plain.send(struct.pack(">BHI", 0, 513, 0))
        assert plain.recv(10) == struct.pack(">BHHBB", 0, 0, 513, 1, 0)
