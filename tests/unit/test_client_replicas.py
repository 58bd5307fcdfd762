"""Which replica the client asks, which one it hedges to, and whose answer counts."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hedgerow_client.sockets import close_connections, open_connections
from hedgerow_node.clock import now_ns
from hedgerow_node.protocol.client import BlockSettings, ClosedArrivals, IdRange, OpenArrivals
from hedgerow_node.records import Outcome
from hedgerow_node.workload import hedge_replica, primary_replica
from support.client_peers import SETTINGS, answer, asked, peers, run, unread
from support.node_programs import MS

if TYPE_CHECKING:
    import socket

REPLICAS, COUNT = 3, 24
SERVERS = tuple(("127.0.0.1", port) for port in range(1, 1 + REPLICAS))
BOTH_ARRIVALS = pytest.mark.parametrize(
    "arrivals",
    [ClosedArrivals(users=2, think_ns=0), OpenArrivals(process="constant", rate_per_s=2000.0, seed=5, users=2)],
    ids=["closed", "open"],
)
BOTH_SPREADS = pytest.mark.parametrize("spread", ["first", "round-robin"])


def settings_for(strategy: str, spread: str, arrivals: ClosedArrivals | OpenArrivals) -> BlockSettings:
    return replace(
        SETTINGS,
        strategy=strategy,
        servers=SERVERS,
        spread=spread,
        requests=IdRange(0, COUNT),
        arrivals=arrivals,
    )


@BOTH_ARRIVALS
@BOTH_SPREADS
@pytest.mark.parametrize("strategy", ["baseline", "app-asyncio"])
def test_the_id_says_which_replica_is_asked(
    strategy: str, spread: str, arrivals: ClosedArrivals | OpenArrivals
) -> None:
    seen: dict[int, list[int]] = defaultdict(list)

    def echo(replica: int, peer: socket.socket) -> None:
        while True:
            request_id = asked(peer)
            seen[replica].append(request_id)
            peer.send(answer(request_id))

    with peers(users=2, replicas=REPLICAS) as made:
        for (_, replica), peer in made.ends.items():
            made.play(echo, replica, peer)
        ledger = run(settings_for(strategy, spread, arrivals), made)
    assert list(ledger.outcomes) == [Outcome.ANSWERED] * COUNT
    for replica in range(REPLICAS):
        expected = [n for n in range(COUNT) if primary_replica(spread, n, REPLICAS) == replica]
        assert sorted(seen[replica]) == expected
    assert len([replica for replica in seen if seen[replica]]) == (1 if spread == "first" else REPLICAS)


@BOTH_ARRIVALS
@BOTH_SPREADS
@pytest.mark.parametrize("strategy", ["app-deadline", "app-asyncio"])
def test_a_hedge_to_another_replica_leaves_by_the_same_users_socket_to_it(
    strategy: str, spread: str, arrivals: ClosedArrivals | OpenArrivals
) -> None:
    seen: dict[int, list[tuple[int, int]]] = defaultdict(list)

    def answer_hedges(user: int, replica: int, peer: socket.socket) -> None:
        while True:
            request_id = asked(peer)
            seen[request_id].append((user, replica))
            if primary_replica(spread, request_id, REPLICAS) != replica:
                peer.send(answer(request_id))

    settings = replace(settings_for(strategy, spread, arrivals), target="other", hedge_delay_ns=20 * MS)
    with peers(users=2, replicas=REPLICAS) as made:
        for (user, replica), peer in made.ends.items():
            made.play(answer_hedges, user, replica, peer)
        ledger = run(settings, made)
    assert list(ledger.outcomes) == [Outcome.ANSWERED] * COUNT
    assert list(ledger.copies) == [1] * COUNT
    assert ledger.hedges_sent == COUNT
    for request_id in range(COUNT):
        first = primary_replica(spread, request_id, REPLICAS)
        users = {user for user, _ in seen[request_id]}
        assert len(users) == 1
        replicas = [replica for _, replica in seen[request_id]]
        assert sorted(replicas) == sorted([first, hedge_replica("other", first, request_id, REPLICAS)])
    for row in ledger.rows():
        assert row.received_ns >= row.sent_ns + 20 * MS


@pytest.mark.parametrize("strategy", ["app-deadline", "app-asyncio", "app-seed"])
@pytest.mark.parametrize("first", [0, 1])
def test_the_first_response_wins_from_any_replica(strategy: str, first: int) -> None:
    loser_sent_ns: list[int] = []

    def script(ends: list[socket.socket]) -> None:
        for request_id in (10, 11, 12):
            assert [asked(ends[0]), asked(ends[1])] == [request_id, request_id]
            if loser_sent_ns or request_id > 10:
                # The last request has been answered, or this one would not have left.
                loser_sent_ns.append(now_ns())
                ends[1 - first].send(answer(request_id - 1))
            ends[first].send(answer(request_id))

    settings = replace(
        SETTINGS, strategy=strategy, servers=SERVERS[:2], target="other", hedge_delay_ns=20 * MS, drain_ns=0
    )
    with peers(replicas=2) as made:
        made.play(script, [made.ends[0, 0], made.ends[0, 1]])
        ledger = run(settings, made)
    assert list(ledger.outcomes) == [Outcome.ANSWERED] * 3
    assert list(ledger.copies)[:2] == [2, 2]
    assert ledger.hedges_sent == 3
    for received_ns, sent_ns in zip(ledger.received_ns, loser_sent_ns, strict=False):
        assert received_ns < sent_ns


@pytest.mark.parametrize("strategy", ["baseline", "kernel"])
def test_who_leaves_hedging_to_others_sends_nothing_to_other_replicas(strategy: str) -> None:
    settings = replace(SETTINGS, strategy=strategy, servers=SERVERS[:2], target="other", timeout_ns=20 * MS)
    settings = replace(settings, hedge_delay_ns=MS)
    with peers(replicas=2) as made:
        ledger = run(settings, made)
        assert (unread(made.ends[0, 0]), unread(made.ends[0, 1])) == ([10, 11, 12], [])
    assert list(ledger.outcomes) == [Outcome.TIMEOUT] * 3


@pytest.mark.parametrize(
    ("strategy", "spread", "target", "replicas"),
    [
        ("baseline", "first", "other", [0]),
        ("kernel", "first", "other", [0]),
        ("kernel", "round-robin", "other", [0, 1, 2]),
        ("app-deadline", "first", "same", [0]),
        ("app-deadline", "first", "other", [0, 1, 2]),
    ],
)
def test_there_are_sockets_for_what_is_asked_and_hedged_to_and_no_others(
    strategy: str, spread: str, target: str, replicas: list[int]
) -> None:
    settings = replace(
        settings_for(strategy, spread, ClosedArrivals(users=2, think_ns=0)), target=target, hedge_delay_ns=MS
    )
    connections = open_connections(settings)
    try:
        assert [sorted(user) for user in connections] == [replicas, replicas]
        for number, user in enumerate(connections):
            for replica, connection in user.items():
                assert connection.socket.getpeername() == SERVERS[replica]
                assert connection.user == number
    finally:
        close_connections(connections)
