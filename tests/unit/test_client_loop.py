"""The client's loop against a scripted peer on a socket pair: what it sends, counts and writes down."""

from __future__ import annotations

import itertools
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hedgerow_client.arrivals import make_arrivals
from hedgerow_client.ledger import Ledger
from hedgerow_client.sockets import Connection, kernel_timestamp_ns
from hedgerow_client.standalone import latencies_ms
from hedgerow_client.worker import make_loop
from hedgerow_node.clock import now_ns
from hedgerow_node.protocol.client import BlockSettings, ClosedArrivals, IdRange
from hedgerow_node.records import NO_TIME, Outcome
from support.client_peers import SETTINGS as CLOSED
from support.client_peers import answer, asked, peers
from support.node_programs import MS, PATIENCE_S

if TYPE_CHECKING:
    from hedgerow_client.exchange import Exchange

Script = Callable[[socket.socket], None]

SETTINGS = replace(CLOSED, timeout_ns=60_000 * MS, hedge_delay_ns=20 * MS)
#: What does not hang on hedging must be the same in both loops.
BOTH_LOOPS = pytest.mark.parametrize(
    "settings",
    [SETTINGS, replace(SETTINGS, strategy="app-asyncio", hedge_delay_ns=30_000 * MS)],
    ids=["baseline", "app-asyncio"],
)


@contextmanager
def scripted(script: Script) -> Iterator[socket.socket]:
    """A socket whose other end does what `script` says, on a thread of its own, and is then closed."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    theirs.settimeout(PATIENCE_S)

    def play() -> None:
        script(theirs)

    thread = threading.Thread(target=play)
    thread.start()
    with ours, theirs:
        yield ours
        thread.join()


@contextmanager
def loop_over(settings: BlockSettings, *sockets: socket.socket) -> Iterator[Exchange]:
    """The strategy's loop, of as many users as there are sockets, with which it is closed."""
    loop = make_loop(settings, [{0: Connection(user, ours)} for user, ours in enumerate(sockets)], 0)
    with closing(loop):
        yield loop


def run_ledger(loop: Exchange, settings: BlockSettings, ids: IdRange, start_ns: int | None = None) -> Ledger:
    ledger, arrivals = Ledger(ids), make_arrivals(settings, ids)
    arrivals.begin(now_ns() if start_ns is None else start_ns)
    loop.run(ledger, arrivals)
    return ledger


def run(script: Script, settings: BlockSettings = SETTINGS) -> tuple[Exchange, Ledger]:
    with scripted(script) as ours, loop_over(settings, ours) as loop:
        ledger = run_ledger(loop, settings, settings.requests)
        loop.drain(now_ns() + settings.drain_ns)
    return loop, ledger


@BOTH_LOOPS
def test_requests_go_out_in_order_and_zeroed_behind_their_id(settings: BlockSettings) -> None:
    seen = []

    def script(peer: socket.socket) -> None:
        for _ in range(3):
            seen.append(peer.recv(100))
            peer.send(seen[-1])

    _, ledger = run(script, settings)
    assert seen == [answer(10), answer(11), answer(12)]
    rows = list(ledger.rows())
    assert [(row.request_id, row.seq, row.outcome, row.copies_received) for row in rows] == [
        (10 + seq, seq, Outcome.ANSWERED, 1) for seq in range(3)
    ]
    for row in rows:
        assert row.intended_ns == row.sent_ns <= row.received_ns
    for earlier, later in itertools.pairwise(rows):
        assert earlier.received_ns <= later.sent_ns


@BOTH_LOOPS
def test_think_time_passes_between_an_answer_and_the_next_request(settings: BlockSettings) -> None:
    def script(peer: socket.socket) -> None:
        for _ in range(3):
            peer.send(answer(asked(peer)))

    _, ledger = run(script, replace(settings, arrivals=ClosedArrivals(users=1, think_ns=5 * MS)))
    rows = list(ledger.rows())
    for earlier, later in itertools.pairwise(rows):
        assert later.sent_ns >= earlier.received_ns + 5 * MS


@BOTH_LOOPS
def test_every_copy_is_counted_and_what_is_no_copy_too(settings: BlockSettings) -> None:
    def script(peer: socket.socket) -> None:
        assert asked(peer) == 10
        peer.send(answer(10))
        assert asked(peer) == 11
        peer.send(answer(10))  # a second copy
        peer.send(answer(12))  # not sent yet
        peer.send(answer(99))  # not of this block
        peer.send(b"??")  # nothing at all
        peer.send(answer(11))
        assert asked(peer) == 12
        peer.send(answer(10))  # a third copy
        peer.send(answer(12))

    loop, ledger = run(script, settings)
    assert list(ledger.copies) == [3, 1, 1]
    assert ledger.duplicates() == 2
    assert loop.stray_copies == 3
    assert loop.timer_restarts == 0
    assert ledger.outcomes.count(Outcome.ANSWERED) == 3


@BOTH_LOOPS
def test_copies_of_an_earlier_ledger_are_its_own(settings: BlockSettings) -> None:
    def script(peer: socket.socket) -> None:
        peer.send(answer(asked(peer)))
        assert asked(peer) == 10
        peer.send(answer(5))
        peer.send(answer(10))

    with scripted(script) as ours, loop_over(settings, ours) as loop:
        warmup, measured = run_ledger(loop, settings, IdRange(5, 1)), run_ledger(loop, settings, IdRange(10, 1))
    assert (list(warmup.copies), list(measured.copies), loop.stray_copies) == ([2], [1], 0)


@BOTH_LOOPS
def test_copies_that_arrive_while_draining_are_counted(settings: BlockSettings) -> None:
    def script(peer: socket.socket) -> None:
        for _ in range(3):
            request_id = asked(peer)
            peer.send(answer(request_id))
        peer.send(answer(request_id))
        peer.send(answer(11))

    _, ledger = run(script, replace(settings, drain_ns=500 * MS))
    assert list(ledger.copies) == [1, 2, 2]


def test_a_request_is_given_up_after_its_time_out_and_its_late_answer_is_no_answer() -> None:
    def script(peer: socket.socket) -> None:
        assert asked(peer) == 10
        assert asked(peer) == 11  # 10 has been given up
        peer.send(answer(10))
        assert asked(peer) == 12
        peer.send(answer(12))

    _, ledger = run(script, replace(SETTINGS, timeout_ns=300 * MS))
    rows = list(ledger.rows())
    assert [row.outcome for row in rows] == [Outcome.TIMEOUT, Outcome.TIMEOUT, Outcome.ANSWERED]
    assert [row.copies_received for row in rows] == [1, 0, 1]
    assert [(row.received_ns, row.kernel_rx_ns) for row in rows[:2]] == [(NO_TIME, NO_TIME)] * 2
    assert rows[1].sent_ns >= rows[0].sent_ns + 300 * MS
    assert latencies_ms(ledger)["p99"] is None, "a quantile that falls among time-outs is no number"
    assert latencies_ms(ledger)["max"] is None


@pytest.mark.parametrize("strategy", ["app-seed", "app-deadline", "app-asyncio"])
def test_a_hedge_is_the_same_datagram_sent_once_more(strategy: str) -> None:
    def script(peer: socket.socket) -> None:
        for request_id in (10, 11, 12):
            first, second = peer.recv(100), peer.recv(100)
            assert first == second == answer(request_id)
            peer.send(first)
            peer.send(second)

    _, ledger = run(script, replace(SETTINGS, strategy=strategy, drain_ns=500 * MS))
    assert ledger.hedges_sent == 3
    assert list(ledger.copies) == [2, 2, 2]
    for row in ledger.rows():
        assert row.outcome == Outcome.ANSWERED
        assert row.received_ns - row.sent_ns >= SETTINGS.hedge_delay_ns, "no hedge leaves early"


@pytest.mark.parametrize("strategy", ["app-seed", "app-deadline", "app-asyncio"])
def test_there_is_one_hedge_at_most(strategy: str) -> None:
    copies = []

    def script(peer: socket.socket) -> None:
        while (request_id := asked(peer)) == 10:
            copies.append(request_id)
        peer.send(answer(11))
        peer.send(answer(asked(peer)))

    _, ledger = run(script, replace(SETTINGS, strategy=strategy, timeout_ns=400 * MS, hedge_delay_ns=200 * MS))
    assert copies == [10, 10]
    assert list(ledger.outcomes) == [Outcome.TIMEOUT, Outcome.ANSWERED, Outcome.ANSWERED]


@pytest.mark.parametrize(
    ("strategy", "restarts"), [("app-seed", 1), ("app-deadline", 0), ("app-asyncio", 0), ("baseline", 0)]
)
def test_a_late_answer_restarts_only_the_published_clients_timer(strategy: str, restarts: int) -> None:
    late_ns, hedged_ns = [], []

    def script(peer: socket.socket) -> None:
        peer.send(answer(asked(peer)))
        assert asked(peer) == 11
        late_ns.append(now_ns())
        peer.send(answer(10))
        if strategy != "baseline":
            assert asked(peer) == 11
            hedged_ns.append(now_ns())
        peer.send(answer(11))
        peer.send(answer(asked(peer)))

    settings = replace(SETTINGS, strategy=strategy, hedge_delay_ns=300 * MS)
    loop, ledger = run(script, settings)
    assert loop.timer_restarts == restarts
    assert ledger.outcomes.count(Outcome.ANSWERED) == 3
    if strategy == "app-seed":
        # The delay counts from the late answer, so the hedge may leave long after the request's own deadline.
        assert hedged_ns[0] - late_ns[0] >= settings.hedge_delay_ns


@pytest.mark.parametrize("strategy", ["app-deadline", "app-asyncio"])
def test_an_answer_in_the_buffer_is_never_hedged(strategy: str) -> None:
    # All of it is there before the loop looks: other answers in front, and a deadline that has passed already.
    settings = replace(SETTINGS, strategy=strategy, hedge_delay_ns=0, requests=IdRange(0, 1))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    with ours, theirs, loop_over(settings, ours) as loop:
        for request_id in (7, 8, 9, 0):
            theirs.send(answer(request_id))
        ledger = run_ledger(loop, settings, settings.requests)
    assert ledger.hedges_sent == 0
    assert (ledger.outcomes[0], loop.stray_copies) == (Outcome.ANSWERED, 3)


@BOTH_LOOPS
def test_what_cannot_be_sent_is_an_error_and_not_waited_for(settings: BlockSettings) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    theirs.close()
    with ours, loop_over(settings, ours) as loop:
        ledger = run_ledger(loop, settings, settings.requests)
    rows = list(ledger.rows())
    assert [row.outcome for row in rows] == [Outcome.ERROR] * 3
    assert all(row.received_ns == NO_TIME for row in rows)
    assert loop.socket_errors > 0


@BOTH_LOOPS
def test_users_share_the_ids_and_each_waits_for_its_own_answer(settings: BlockSettings) -> None:
    def echo(peer: socket.socket) -> None:
        try:
            while True:
                peer.send(peer.recv(100))
        except (ConnectionError, OSError):
            return

    settings = replace(settings, arrivals=ClosedArrivals(users=4, think_ns=MS))
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(settings.arrivals.users)]
    threads = [threading.Thread(target=echo, args=(theirs,)) for _, theirs in pairs]
    for thread in threads:
        thread.start()
    for ours, _ in pairs:
        ours.setblocking(False)
    with loop_over(settings, *(ours for ours, _ in pairs)) as loop:
        ledger = run_ledger(loop, settings, IdRange(0, 50))
    for ours, theirs in pairs:
        theirs.shutdown(socket.SHUT_RDWR)
        ours.close()
    for thread in threads:
        thread.join()
    for _, theirs in pairs:
        theirs.close()
    assert list(ledger.outcomes) == [Outcome.ANSWERED] * 50
    assert list(ledger.copies) == [1] * 50
    assert list(ledger.sent_ns) == sorted(ledger.sent_ns)


def test_a_kernel_timestamp_is_moved_to_the_monotonic_clock() -> None:
    timestamp = struct.pack("@ll", 1_700_000_000, 123)
    assert kernel_timestamp_ns([(socket.SOL_SOCKET, 35, timestamp)], 1_700_000_000 * 1_000_000_000) == 123
    assert kernel_timestamp_ns([], 5) == NO_TIME


@BOTH_LOOPS
def test_an_answer_through_another_users_socket_is_none(settings: BlockSettings) -> None:
    settings = replace(settings, requests=IdRange(0, 2), arrivals=ClosedArrivals(users=2, think_ns=0))

    def script(first: socket.socket, second: socket.socket) -> None:
        ids = [asked(first), asked(second)]
        second.send(answer(ids[0]))
        second.send(answer(ids[1]))
        first.send(answer(ids[0]))

    with peers(users=2) as made, closing(make_loop(settings, made.connections, 0)) as loop:
        made.play(script, made.ends[0, 0], made.ends[1, 0])
        ledger = run_ledger(loop, settings, settings.requests)
    assert list(ledger.outcomes) == [Outcome.ANSWERED] * 2
    assert (list(ledger.copies), loop.stray_copies) == ([1, 1], 1)


@BOTH_LOOPS
def test_an_error_of_our_own_ends_the_block_instead_of_being_passed_over(settings: BlockSettings) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)

    def send(_payload: object, _flags: int = 0) -> int:
        raise ZeroDivisionError

    with theirs:
        connection = Connection(0, ours)
        connection.send = send
        with closing(make_loop(settings, [{0: connection}], 0)) as loop, pytest.raises(ZeroDivisionError):
            run_ledger(loop, settings, settings.requests)
