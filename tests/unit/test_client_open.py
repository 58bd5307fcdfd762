"""Open arrivals: the client keeps to its schedule, whatever becomes of the answers."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hedgerow_client.arrivals import NEVER_NS, ClosedUsers, OpenSchedule, make_arrivals
from hedgerow_node.clock import now_ns
from hedgerow_node.protocol.client import IdRange, OpenArrivals
from hedgerow_node.records import FIRST_WARMUP_ID, NO_TIME, Outcome
from hedgerow_node.workload import send_offsets_ns
from support.client_peers import SETTINGS as CLOSED
from support.client_peers import answer, asked, peers, run, unread
from support.node_programs import MS

if TYPE_CHECKING:
    import socket

STRATEGIES = pytest.mark.parametrize("strategy", ["baseline", "kernel", "app-deadline", "app-asyncio"])
HEDGERS = pytest.mark.parametrize("strategy", ["app-deadline", "app-asyncio"])
FIRST_ID, COUNT = 300, 40
IDS = list(range(FIRST_ID, FIRST_ID + COUNT))

SETTINGS = replace(
    CLOSED,
    requests=IdRange(FIRST_ID, COUNT),
    arrivals=OpenArrivals(process="poisson", rate_per_s=2000.0, seed=5, users=1),
)


@STRATEGIES
def test_nothing_waits_for_answers(strategy: str) -> None:
    def script(peer: socket.socket) -> None:
        # A client that waited for the first answer would never send the second request.
        assert [asked(peer) for _ in IDS] == IDS
        for request_id in reversed(IDS):
            peer.send(answer(request_id))

    with peers() as made:
        made.play(script, made.ends[0, 0])
        ledger = run(replace(SETTINGS, strategy=strategy), made)
    assert list(ledger.outcomes) == [Outcome.ANSWERED] * COUNT
    assert list(ledger.copies) == [1] * COUNT
    assert min(ledger.received_ns) > max(ledger.sent_ns)
    assert list(ledger.received_ns) == sorted(ledger.received_ns, reverse=True)


@STRATEGIES
@pytest.mark.parametrize("process", ["poisson", "constant"])
def test_the_schedule_is_what_was_intended(strategy: str, process: str) -> None:
    settings = replace(
        SETTINGS,
        strategy=strategy,
        arrivals=OpenArrivals(process=process, rate_per_s=2000.0, seed=5, users=1),
        timeout_ns=30 * MS,
        hedge_delay_ns=29 * MS,
    )
    start_ns = now_ns() + 20 * MS
    with peers() as made:
        ledger = run(settings, made, start_ns)
        assert list(dict.fromkeys(unread(made.ends[0, 0]))) == IDS
    rows = list(ledger.rows())
    offsets_ns = send_offsets_ns(process, 2000.0, 5, FIRST_ID, COUNT)
    assert [row.intended_ns for row in rows] == [start_ns + offset_ns for offset_ns in offsets_ns]
    assert [row.request_id for row in rows] == IDS
    assert [row.seq for row in rows] == list(range(COUNT))
    late_ns = [row.sent_ns - row.intended_ns for row in rows]
    assert min(late_ns) >= 0, "nothing leaves early"
    for earlier, later in itertools.pairwise(rows):
        assert later.sent_ns > earlier.sent_ns
    lateness_us = ledger.send_lateness_us()
    assert lateness_us is not None
    assert lateness_us["p50"] <= lateness_us["p99"] <= lateness_us["max"] == max(late_ns) / 1000
    assert lateness_us["p50"] == sorted(late_ns)[19] / 1000


@STRATEGIES
def test_what_is_overdue_leaves_at_once_and_in_order(strategy: str) -> None:
    def echo(peer: socket.socket) -> None:
        for _ in IDS:
            peer.send(answer(asked(peer)))

    before_ns = now_ns()
    start_ns = before_ns - 10_000 * MS  # as after a long pause
    with peers() as made:
        made.play(echo, made.ends[0, 0])
        ledger = run(replace(SETTINGS, strategy=strategy), made, start_ns)
    assert list(ledger.outcomes) == [Outcome.ANSWERED] * COUNT
    assert list(ledger.sent_ns) == sorted(ledger.sent_ns)
    assert ledger.intended_ns[0] == start_ns
    assert ledger.sent_ns[0] >= before_ns


@STRATEGIES
def test_a_time_out_counts_from_when_the_request_should_have_left(strategy: str) -> None:
    # Ten minutes' time-out of requests that should have left eleven minutes ago: counted from when they do leave,
    # there would be a long wait, and hedges before its end.
    settings = replace(SETTINGS, strategy=strategy, hedge_delay_ns=0)
    with peers() as made:
        ledger = run(settings, made, now_ns() - 660_000 * MS)
        assert unread(made.ends[0, 0]) == IDS
    assert list(ledger.outcomes) == [Outcome.TIMEOUT] * COUNT
    assert list(ledger.received_ns) == [NO_TIME] * COUNT
    assert ledger.hedges_sent == 0


@HEDGERS
def test_each_request_has_a_deadline_of_its_own(strategy: str) -> None:
    def script(peer: socket.socket) -> None:
        """Answers even ids at once and odd ones to their second copy."""
        copies: dict[int, int] = {}
        while len(copies) < COUNT or any(copies[request_id] < 2 for request_id in IDS if request_id % 2):
            request_id = asked(peer)
            copies[request_id] = copies.get(request_id, 0) + 1
            if request_id % 2 == 0 or copies[request_id] == 2:
                peer.send(answer(request_id))

    delay_ns = 100 * MS
    with peers() as made:
        made.play(script, made.ends[0, 0])
        ledger = run(replace(SETTINGS, strategy=strategy, hedge_delay_ns=delay_ns), made)
    assert list(ledger.outcomes) == [Outcome.ANSWERED] * COUNT
    assert ledger.hedges_sent >= COUNT // 2
    for row in ledger.rows():
        if row.request_id % 2:
            assert row.received_ns >= row.sent_ns + delay_ns


@STRATEGIES
def test_requests_go_through_the_users_in_turn(strategy: str) -> None:
    settings = replace(
        SETTINGS,
        strategy=strategy,
        arrivals=OpenArrivals(process="constant", rate_per_s=2000.0, seed=5, users=3),
        timeout_ns=100 * MS,
        hedge_delay_ns=99 * MS,
    )
    with peers(users=3) as made:
        run(settings, made)
        for user in range(3):
            # Every copy of a request, for app-… hedge what is not answered.
            assert list(dict.fromkeys(unread(made.ends[user, 0]))) == IDS[user::3]


def test_a_warm_up_is_of_the_same_rate_and_even() -> None:
    warmup = IdRange(FIRST_WARMUP_ID, 5)
    arrivals = make_arrivals(SETTINGS, warmup, warm_up=True)
    arrivals.begin(1000)
    assert [arrivals.leave(0) for _ in range(5)] == [1000 + n * MS // 2 for n in range(5)]
    assert arrivals.due_ns == NEVER_NS


def test_a_schedule_does_not_depend_on_what_becomes_of_requests() -> None:
    schedule = OpenSchedule(send_offsets_ns("constant", 1e9, 0, 0, 3), users=2)
    assert schedule.due_ns == NEVER_NS, "not begun"
    schedule.begin(100)
    taken = []
    while schedule.due_ns != NEVER_NS:
        taken.append((schedule.user, schedule.leave(999)))
        schedule.end(0, 5)
    assert taken == [(0, 100), (1, 101), (0, 102)]


def test_closed_users_start_spread_and_think_after_the_end_of_their_requests() -> None:
    users = ClosedUsers(users=2, think_ns=10, count=3)
    users.begin(100)
    assert (users.due_ns, users.user) == (100, 0)
    assert users.leave(107) == 107, "meant to leave when it does"
    assert (users.due_ns, users.user) == (105, 1)
    users.leave(108)
    assert users.due_ns == NEVER_NS, "both wait"
    users.end(1, 120)
    users.end(0, 125)
    assert (users.due_ns, users.user) == (130, 1)
    users.leave(130)
    users.end(1, 140)
    assert users.due_ns == NEVER_NS, "all have been sent"
