"""app-native, the compiled client, against scripted servers over loopback: what it sends, counts and writes down."""

from __future__ import annotations

import itertools
import os
import random
import select
import signal
import socket
import subprocess
import threading
from collections import Counter
from pathlib import Path

import pytest

from hedgerow_node.clock import now_ns
from hedgerow_node.records import FIRST_WARMUP_ID, NO_TIME, Outcome
from hedgerow_node.workload import hedge_replica, primary_replica
from support.native_runs import Copy, Peer, answer, app_native, echo, silence
from support.node_programs import MS, PATIENCE_S


def stop(process: subprocess.Popen[str]) -> None:
    """Send SIGSTOP, and return once the process is stopped."""
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)


def test_requests_go_out_in_order_and_zeroed_behind_their_id(native: Path, tmp_path: Path) -> None:
    with Peer(echo) as peer, app_native(native, tmp_path, [peer.address]) as run:
        report, rows = run.finish()
    assert [copy.payload for copy in peer.log] == [answer(10), answer(11), answer(12)]
    assert [(row.request_id, row.seq, row.outcome, row.copies_received) for row in rows] == [
        (10 + seq, seq, Outcome.ANSWERED, 1) for seq in range(3)
    ]
    for row, copy in zip(rows, peer.log, strict=True):
        assert row.intended_ns == row.sent_ns <= copy.received_ns <= row.received_ns, "one clock for all processes"
        assert row.sent_ns < row.kernel_rx_ns < row.received_ns
    for earlier, later in itertools.pairwise(rows):
        assert earlier.received_ns <= later.sent_ns
    assert run.events[0]["start_ns"] <= rows[0].sent_ns
    del report["realtime_offset_ns"], report["realtime_offset_drift_ns"]
    assert report == {
        "event": "done",
        "rows": 3,
        "answered": 3,
        "timeouts": 0,
        "errors": 0,
        "hedges_sent": 0,
        "duplicates_delivered": 0,
        "first_send_ns": rows[0].sent_ns,
        "last_send_ns": rows[2].sent_ns,
        "stray_copies": 0,
        "timer_restarts": 0,
        "socket_errors": 0,
        "send_lateness_us": None,
        "collections": [],
    }


def test_users_take_turns_with_the_ids_and_think_between(native: Path, tmp_path: Path) -> None:
    with Peer(echo) as peer, app_native(native, tmp_path, [peer.address], users=3, count=60, think_ns=MS) as run:
        _, rows = run.finish()
    assert [copy.request_id for copy in sorted(peer.log, key=lambda copy: copy.received_ns)] == list(range(10, 70))
    by_user: dict[int, list[int]] = {}
    for copy in peer.log:
        by_user.setdefault(copy.source[1], []).append(copy.request_id - 10)
    assert len(by_user) == 3
    for indices in by_user.values():
        for earlier, later in itertools.pairwise(indices):
            assert rows[later].sent_ns >= rows[earlier].received_ns + MS, "one request at a time, a pause between"


def test_a_schedule_is_kept_and_waits_for_no_answer(native: Path, tmp_path: Path) -> None:
    everything = threading.Event()

    def script(peer: Peer, copy: Copy) -> None:
        if len(peer.log) == 40:  # only now that all have come is any of them answered
            everything.set()
            for earlier in peer.log:
                peer.reply(earlier)

    randomness = random.Random(7)
    offsets = sorted([0, *(randomness.randrange(40 * MS) for _ in range(39))])
    with (
        Peer(script) as peer,
        app_native(
            native, tmp_path, [peer.address], offsets=offsets, users=3, lead_ns=20 * MS, hedge_delay_ns=50_000 * MS
        ) as run,
    ):
        asked_ns = now_ns()
        start_ns = run.event("measuring")["start_ns"]
        report, rows = run.finish()
    assert everything.is_set()
    assert start_ns >= asked_ns
    assert [row.intended_ns - start_ns for row in rows] == offsets
    assert all(row.sent_ns >= row.intended_ns for row in rows), "nothing leaves early"
    assert report["answered"] == 40
    late_ns = sorted(row.sent_ns - row.intended_ns for row in rows)
    expected_us = {"p50": late_ns[19] / 1000, "p99": late_ns[39] / 1000, "max": late_ns[39] / 1000}
    assert report["send_lateness_us"] == expected_us
    ports = {copy.request_id: copy.source[1] for copy in peer.log}
    assert len(set(ports.values())) == 3
    assert all(ports[request_id] == ports[10 + (request_id - 10) % 3] for request_id in ports)


def test_warm_up_requests_keep_their_own_schedule_and_enter_no_figure(native: Path, tmp_path: Path) -> None:
    with (
        Peer(echo) as peer,
        app_native(native, tmp_path, [peer.address], offsets=[0, MS], warmup_offsets=[0, MS, 2 * MS]) as run,
    ):
        start_ns = run.event("measuring")["start_ns"]
        report, rows = run.finish()
    assert [copy.request_id for copy in peer.log] == [FIRST_WARMUP_ID + n for n in range(3)] + [10, 11]
    assert [row.intended_ns - start_ns for row in rows] == [0, MS]
    assert (report["rows"], report["answered"]) == (2, 2)
    assert all(copy.received_ns < start_ns for copy in peer.log[:3])


def test_a_hedge_is_the_same_datagram_and_leaves_when_the_delay_has_passed(native: Path, tmp_path: Path) -> None:
    def second_copies(peer: Peer, copy: Copy) -> None:
        if copy.ordinal == 2:
            peer.reply(copy)

    delay_ns = 30 * MS
    with (
        Peer(second_copies) as peer,
        app_native(
            native, tmp_path, [peer.address], offsets=[0, 5 * MS, 5 * MS, 60 * MS], hedge_delay_ns=delay_ns
        ) as run,
    ):
        report, rows = run.finish()
    assert report["hedges_sent"] == report["answered"] == 4
    assert Counter(copy.payload for copy in peer.log) == dict.fromkeys(map(answer, range(10, 14)), 2)
    hedged_ns = {copy.request_id: copy.received_ns for copy in peer.log if copy.ordinal == 2}
    for row in rows:
        assert row.sent_ns + delay_ns <= hedged_ns[row.request_id] <= row.received_ns
        assert row.copies_received == 1


@pytest.mark.parametrize("spread", ["first", "round-robin"])
@pytest.mark.parametrize("target", ["same", "other"])
def test_requests_and_hedges_go_to_the_replicas_that_everybody_chooses(
    native: Path, tmp_path: Path, spread: str, target: str
) -> None:
    def second_copies(peer: Peer, copy: Copy) -> None:
        with one_at_a_time:
            seen_before = copy.request_id in known
            known.add(copy.request_id)
        if seen_before:
            peer.reply(copy)

    known: set[int] = set()
    one_at_a_time = threading.Lock()
    with Peer(second_copies) as one, Peer(second_copies) as two, Peer(second_copies) as three:
        peers = [one, two, three]
        with app_native(
            native,
            tmp_path,
            [peer.address for peer in peers],
            offsets=[n * MS for n in range(18)],
            users=2,
            spread=spread,
            target=target,
            hedge_delay_ns=20 * MS,
        ) as run:
            report, _ = run.finish()
    assert (report["hedges_sent"], report["answered"], report["stray_copies"]) == (18, 18, 0)
    seen = {(copy.request_id, replica) for replica, peer in enumerate(peers) for copy in peer.log}
    expected = set()
    for request_id in range(10, 28):
        asked = primary_replica(spread, request_id, 3)
        expected |= {(request_id, asked), (request_id, hedge_replica(target, asked, request_id, 3))}
    assert seen == expected


def test_what_arrived_while_the_client_was_stopped_is_neither_hedged_nor_given_up(
    native: Path, tmp_path: Path
) -> None:
    delay_ns, timeout_ns = 1000 * MS, 1200 * MS
    with (
        Peer(silence) as peer,
        app_native(
            native, tmp_path, [peer.address], offsets=[0, 0, 0], hedge_delay_ns=delay_ns, timeout_ns=timeout_ns
        ) as run,
    ):
        start_ns = run.event("measuring")["start_ns"]
        while len(peer.log) < 3:
            select.select([], [], [], 0.001)
        stop(run.process)
        for copy in list(peer.log):
            peer.reply(copy)
        while now_ns() < start_ns + 2 * timeout_ns:
            select.select([], [], [], 0.01)
        resumed_ns = now_ns()
        run.process.send_signal(signal.SIGCONT)
        report, rows = run.finish()
    assert report["hedges_sent"] == 0
    for row in rows:
        assert (row.outcome, row.copies_received) == (Outcome.ANSWERED, 1)
        assert row.kernel_rx_ns < resumed_ns <= row.received_ns, "the time in the socket's buffer shows"


def test_who_was_stopped_sends_at_once_what_is_overdue(native: Path, tmp_path: Path) -> None:
    with (
        Peer(echo) as peer,
        app_native(native, tmp_path, [peer.address], offsets=[n * MS for n in range(50)], lead_ns=1000 * MS) as run,
    ):
        start_ns = run.event("measuring")["start_ns"]
        stop(run.process)
        assert not peer.log, "this host is too slow to stop a client within its lead"
        while now_ns() < start_ns + 200 * MS:
            select.select([], [], [], 0.01)
        resumed_ns = now_ns()
        run.process.send_signal(signal.SIGCONT)
        report, rows = run.finish()
    assert [row.intended_ns - start_ns for row in rows] == [n * MS for n in range(50)], "meant as ever"
    assert all(row.sent_ns >= resumed_ns for row in rows)
    assert report["answered"] == 50
    assert report["send_lateness_us"]["p50"] >= 150_000


def test_every_copy_is_counted_and_what_is_no_copy_too(native: Path, tmp_path: Path) -> None:
    def script(peer: Peer, copy: Copy) -> None:
        if copy.request_id == 11:
            peer.reply(copy, answer(10))  # a second copy
            peer.reply(copy, answer(12))  # not sent yet
            peer.reply(copy, answer(99))  # not of this block
            peer.reply(copy, b"??")  # nothing at all
            peer.reply(copy, b"")
        elif copy.request_id == 12:
            peer.reply(copy, answer(10))
            peer.reply(copy, answer(FIRST_WARMUP_ID))  # of the warm-up, which may be late
        peer.reply(copy)

    with Peer(script) as peer, app_native(native, tmp_path, [peer.address], warmup_count=1) as run:
        report, rows = run.finish()
    assert [row.copies_received for row in rows] == [3, 1, 1]
    assert (report["duplicates_delivered"], report["stray_copies"], report["answered"]) == (2, 4, 3)


def test_an_answer_to_another_user_is_none(native: Path, tmp_path: Path) -> None:
    waiting: dict[int, Copy] = {}

    def crossed(peer: Peer, copy: Copy) -> None:
        waiting[copy.request_id] = copy
        if len(waiting) == 2:
            peer.reply(waiting[10], answer(11))
            peer.reply(waiting[11], answer(10))
            for request_id in (10, 11):
                peer.reply(waiting[request_id])

    with Peer(crossed) as peer, app_native(native, tmp_path, [peer.address], offsets=[0, 0], users=2) as run:
        report, rows = run.finish()
    assert (report["stray_copies"], report["answered"]) == (2, 2)
    assert [row.copies_received for row in rows] == [1, 1]


def test_a_request_is_given_up_after_its_time_out_and_its_late_answer_is_no_answer(
    native: Path, tmp_path: Path
) -> None:
    first: list[Copy] = []

    def script(peer: Peer, copy: Copy) -> None:
        if copy.request_id == 10:
            first.append(copy)
        elif copy.ordinal == 1:
            peer.reply(first[0])
            peer.reply(copy)

    with (
        Peer(script) as peer,
        app_native(
            native, tmp_path, [peer.address], count=2, timeout_ns=800 * MS, hedge_delay_ns=200 * MS, drain_ns=100 * MS
        ) as run,
    ):
        report, rows = run.finish()
    assert [row.outcome for row in rows] == [Outcome.TIMEOUT, Outcome.ANSWERED]
    assert (rows[0].received_ns, rows[0].kernel_rx_ns, rows[0].copies_received) == (NO_TIME, NO_TIME, 1)
    assert rows[1].sent_ns >= rows[0].sent_ns + 800 * MS
    assert len([copy for copy in peer.log if copy.request_id == 10]) == 2, "one hedge at most"
    assert report["timeouts"] == 1


def test_icmp_errors_are_passed_over_and_the_time_out_decides(native: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        refused = taken.getsockname()
    with app_native(
        native, tmp_path, [refused], count=10, users=10, timeout_ns=800 * MS, hedge_delay_ns=5 * MS
    ) as run:
        report, rows = run.finish()
    assert (report["timeouts"], report["errors"], report["hedges_sent"]) == (10, 0, 10)
    assert report["socket_errors"] > 0
    assert {row.outcome for row in rows} == {Outcome.TIMEOUT}


def test_long_ids_stand_where_they_are_declared(native: Path, tmp_path: Path) -> None:
    first_id = 0x0102_0304_0506_0708

    def script(peer: Peer, copy: Copy) -> None:
        peer.reply(copy, bytes(1) + copy.payload[3:11])

    with (
        Peer(script) as peer,
        app_native(
            native, tmp_path, [peer.address], first_id=first_id, payload=16, request_id="3:8", response_id="1:8"
        ) as run,
    ):
        _, rows = run.finish()
    assert [row.request_id for row in rows] == [first_id + n for n in range(3)]
    assert [copy.payload for copy in peer.log] == [bytes(3) + (first_id + n).to_bytes(8) + bytes(5) for n in range(3)]


@pytest.mark.ipv6
def test_ipv6(native: Path, tmp_path: Path) -> None:
    with Peer(echo, "::1") as peer, app_native(native, tmp_path, [peer.address]) as run:
        report, rows = run.finish()
    assert report["answered"] == 3
    assert all(row.kernel_rx_ns != NO_TIME for row in rows)


def test_many_users_and_an_unreliable_server(native: Path, tmp_path: Path) -> None:
    """Losses, duplicates, delays and strays, drawn at random: every copy that was answered is accounted for."""
    randomness = random.Random(11)
    replied: Counter[int] = Counter()

    def script(peer: Peer, copy: Copy) -> None:
        replies = randomness.choice([0, 1, 1, 1, 2, 3])
        replied[copy.request_id] += replies
        for _ in range(replies):
            peer.reply(copy)
        if randomness.random() < 0.2:
            strays.append(copy.request_id)
            peer.reply(copy, randomness.randbytes(3))

    strays: list[int] = []
    with (
        Peer(script) as peer,
        app_native(
            native,
            tmp_path,
            [peer.address],
            first_id=0,
            offsets=[n * MS // 2 for n in range(600)],
            users=8,
            timeout_ns=60 * MS,
            hedge_delay_ns=10 * MS,
            drain_ns=2000 * MS,
        ) as run,
    ):
        report, rows = run.finish()
    assert (report["rows"], report["errors"], report["stray_copies"]) == (600, 0, len(strays))
    assert len(peer.log) == 600 + report["hedges_sent"]
    assert {row.request_id: row.copies_received for row in rows if row.copies_received} == +replied
    assert report["answered"] == sum(row.outcome == Outcome.ANSWERED for row in rows)
    assert report["answered"] + report["timeouts"] == 600
    for row in rows:
        if row.outcome == Outcome.ANSWERED:
            assert row.copies_received > 0
            assert row.sent_ns <= row.kernel_rx_ns <= row.received_ns
        else:
            assert (row.received_ns, row.kernel_rx_ns) == (NO_TIME, NO_TIME)


def test_an_empty_block_is_done_at_once(native: Path, tmp_path: Path) -> None:
    schedules: tuple[list[int] | None, ...] = (None, [])
    for offsets in schedules:
        with Peer(silence) as peer, app_native(native, tmp_path, [peer.address], offsets=offsets, count=0) as run:
            report, rows = run.finish()
        assert (report["rows"], report["first_send_ns"], report["last_send_ns"], rows) == (0, None, None, [])
        assert report["send_lateness_us"] is None


def test_a_block_that_cannot_run_fails_with_its_reason(native: Path, tmp_path: Path) -> None:
    with app_native(native, tmp_path, [("255.255.255.255", 9)]) as run:
        assert run.event("failed")["error"] == "[Errno 13] Permission denied"
        assert run.process.wait(PATIENCE_S) == 0
    with (
        Peer(echo) as peer,
        app_native(native, tmp_path, [peer.address], samples=tmp_path / "missing" / "samples") as run,
    ):
        run.event("measuring")
        assert run.event("failed")["error"] == "[Errno 2] No such file or directory"
    with Peer(echo) as peer, app_native(native, tmp_path, [peer.address], offsets=[0], count=2) as run:
        assert run.event("failed")["error"] == "[Errno 61] No data available"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"users": 0}, "wrong argument --users=0"),
        ({"users": "many"}, "wrong argument --users=many"),
        ({"payload": 3}, "--payload= is too short for the request id"),
        ({"request_id": "0:9"}, "wrong argument --request-id=0:9"),
        ({"spread": "last"}, "wrong argument --spread=last"),
        ({"target": "other"}, "--target=other needs two replicas"),
        ({"colour": "red"}, "wrong argument --colour=red"),
        ({"timeout_ns": None}, "--timeout-ns= is missing"),
        ({"timeout_ns": 99999999999999999999}, "wrong argument --timeout-ns=99999999999999999999"),
        ({"replica": "localhost:1"}, "wrong argument --replica=localhost:1"),
        ({"replica": "127.0.0.1:0"}, "wrong argument --replica=127.0.0.1:0"),
        ({"replica": "[::1:1"}, "wrong argument --replica=[::1:1"),
    ],
)
def test_a_wrong_command_line_is_refused(
    native: Path, tmp_path: Path, changes: dict[str, object], complaint: str
) -> None:
    with app_native(native, tmp_path, [("127.0.0.1", 9)], **changes) as run:  # type: ignore[arg-type]
        assert run.process.wait(PATIENCE_S) == 2
        assert complaint in run.complaints()


def test_without_a_reader_it_ends(native: Path, tmp_path: Path) -> None:
    with Peer(echo) as peer, app_native(native, tmp_path, [peer.address]) as run:
        run.hang_up()
        assert run.process.wait(PATIENCE_S) == 1


def test_the_programs_know_what_they_were_made_from(native: Path) -> None:
    sources = native / "sources"
    command = "cat $(LC_ALL=C ls Makefile *.c *.h | LC_ALL=C sort) | sha256sum"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=Path(__file__).parents[2] / "images/client/hedgerow_client/native",
        capture_output=True,
        text=True,
        check=True,
    )
    assert sources.read_text().split() == done.stdout.split()[:1]
