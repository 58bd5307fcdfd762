"""Faults of the real server's worker, seen from outside: by a client, and by what /proc says."""

from __future__ import annotations

import itertools
import json
import os
import select
import signal
import socket
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from hedgerow_node.clock import now_ns
from hedgerow_node.control import ControlError
from hedgerow_node.records import NO_TIME, Action
from support.node_programs import MS, PATIENCE_S, Server, wait_until_gone
from support.processes import children, eventually, ran_ns, state

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR_NS = 3_600_000 * MS
A_MOMENT_S = 0.2  #: how long a test listens for what must not come; longer would only be slower


@pytest.fixture
def client(server: Server) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connected:
        connected.settimeout(PATIENCE_S)
        connected.connect(server.address)
        yield connected


def ask(client: socket.socket, request_id: int) -> None:
    client.send(struct.pack(">I", request_id).ljust(64, b"\0"))


def answer(client: socket.socket) -> tuple[int, int, int]:
    """Request id, copy and replica of the next response."""
    request_id, copy, replica = struct.unpack(">IBB", client.recv(100)[:6])
    return request_id, copy, replica


def answer_at_last(client: socket.socket, request_id: int) -> tuple[int, int, int]:
    """As `answer`, of a server that may still be coming up and refuse."""

    def attempt() -> tuple[int, int, int] | None:
        try:
            ask(client, request_id)
            return answer(client)
        except ConnectionRefusedError:
            return None

    return cast("tuple[int, int, int]", eventually(attempt))


def is_silent(client: socket.socket) -> bool:
    return not select.select([client], [], [], A_MOMENT_S)[0]


def is_refused(client: socket.socket) -> bool:
    """Whether no process listens any more: the kernel answers for the dead, and the socket hears of it."""
    try:
        ask(client, 999)
        client.recv(100)
    except ConnectionRefusedError:
        return True
    return False


def inject(
    server: Server, fault: str, at_ns: int, until_ns: int | None = None, key: str = "0.0", **more: Any
) -> None:
    fields = {"key": key, "fault": fault, "at_ns": at_ns, "until_ns": until_ns, **more}
    assert server.program.control.call("inject", faults=[fields]) == {}


def faults_done(server: Server) -> list[dict[str, Any]]:
    answer = server.program.control.call("faults-done")
    assert list(answer) == ["faults"]
    return list(answer["faults"])


def worker_of(server: Server) -> int:
    return int(server.program.ping()["worker_pid"])


def new_worker_of(server: Server, old_pid: int) -> int:
    return int(eventually(lambda: (pid := server.program.ping()["worker_pid"]) not in (None, old_pid) and pid))


def no_death_was_reported(server: Server) -> bool:
    try:
        server.program.control.wait_event("worker-died", A_MOMENT_S)
    except ControlError:
        return True
    return False


def test_a_paused_server_answers_nothing_until_it_goes_on(server: Server, client: socket.socket) -> None:
    server.start_block()
    worker = worker_of(server)
    inject(server, "pause", now_ns() + 20 * MS, now_ns() + HOUR_NS)
    eventually(lambda: state(worker) == "T")
    ran = ran_ns(worker)
    ask(client, 1)
    assert is_silent(client)
    assert (state(worker), ran_ns(worker)) == ("T", ran)

    [report] = faults_done(server)
    assert answer(client) == (1, 1, 0)
    assert state(worker) in ("R", "S")
    proof = report["proof"]
    assert (proof["state"], proof["cpu_ns_before"]) == ("T", proof["cpu_ns_after"])
    assert proof["state_after"] != "T"
    assert worker_of(server) == worker


def test_a_pause_ends_by_itself_at_its_time(server: Server, client: socket.socket, tmp_path: Path) -> None:
    server.start_block()
    worker = worker_of(server)
    at_ns = now_ns() + 20 * MS
    until_ns = at_ns + 500 * MS
    inject(server, "pause", at_ns, until_ns, key="2.7")
    eventually(lambda: state(worker) == "T" or now_ns() > until_ns)
    ask(client, 1)
    assert answer(client) == (1, 1, 0)
    assert now_ns() > until_ns
    eventually(lambda: state(worker) == "S")

    [report] = faults_done(server)
    assert (report["key"], report["fault"], report["at_ns"], report["until_ns"]) == ("2.7", "pause", at_ns, until_ns)
    assert at_ns <= report["applied_ns"] < until_ns <= report["undone_ns"]
    [row] = server.end_block(tmp_path)[1]
    assert row.received_ns > report["undone_ns"] or row.received_ns < report["applied_ns"]
    assert faults_done(server) == [], "reported once"


def test_a_worker_paused_twice_goes_on_when_both_pauses_are_over(server: Server) -> None:
    worker, first_until_ns = worker_of(server), now_ns() + 100 * MS
    inject(server, "pause", now_ns(), first_until_ns, key="a")
    inject(server, "pause", now_ns(), now_ns() + HOUR_NS, key="b")
    eventually(lambda: now_ns() > first_until_ns)
    time.sleep(A_MOMENT_S)
    assert state(worker) == "T"
    faults_done(server)
    assert state(worker) != "T"


def test_a_killed_server_refuses_and_comes_back_having_forgotten(
    server: Server, client: socket.socket, tmp_path: Path
) -> None:
    server.start_block(replica=3, stall={"when": "id == 0", "duration_ns": HOUR_NS, "heal_on_duplicate": True})
    old, address = worker_of(server), server.address
    ask(client, 0)  # received, and never to be answered
    for copy in (1, 2):
        ask(client, 7)
        assert answer(client) == (7, copy, 3)
    inject(server, "kill", now_ns(), now_ns() + HOUR_NS)
    wait_until_gone(old)
    eventually(lambda: is_refused(client))
    eventually(lambda: not children(server.program.process.pid))
    assert server.program.ping()["worker_pid"] is None
    assert no_death_was_reported(server)

    [report] = faults_done(server)
    new = worker_of(server)
    assert children(server.program.process.pid) == {new}
    assert server.address == address
    assert report["proof"] == {"old_pid": old, "new_pid": new, "ended": "signal 9 (SIGKILL)"}
    assert report["applied_ns"] < report["undone_ns"] <= now_ns()
    ask(client, 7)
    assert answer(client) == (7, 1, 3), "the same block, but nothing remembered of its requests"
    reply, rows = server.end_block(tmp_path)
    assert [(row.request_id, row.copy, row.replica, row.sent_ns == NO_TIME) for row in rows] == [
        (0, 1, 3, True),
        (7, 1, 3, False),
        (7, 2, 3, False),
        (7, 1, 3, False),
    ]
    assert rows[0].action == Action.STALLED
    assert rows[2].sent_ns < report["applied_ns"] < report["undone_ns"] < rows[3].received_ns
    assert (reply["rows"], reply["in_flight"]) == (4, 0)


def test_a_killed_server_comes_back_by_itself(server: Server, client: socket.socket) -> None:
    server.start_block()
    old, until_ns = worker_of(server), now_ns() + 200 * MS
    inject(server, "kill", now_ns(), until_ns)
    wait_until_gone(old)
    new = new_worker_of(server, old)
    assert now_ns() > until_ns
    [report] = faults_done(server)
    assert report["proof"]["new_pid"] == new
    assert report["undone_ns"] > until_ns
    assert answer_at_last(client, 1) == (1, 1, 0)


def test_a_restarted_server_is_another_process_at_once(server: Server, client: socket.socket, tmp_path: Path) -> None:
    server.start_block(service_time={"distribution": "constant", "median_ns": 0, "sigma": 0.0})
    pids = [worker_of(server)]
    for number in range(3):
        assert answer_at_last(client, 5) == (5, 1, 0)
        at_ns = now_ns() + 5 * MS
        inject(server, "restart", at_ns, at_ns, key=f"1.{number}")
        pids.append(new_worker_of(server, pids[-1]))
        wait_until_gone(pids[-2])
    reports = faults_done(server)
    assert [report["proof"] for report in reports] == [
        {"old_pid": old, "new_pid": new, "ended": "signal 9 (SIGKILL)"} for old, new in itertools.pairwise(pids)
    ]
    assert len(set(pids)) == 4
    assert no_death_was_reported(server)
    assert len(server.end_block(tmp_path)[1]) == 3


def test_a_worker_whose_end_is_not_yet_known_is_waited_for_and_replaced(server: Server) -> None:
    """The kill and the request come due at the same instant: the supervisor finds both as it goes on."""
    supervisor, old = server.program.process.pid, worker_of(server)
    at_ns = now_ns() + 100 * MS
    inject(server, "kill", at_ns)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(PATIENCE_S)
        asking.connect(str(server.program.path))
        worker_of(server)  # by now the connection has been taken
        os.kill(supervisor, signal.SIGSTOP)
        asking.sendall(b'{"id": 1, "do": "faults-done"}\n')
        eventually(lambda: now_ns() > at_ns)
        os.kill(supervisor, signal.SIGCONT)
        [report] = json.loads(asking.makefile().readline())["faults"]
    assert report["proof"] == {"old_pid": old, "new_pid": worker_of(server), "ended": "signal 9 (SIGKILL)"}
    assert report["undone_ns"] > report["applied_ns"]


def test_a_worker_that_dies_by_itself_is_not_replaced(server: Server) -> None:
    worker = worker_of(server)
    inject(server, "pause", now_ns(), now_ns() + HOUR_NS, key="a")
    inject(server, "kill", now_ns() + HOUR_NS, key="b")
    eventually(lambda: state(worker) == "T")
    os.kill(worker, signal.SIGKILL)
    event = server.program.control.wait_event("worker-died", PATIENCE_S)
    assert event["pid"] == worker
    paused, killed = faults_done(server)
    assert paused["proof"]["state"] is None
    assert (killed["applied_ns"], killed["proof"]["old_pid"]) == (None, None)
    assert server.program.ping()["worker_died"] == "signal 9 (SIGKILL)"


def test_what_never_came_due_is_said_and_does_not_happen(server: Server) -> None:
    worker, at_ns = worker_of(server), now_ns() + HOUR_NS
    for number, fault in enumerate(("pause", "kill", "restart", "cpu-stress")):
        inject(server, fault, at_ns, at_ns + 1, key=f"{number}.0", burners=1)
    reports = faults_done(server)
    assert [report["key"] for report in reports] == ["0.0", "1.0", "2.0", "3.0"]
    assert all(report["applied_ns"] is None and report["undone_ns"] is None for report in reports)
    assert worker_of(server) == worker
    assert children(server.program.process.pid) == {worker}


def test_a_block_begins_and_ends_with_nothing_on(server: Server, client: socket.socket, tmp_path: Path) -> None:
    server.start_block()
    worker = worker_of(server)
    inject(server, "pause", now_ns(), now_ns() + HOUR_NS)
    eventually(lambda: state(worker) == "T")
    assert server.end_block(tmp_path)[0]["rows"] == 0
    [report] = faults_done(server)
    assert report["proof"]["state"] == "T"

    inject(server, "kill", now_ns())
    wait_until_gone(worker)
    server.start_block()
    ask(client, 1)
    assert answer(client) == (1, 1, 0)
    assert faults_done(server) == [], "another block's"
    assert server.end_block(tmp_path)[0]["rows"] == 1


def test_burners_burn_between_their_times_and_are_gone_afterwards(server: Server) -> None:
    supervisor, worker = server.program.process.pid, worker_of(server)
    until_ns = now_ns() + HOUR_NS
    inject(server, "cpu-stress", until_ns, until_ns + HOUR_NS, key="later", burners=2)
    waiting = children(supervisor) - {worker}
    assert len(waiting) == 2
    eventually(lambda: {state(burner) for burner in waiting} == {"T"})

    inject(server, "cpu-stress", now_ns(), until_ns, key="now", burners=3)
    eventually(lambda: sum(state(burner) == "R" for burner in children(supervisor) - {worker}) == 3)
    burning = [burner for burner in children(supervisor) - {worker} if state(burner) == "R"]
    ran = {burner: ran_ns(burner) for burner in burning}
    eventually(lambda: all(ran_ns(burner) > ran[burner] for burner in burning))
    assert len({tuple(os.sched_getaffinity(burner)) for burner in burning}) == min(3, len(os.sched_getaffinity(0)))

    later, now = faults_done(server)
    assert children(supervisor) == {worker}
    assert (later["applied_ns"], now["proof"]["burners"]) == (None, 3)
    assert now["proof"]["cpu_ns"] > 0
    if Path("/proc/pressure/cpu").exists():
        assert now["proof"]["psi_some_us_after"] >= now["proof"]["psi_some_us_before"]
    else:
        assert now["proof"]["psi_some_us_after"] is None


def test_what_a_supervisor_forks_is_not_preferred_as_it_is_itself(server: Server) -> None:
    supervisor, old = server.program.process.pid, worker_of(server)
    inject(server, "cpu-stress", now_ns(), key="a", burners=1)
    inject(server, "restart", now_ns(), key="b")
    new_worker_of(server, old)
    forked = children(supervisor)
    assert len(forked) == 2
    assert {os.sched_getscheduler(pid) for pid in forked} == {os.SCHED_OTHER}
    faults_done(server)
    assert os.sched_getscheduler(supervisor) & ~os.SCHED_RESET_ON_FORK == os.SCHED_OTHER


def test_a_stress_ends_by_itself_at_its_time(server: Server) -> None:
    supervisor, worker = server.program.process.pid, worker_of(server)
    first_ns = now_ns() + 50 * MS
    inject(server, "cpu-stress", first_ns, first_ns + 400 * MS, key="0.0", burners=1)
    inject(server, "cpu-stress", first_ns + 600 * MS, first_ns + 1000 * MS, key="0.1", burners=1)
    assert len(children(supervisor) - {worker}) == 1, "one is enough for both"
    eventually(lambda: children(supervisor) == {worker})
    assert now_ns() > first_ns + 1000 * MS
    for report in faults_done(server):
        assert report["at_ns"] <= report["applied_ns"] <= report["until_ns"] <= report["undone_ns"]
        assert report["proof"]["cpu_ns"] > 0


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "SIGKILL", "stop"])
def test_nothing_is_left_of_faults_when_the_supervisor_ends(server: Server, how: str) -> None:
    supervisor, worker = server.program.process.pid, worker_of(server)
    inject(server, "cpu-stress", now_ns(), now_ns() + HOUR_NS, key="a", burners=2)
    inject(server, "cpu-stress", now_ns() + HOUR_NS, key="b", burners=3)
    inject(server, "pause", now_ns(), now_ns() + HOUR_NS, key="c")
    eventually(lambda: state(worker) == "T")
    forked = children(supervisor)
    assert len(forked) == 4, "a worker, two that burn, and one that will join them when they burn again"
    if how == "stop":
        server.program.control.call("stop")
    else:
        server.program.process.send_signal(signal.Signals[how])
    assert server.program.process.wait(PATIENCE_S) == (-signal.SIGKILL if how == "SIGKILL" else 0)
    for pid in forked:
        wait_until_gone(pid)


def test_a_supervisor_that_ends_while_its_worker_is_killed_ends_cleanly(server: Server) -> None:
    worker = worker_of(server)
    inject(server, "kill", now_ns())
    wait_until_gone(worker)
    server.program.process.terminate()
    assert server.program.process.wait(PATIENCE_S) == 0


def test_a_collection_of_garbage_is_a_gap_in_what_the_server_does(
    server: Server, client: socket.socket, tmp_path: Path
) -> None:
    server.start_block(gc={"objects": 300_000}, service_time={"distribution": "constant", "median_ns": 0, "sigma": 0})
    due_ns = [now_ns() + number * 100 * MS for number in range(1, 6)]
    fields = [{"key": f"0.{number}", "fault": "gc", "at_ns": at_ns} for number, at_ns in enumerate(due_ns)]
    server.program.control.call("inject", faults=fields)
    asked_ns = []
    answers = 0
    while now_ns() < due_ns[-1] + 100 * MS:
        asked_ns.append(now_ns())
        ask(client, len(asked_ns) - 1)
        time.sleep(0.001)
        while select.select([client], [], [], 0)[0]:
            answer(client)
            answers += 1
    for _ in range(len(asked_ns) - answers):
        answer(client)
    # After each answer it looks whether a collection is due; on a busy host all of them may be only now.
    for _ in range(2 * len(due_ns)):
        asked_ns.append(now_ns())
        ask(client, len(asked_ns) - 1)
        answer(client)
    reports = faults_done(server)
    reply, rows = server.end_block(tmp_path)
    collections = [collection for report in reports for collection in report["proof"]["collections"]]
    assert len(collections) == 5
    assert reply["collections"] == collections
    for report, at_ns in zip(reports, due_ns, strict=True):
        assert at_ns <= report["applied_ns"] < report["undone_ns"]
        during = range(report["applied_ns"], report["undone_ns"])
        assert not any(row.received_ns in during or row.sent_ns in during for row in rows)
    waited = [
        row
        for collection in collections
        for row in rows
        if collection["start_ns"] < asked_ns[row.request_id] < collection["end_ns"] < row.received_ns
    ]
    assert waited, "no request was sent during a collection"


def test_a_successor_collects_what_is_still_to_come(server: Server) -> None:
    server.start_block(gc={"objects": 1000})
    old, at_ns = worker_of(server), now_ns() + 300 * MS
    inject(server, "gc", at_ns, key="g")
    inject(server, "restart", now_ns(), key="r")
    new_worker_of(server, old)
    eventually(lambda: now_ns() > at_ns + 2_000 * MS)  # asking takes back what a slow host has not done yet
    report = faults_done(server)[0]
    assert len(report["proof"]["collections"]) == 1
    assert report["applied_ns"] >= at_ns


def test_collections_that_are_still_to_come_are_taken_back(server: Server, tmp_path: Path) -> None:
    server.start_block(gc={"objects": 1000})
    at_ns = now_ns() + 300 * MS
    inject(server, "gc", at_ns)
    [report] = faults_done(server)
    assert (report["applied_ns"], report["proof"]) == (None, {"collections": []})
    eventually(lambda: now_ns() > at_ns)
    assert server.end_block(tmp_path)[0]["collections"] == []


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        (
            {"fault": "freeze"},
            "field 'faults.0.fault' is 'freeze', expected one of pause, cpu-stress",
        ),
        ({"fault": "pause"}, "field 'faults.0.until_ns' is missing"),
        ({"fault": "pause", "until_ns": 5}, "field 'faults.0.until_ns' is 5, expected at least 6"),
        ({"fault": "cpu-stress"}, "field 'faults.0.burners' is missing"),
        ({"fault": "kill", "key": 3}, "field 'faults.0.key' is 3, expected a text"),
        ({"fault": "gc"}, "the block carries no objects to collect"),
    ],
)
def test_an_invalid_order_is_refused(server: Server, fields: dict[str, Any], complaint: str) -> None:
    server.start_block()
    with pytest.raises(ControlError) as caught:
        server.program.control.call("inject", faults=[{"key": "0.0", "at_ns": 5} | fields])
    assert complaint in str(caught.value)
    assert faults_done(server) == []


def test_keys_are_unique_and_a_list_of_faults_is_refused_as_a_whole(server: Server) -> None:
    entry = {"key": "k", "fault": "kill", "at_ns": now_ns() + HOUR_NS}
    with pytest.raises(ControlError, match="there is a fault 'k' already"):
        server.program.control.call("inject", faults=[entry, entry])
    with pytest.raises(ControlError, match=r"field 'faults.1' is 7, expected an object"):
        server.program.control.call("inject", faults=[entry, 7])
    assert faults_done(server) == []
