"""The real server program over loopback: what it answers, what it logs, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hedgerow_node.control import ControlError
from hedgerow_node.records import FIRST_WARMUP_ID, NO_TIME, Action
from support.node_programs import IMAGES, MS, PATIENCE_S, Server, running, running_server, wait_until_gone

if TYPE_CHECKING:
    from collections.abc import Iterator

STALL = {"when": "id % 100 < 2", "duration_ns": 150 * MS, "heal_on_duplicate": True}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running_server(tmp_path) as started:
        yield started


def connected(address: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    client = socket.socket(family, socket.SOCK_DGRAM)
    client.settimeout(PATIENCE_S)
    client.connect(address)
    return client


def request(request_id: int, length: int = 64) -> bytes:
    return struct.pack(">I", request_id).ljust(length, b"\0")


def response(request_id: int, copy: int, replica: int = 0, length: int = 64) -> bytes:
    return struct.pack(">IBB", request_id, copy, replica).ljust(length, b"\0")


def test_it_serves_before_any_block_is_started(server: Server) -> None:
    with connected(server.address) as client:
        client.send(request(7))
        assert client.recv(100) == response(7, copy=1)


def test_responses_carry_copy_ordinal_and_replica_and_are_as_long_as_requests(server: Server, tmp_path: Path) -> None:
    server.start_block(replica=3)
    with connected(server.address) as client, connected(server.address) as other:
        for copy in (1, 2):
            client.send(request(7, length=6 + copy))
            assert client.recv(100) == response(7, copy, replica=3, length=6 + copy)
        other.send(request(7, length=1400))
        assert other.recv(2000) == response(7, copy=1, replica=3, length=1400)
        ports = [client.getsockname()[1]] * 2 + [other.getsockname()[1]]
    answer, rows = server.end_block(tmp_path)
    assert (answer["rows"], answer["in_flight"], answer["malformed"], answer["send_errors"]) == (3, 0, 0, 0)
    assert [(row.request_id, row.copy, row.source_port, row.replica, row.action) for row in rows] == [
        (7, copy, port, 3, Action.SERVED) for copy, port in zip((1, 2, 1), ports, strict=True)
    ]
    for row in rows:
        assert row.due_ns == row.received_ns + 2 * MS
        assert row.sent_ns >= row.due_ns, "no response leaves early"
    lateness_us = answer["timer_lateness_us"]
    assert 0 <= lateness_us["p50"] <= lateness_us["p99"] == lateness_us["max"]


def test_copy_ordinals_stop_at_255_on_the_wire_and_go_on_in_the_log(server: Server, tmp_path: Path) -> None:
    server.start_block(service_time={"distribution": "constant", "median_ns": 0, "sigma": 0})
    with connected(server.address) as client:
        ordinals = []
        for _ in range(257):
            client.send(request(1))
            ordinals.append(client.recv(100)[4])
    assert ordinals == [*range(1, 256), 255, 255]
    assert [row.copy for row in server.end_block(tmp_path)[1]] == list(range(1, 258))


def test_ids_are_where_they_are_declared(server: Server) -> None:
    server.start_block(request_id={"request": {"offset": 8, "length": 8}, "response": {"offset": 2, "length": 4}})
    with connected(server.address) as client:
        client.send(bytes(8) + struct.pack(">Q", 0xFEDCBA98) + bytes(4))
        assert client.recv(100) == bytes(2) + struct.pack(">IB", 0xFEDCBA98, 1) + bytes(13)


def test_a_datagram_that_is_not_a_request_is_counted_and_not_answered(server: Server, tmp_path: Path) -> None:
    server.start_block(request_id={"request": {"offset": 0, "length": 8}, "response": {"offset": 0, "length": 4}})
    with connected(server.address) as client:
        client.send(b"")
        client.send(bytes(7))  # too short for the request's id
        client.send(b"\xff" * 8)  # an id that does not fit into the response
        client.send(struct.pack(">Q", 5))
        assert client.recv(100) == struct.pack(">IB", 5, 1) + bytes(3)
    answer, rows = server.end_block(tmp_path)
    assert answer["malformed"] == 3
    assert [row.request_id for row in rows] == [5]


def test_a_duplicate_heals_and_overtakes_the_stalled_copy(server: Server, tmp_path: Path) -> None:
    server.start_block(stall=STALL)
    with connected(server.address) as client:
        client.send(request(100))
        client.send(request(100))
        assert [client.recv(100)[4] for _ in range(2)] == [2, 1], "the stalled response still goes out when it is due"
        client.send(request(FIRST_WARMUP_ID))
        client.recv(100)
    rows = server.end_block(tmp_path)[1]
    assert [(row.request_id, row.copy, row.action) for row in rows] == [
        (100, 1, Action.STALLED),
        (100, 2, Action.HEALED),
        (FIRST_WARMUP_ID, 1, Action.SERVED),
    ]
    assert [row.due_ns - row.received_ns for row in rows] == [152 * MS, 2 * MS, 2 * MS]


def test_a_server_that_does_not_heal_stalls_every_copy(server: Server, tmp_path: Path) -> None:
    server.start_block(stall=STALL | {"heal_on_duplicate": False})
    with connected(server.address) as client:
        for _ in range(2):
            client.send(request(1))
        assert [client.recv(100)[4] for _ in range(2)] == [1, 2]
    assert [row.action for row in server.end_block(tmp_path)[1]] == [Action.STALLED] * 2


def test_a_new_block_forgets_the_last_one(server: Server, tmp_path: Path) -> None:
    server.start_block(stall=STALL | {"duration_ns": 3_600_000 * MS})
    with connected(server.address) as client:
        client.send(request(0))
        client.send(request(2))
        assert client.recv(100) == response(2, copy=1)
        answer, rows = server.end_block(tmp_path)
        assert (answer["rows"], answer["in_flight"]) == (2, 1)
        assert [(row.request_id, row.sent_ns == NO_TIME) for row in rows] == [(0, True), (2, False)]

        server.start_block(stall=STALL | {"duration_ns": 1})
        client.send(request(0))
        assert client.recv(100) == response(0, copy=1)
    answer, rows = server.end_block(tmp_path)
    assert (answer["rows"], answer["in_flight"]) == (1, 0)
    assert rows[0].action == Action.STALLED


def test_bounded_concurrency_queues_first_in_first_out(server: Server, tmp_path: Path) -> None:
    server.start_block(concurrency=1)
    with connected(server.address) as client:
        for request_id in range(10):
            client.send(request(request_id))
        answered = [struct.unpack(">I", client.recv(100)[:4])[0] for _ in range(10)]
    assert answered == list(range(10))
    free_ns = 0
    for row in server.end_block(tmp_path)[1]:
        free_ns = max(row.received_ns, free_ns) + 2 * MS
        assert row.due_ns == free_ns


def test_unlimited_concurrency_serves_all_at_once(server: Server, tmp_path: Path) -> None:
    server.start_block()
    with connected(server.address) as client:
        for request_id in range(200):
            client.send(request(request_id))
        for _ in range(200):
            client.recv(100)
    assert all(row.due_ns - row.received_ns == 2 * MS for row in server.end_block(tmp_path)[1])


def test_lognormal_service_times_are_the_same_in_every_block(server: Server, tmp_path: Path) -> None:
    durations = []
    for request_ids in (range(30), range(29, -1, -1)):
        server.start_block(service_time={"distribution": "lognormal", "median_ns": MS, "sigma": 0.5})
        with connected(server.address) as client:
            for request_id in request_ids:
                client.send(request(request_id))
            for _ in request_ids:
                client.recv(100)
        rows = server.end_block(tmp_path)[1]
        durations.append({row.request_id: row.due_ns - row.received_ns for row in rows})
    assert durations[0] == durations[1]
    assert len(set(durations[0].values())) == 30


@pytest.mark.ipv6
def test_it_serves_ipv6_beside_ipv4_on_every_address(tmp_path: Path) -> None:
    listen = ["--listen", "0.0.0.0:0", "--listen", "[::]:0"]
    with running("server/server.py", tmp_path / "server.sock", *listen) as program:
        (host4, port4), (host6, port6) = program.ping()["listening"]
        assert (host4, host6) == ("0.0.0.0", "::")  # noqa: S104 (listening everywhere is what is tested)
        for address in (("127.0.0.1", port4), ("::1", port6)):
            with connected(address) as client:
                client.send(request(9))
                assert client.recv(100) == response(9, copy=1)


def test_ping_names_the_processes(server: Server) -> None:
    answer = server.program.ping()
    assert answer["role"] == "server"
    assert answer["pid"] == server.program.process.pid
    assert answer["worker_pid"] not in (answer["pid"], None)
    assert "worker_died" not in answer


def test_wrong_settings_are_refused(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="no block was started"):
        server.end_block(tmp_path)
    with pytest.raises(ControlError, match=r"column 1: unknown name 'x'"):
        server.start_block(stall=STALL | {"when": "x"})
    with pytest.raises(ControlError, match=r"field 'service_time\.distribution' is 'pareto'"):
        server.start_block(service_time={"distribution": "pareto"})
    with pytest.raises(ControlError, match="field 'concurrency' is 0, expected at least 1"):
        server.start_block(concurrency=0)
    server.start_block()
    with pytest.raises(ControlError, match="No such file or directory"):
        server.end_block(tmp_path / "missing")
    assert server.end_block(tmp_path)[0]["rows"] == 0, "a block whose log could not be written is not lost"


def test_a_condition_that_fails_for_an_id_fails_the_block(server: Server, tmp_path: Path) -> None:
    server.start_block(stall=STALL | {"when": "1 // (id - 5) == 7"})
    with connected(server.address) as client:
        client.send(request(5))
        assert client.recv(100) == response(5, copy=1)
    with pytest.raises(ControlError, match="division by zero for id 5"):
        server.end_block(tmp_path)


def test_a_dead_worker_is_reported_and_the_supervisor_lives(server: Server, tmp_path: Path) -> None:
    worker_pid = server.program.ping()["worker_pid"]
    os.kill(worker_pid, signal.SIGKILL)
    event = server.program.control.wait_event("worker-died", PATIENCE_S)
    assert event == {"event": "worker-died", "role": "server", "pid": worker_pid, "status": "signal 9 (SIGKILL)"}
    answer = server.program.ping()
    assert (answer["worker_pid"], answer["worker_died"], answer["listening"]) == (None, "signal 9 (SIGKILL)", [])
    with pytest.raises(ControlError, match=r"the server's worker has died \(signal 9"):
        server.start_block()


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "stop"])
@pytest.mark.parametrize("worker_is_frozen", [False, True])
def test_it_ends_cleanly(server: Server, how: str, worker_is_frozen: bool) -> None:
    worker_pid = server.program.ping()["worker_pid"]
    if worker_is_frozen:
        os.kill(worker_pid, signal.SIGSTOP)
    if how == "stop":
        server.program.control.call("stop")
    else:
        server.program.process.send_signal(signal.Signals[how])
    assert server.program.process.wait(PATIENCE_S) == 0
    wait_until_gone(worker_pid)
    assert not server.program.path.exists()


def test_a_killed_supervisor_takes_its_worker_along(server: Server) -> None:
    worker_pid = server.program.ping()["worker_pid"]
    server.program.process.kill()
    wait_until_gone(worker_pid)


def run_server(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(IMAGES / "server/server.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def test_standalone_it_serves_as_its_command_line_says() -> None:
    options = "--replica 4 --seed 1 --service-time 1ms --sigma 0.2 --concurrency 2 --heal-on-duplicate"
    stall = ["--stall-when", "id == 1", "--stall-duration", "150ms", "--request-id", "2:2", "--response-id", "0:2"]
    command = [str(IMAGES / "server/server.py"), "--listen", "127.0.0.1:0", *options.split(), *stall]
    with subprocess.Popen([sys.executable, *command], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            assert line.startswith("server: listening on 127.0.0.1:")
            with connected(("127.0.0.1", int(line.rpartition(":")[2]))) as client:
                client.send(struct.pack(">HH", 0, 1))
                client.send(struct.pack(">HH", 0, 1))
                assert [client.recv(10) for _ in range(2)] == [struct.pack(">HBB", 1, copy, 4) for copy in (2, 1)]
        finally:
            process.terminate()
        assert process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("", "the following arguments are required: --listen"),
        ("--listen localhost:1", "'localhost' is not a numeric address"),
        ("--listen ::1:9000", "an IPv6 address stands in brackets"),
        ("--service-time 2", "'2' is not a duration"),
        ("--stall-duration 2s", "--stall-when and --stall-duration need each other"),
        ("--stall-when id", "column 1: a number is no condition"),
        ("--heal-on-duplicate", "--heal-on-duplicate needs --stall-when"),
        ("--concurrency 0", "'0' is not a whole number, at least 1"),
        ("--replica 256", "'256' is not a whole number, from 0 to 255"),
        ("--sigma -1", "--sigma must not be negative"),
        ("--request-id 4", "'4' is not a place"),
    ],
)
def test_a_wrong_command_line_is_refused(arguments: str, complaint: str) -> None:
    listen = [] if not arguments or "--listen" in arguments else ["--listen", "127.0.0.1:0"]
    done = run_server(*listen, *arguments.split())
    assert done.returncode == 2
    assert complaint in done.stderr


def test_an_address_that_is_taken_is_named() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        done = run_server("--listen", f"127.0.0.1:{port}")
    assert done.returncode == 1
    assert done.stderr == f"server: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_standalone_a_dead_worker_ends_the_program() -> None:
    command = [sys.executable, str(IMAGES / "server/server.py"), "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        process.stderr.readline()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) == 1
        os.kill(int(children[0]), signal.SIGKILL)
        assert process.wait(PATIENCE_S) == 1
        assert process.stderr.read() == "server: the worker has died (signal 9 (SIGKILL))\n"
