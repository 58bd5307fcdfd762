"""The proxy, a user-space hedging sidecar, between oblivious clients and scripted servers over loopback."""

from __future__ import annotations

import os
import random
import select
import signal
import socket
import threading
from collections import Counter
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from hedgerow_node.clock import now_ns
from hedgerow_node.workload import hedge_replica, primary_replica
from support.native_runs import Address, Copy, Peer, answer, echo, proxy, silence
from support.node_programs import MS, PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def client(address: Address) -> Iterator[socket.socket]:
    """A client's socket, connected to the proxy: it hears nothing that comes from anywhere else."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connected:
        connected.settimeout(PATIENCE_S)
        connected.connect(address)
        yield connected


def nothing_more(connected: socket.socket) -> bool:
    """Whether no further datagram has come."""
    return not select.select([connected], [], [], 0)[0]


def wait_for(condition: Any) -> None:
    """Return once the condition holds; the test fails where it never does."""
    deadline_ns = now_ns() + int(PATIENCE_S * 1e9)
    while not condition():
        assert now_ns() < deadline_ns, "it never came to that"
        select.select([], [], [], 0.002)


def reconciled(counters: dict[str, Any]) -> dict[str, int]:
    """The counters that are not zero, which must add up."""
    del counters["event"]
    passed_on = counters["answered"] + counters["late"]
    dropped = sum(counters[name] for name in ("losers_dropped", "duplicates_dropped", "unmatched"))
    assert counters["responses"] == passed_on + dropped + counters["responses_malformed"]
    assert counters["requests"] == passed_on + counters["unanswered"]
    return {name: value for name, value in counters.items() if value}


def test_an_answered_request_passes_through_as_it_is(native: Path) -> None:
    payload = answer(7) + bytes(range(40))
    with Peer(echo) as peer, proxy(native, [peer.address]) as (run, address), client(address) as asking:
        asking.send(payload)
        assert asking.recv(100) == payload
        assert [copy.payload for copy in peer.log] == [payload]
        counters = reconciled(run.end())
        assert nothing_more(asking)
    assert counters == {"requests": 1, "responses": 1, "answered": 1, "clients": 1}


def test_the_first_response_wins_and_the_losers_are_dropped(native: Path) -> None:
    first: dict[int, Copy] = {}

    def hedge_first(peer: Peer, copy: Copy) -> None:
        if copy.ordinal == 1:
            first[copy.request_id] = copy
        else:
            peer.reply(copy, copy.payload[:4] + b"hedge")
            peer.reply(first[copy.request_id], copy.payload[:4] + b"primary")
            peer.reply(copy, copy.payload[:4] + b"again")

    with (
        Peer(hedge_first) as peer,
        proxy(native, [peer.address], hedge_delay_ns=20 * MS) as (run, address),
        client(address) as asking,
    ):
        for request_id in range(5):
            asking.send(answer(request_id))
        answers = {asking.recv(100) for _ in range(5)}
        asking.send(answer(99))  # whose responses come behind all those that are to be dropped
        assert asking.recv(100) == answer(99)[:4] + b"hedge"
        assert answers == {answer(request_id)[:4] + b"hedge" for request_id in range(5)}
        counters = reconciled(run.end())
        assert nothing_more(asking)
    assert (counters["requests"], counters["answered"], counters["hedges_sent"]) == (6, 6, 6)
    assert counters["losers_dropped"] >= 5
    assert counters["duplicates_dropped"] >= 5
    assert {copy.payload for copy in peer.log} == {answer(request_id) for request_id in (*range(5), 99)}


def test_a_hedge_leaves_when_the_delay_has_passed_and_not_before(native: Path) -> None:
    def second_copies(peer: Peer, copy: Copy) -> None:
        if copy.request_id % 2 or copy.ordinal == 2:
            peer.reply(copy)

    delay_ns = 200 * MS
    with (
        Peer(second_copies) as peer,
        proxy(native, [peer.address], hedge_delay_ns=delay_ns) as (run, address),
        client(address) as asking,
    ):
        sent_ns = {}
        for request_id in range(20):
            sent_ns[request_id] = now_ns()
            asking.send(answer(request_id))
        for _ in range(20):
            asking.recv(100)
        counters = reconciled(run.end())
    assert counters["answered"] == 20
    hedges = [copy for copy in peer.log if copy.ordinal == 2]
    assert counters["hedges_sent"] == len(hedges) >= 10
    assert {copy.request_id for copy in hedges} >= set(range(0, 20, 2))
    assert all(copy.received_ns >= sent_ns[copy.request_id] + delay_ns for copy in hedges)


def test_an_answer_in_the_buffer_is_not_hedged(native: Path) -> None:
    with (
        Peer(silence) as peer,
        proxy(native, [peer.address], hedge_delay_ns=1000 * MS) as (run, address),
        client(address) as asking,
    ):
        asking.send(answer(1))
        wait_for(lambda: peer.log)
        run.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, run.process.pid, os.WSTOPPED)
        peer.reply(peer.log[0])
        resumed_ns = now_ns() + 1200 * MS
        wait_for(lambda: now_ns() > resumed_ns)
        run.process.send_signal(signal.SIGCONT)
        assert asking.recv(100) == answer(1)
        counters = reconciled(run.end())
    assert counters == {"requests": 1, "responses": 1, "answered": 1, "clients": 1}
    assert len(peer.log) == 1


@pytest.mark.parametrize("spread", ["first", "round-robin"])
@pytest.mark.parametrize("target", ["same", "other"])
def test_requests_and_hedges_go_to_the_replicas_that_everybody_chooses(
    native: Path, spread: str, target: str
) -> None:
    known: set[int] = set()
    one_at_a_time = threading.Lock()

    def second_copies(peer: Peer, copy: Copy) -> None:
        with one_at_a_time:
            seen_before = copy.request_id in known
            known.add(copy.request_id)
        if seen_before:
            peer.reply(copy)

    with ExitStack() as stack:
        peers = [stack.enter_context(Peer(second_copies)) for _ in range(3)]
        addresses = [peer.address for peer in peers]
        run, address = stack.enter_context(
            proxy(native, addresses, spread=spread, target=target, hedge_delay_ns=20 * MS)
        )
        asking = stack.enter_context(client(address))
        for request_id in range(18):
            asking.send(answer(request_id))
        assert {asking.recv(100) for _ in range(18)} == {answer(request_id) for request_id in range(18)}
        counters = reconciled(run.end())
        seen = {(copy.request_id, replica) for replica, peer in enumerate(peers) for copy in peer.log}
    assert (counters["answered"], counters["hedges_sent"]) == (18, 18)
    expected = set()
    for request_id in range(18):
        asked = primary_replica(spread, request_id, 3)
        expected |= {(request_id, asked), (request_id, hedge_replica(target, asked, request_id, 3))}
    assert seen == expected


def test_two_clients_with_the_same_ids_do_not_mix(native: Path) -> None:
    waiting: list[Copy] = []

    def in_reverse(peer: Peer, copy: Copy) -> None:
        waiting.append(copy)
        if len(waiting) == 20:
            for earlier in reversed(waiting):
                peer.reply(earlier)

    with (
        Peer(in_reverse) as peer,
        proxy(native, [peer.address]) as (run, address),
        client(address) as one,
        client(address) as other,
    ):
        for request_id in range(10):
            one.send(answer(request_id) + b"one")
            other.send(answer(request_id) + b"other")
        assert {one.recv(100) for _ in range(10)} == {answer(n) + b"one" for n in range(10)}
        assert {other.recv(100) for _ in range(10)} == {answer(n) + b"other" for n in range(10)}
        counters = reconciled(run.end())
        assert nothing_more(one)
        assert nothing_more(other)
    assert (counters["clients"], counters["answered"]) == (2, 20)
    sources = {(copy.payload[8:], copy.source) for copy in peer.log}
    assert len(sources) == 2, "to the servers they are two clients as well"


def test_what_is_no_request_or_no_response_is_dropped_and_counted(native: Path) -> None:
    def script(peer: Peer, copy: Copy) -> None:
        peer.reply(copy, b"")
        peer.reply(copy, b"abc")
        peer.reply(copy, answer(77))  # it was not asked for
        peer.reply(copy)

    with (
        Peer(script) as peer,
        proxy(native, [peer.address], payload=16) as (run, address),
        client(address) as asking,
    ):
        for malformed in (b"", b"abc", bytes(17), bytes(60_000)):
            asking.send(malformed)
        asking.send(answer(1))
        assert asking.recv(100) == answer(1)
        counters = reconciled(run.end())
        assert nothing_more(asking)
    assert counters == {
        "requests": 1,
        "malformed": 4,
        "responses": 4,
        "responses_malformed": 2,
        "unmatched": 1,
        "answered": 1,
        "clients": 1,
    }
    assert len(peer.log) == 1


def test_responses_of_replicas_that_were_not_asked_are_not_believed(native: Path) -> None:
    with (
        Peer(silence) as asked,
        Peer(silence) as other,
        proxy(native, [asked.address, other.address], spread="round-robin") as (run, address),
        client(address) as asking,
    ):
        asking.send(answer(0))
        asking.send(answer(1))
        wait_for(lambda: asked.log and other.log)
        other.reply(other.log[0], answer(0))
        other.reply(other.log[0], answer(1))
        assert asking.recv(100) == answer(1)
        counters = reconciled(run.end())
        assert nothing_more(asking)
    assert (counters["unmatched"], counters["answered"]) == (1, 1)


def test_a_burst_beyond_its_memory_is_refused_and_it_goes_on(native: Path) -> None:
    def last_one(peer: Peer, copy: Copy) -> None:
        if copy.request_id == 1000:
            peer.reply(copy)

    with (
        Peer(last_one) as peer,
        proxy(native, [peer.address], capacity=8, timeout_ns=400 * MS, hedge_delay_ns=200 * MS) as (run, address),
        client(address) as asking,
    ):
        for request_id in range(100):
            asking.send(answer(request_id))

        def answered() -> bool:
            # The places come back as the requests expire.
            asking.send(answer(1000))
            return bool(select.select([asking], [], [], 0.02)[0])

        wait_for(answered)
        counters = reconciled(run.end())
    taken_on = {copy.request_id for copy in peer.log} - {1000}
    assert len(taken_on) <= 16, "eight at a time, and hardly two generations of them"
    assert counters["refused"] >= 100 - len(taken_on)
    assert counters["unanswered"] >= len(taken_on)


def test_requests_expire_unanswered_and_clients_that_went_idle_make_room(native: Path) -> None:
    def late(peer: Peer, copy: Copy) -> None:
        held.append(copy)

    held: list[Copy] = []
    with (
        Peer(late) as peer,
        proxy(native, [peer.address], clients=2, timeout_ns=60 * MS, hedge_delay_ns=20 * MS) as (run, address),
        ExitStack() as stack,
    ):
        for request_id in range(6):
            asking = stack.enter_context(client(address))

            def taken(asking: socket.socket = asking, request_id: int = request_id) -> bool:
                asking.send(answer(request_id))
                select.select([], [], [], 0.01)
                return any(copy.request_id == request_id for copy in held)

            wait_for(taken)
        counters = reconciled(run.end())
    assert counters["clients"] == 6
    assert counters["unanswered"] >= 4
    assert counters["refused"] >= 1


def test_what_has_timed_out_while_it_was_held_up_is_not_hedged(native: Path) -> None:
    with (
        Peer(silence) as peer,
        proxy(native, [peer.address], hedge_delay_ns=1000 * MS, timeout_ns=1100 * MS) as (run, address),
        client(address) as asking,
    ):
        asking.send(answer(1))
        wait_for(lambda: peer.log)
        run.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, run.process.pid, os.WSTOPPED)
        resumed_ns = now_ns() + 1200 * MS
        wait_for(lambda: now_ns() > resumed_ns)
        run.process.send_signal(signal.SIGCONT)
        counters = reconciled(run.end())
    assert counters == {"requests": 1, "unanswered": 1, "clients": 1}


def test_the_first_response_is_passed_on_even_after_the_time_out(native: Path) -> None:
    with (
        Peer(silence) as peer,
        proxy(native, [peer.address], timeout_ns=40 * MS, hedge_delay_ns=20 * MS, drain_ns=60_000 * MS) as (
            run,
            address,
        ),
        client(address) as asking,
    ):
        asking.send(answer(3))
        wait_for(lambda: len(peer.log) == 2)
        over_ns = peer.log[1].received_ns + 40 * MS
        wait_for(lambda: now_ns() > over_ns)
        peer.reply(peer.log[1])
        assert asking.recv(100) == answer(3)
        peer.reply(peer.log[0])
        asking.send(answer(4))
        wait_for(lambda: len(peer.log) == 3)
        counters = reconciled(run.end())
        assert nothing_more(asking)
    assert counters["late"] == 1
    assert "answered" not in counters


def test_a_client_that_repeats_itself_is_passed_on_and_answered_once(native: Path) -> None:
    def third_copy(peer: Peer, copy: Copy) -> None:
        if copy.ordinal >= 3:
            peer.reply(copy)

    with Peer(third_copy) as peer, proxy(native, [peer.address]) as (run, address), client(address) as asking:
        for _ in range(3):
            asking.send(answer(5))
        assert asking.recv(100) == answer(5)
        asking.send(answer(5))  # answered: the id may be used again
        assert asking.recv(100) == answer(5)
        counters = reconciled(run.end())
        assert nothing_more(asking)
    assert (counters["requests"], counters["resent"], counters["answered"]) == (2, 2, 2)


def test_a_refused_port_is_the_clients_time_out(native: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        refused = taken.getsockname()
    with (
        Peer(echo) as peer,
        proxy(native, [refused, peer.address], spread="round-robin", hedge_delay_ns=20 * MS) as (run, address),
        client(address) as asking,
    ):
        for request_id in range(0, 20, 2):
            asking.send(answer(request_id))
        for request_id in (1, 3):  # once the first is answered all have been taken on; by the second, hedged
            asking.send(answer(request_id))
            assert asking.recv(100) == answer(request_id)
            select.select([], [], [], 0.03)
        counters = reconciled(run.end())
        assert nothing_more(asking)
    assert counters["socket_errors"] > 0
    assert (counters["requests"], counters["answered"]) == (12, 2)
    assert counters["hedges_sent"] >= 10


def test_unreliable_servers_and_many_clients(native: Path) -> None:
    """Losses, duplicates and strays at random: no client gets two responses, nor one of another client."""
    randomness = random.Random(3)

    def script(peer: Peer, copy: Copy) -> None:
        for _ in range(randomness.choice([0, 1, 1, 2])):
            peer.reply(copy)
        if randomness.random() < 0.1:
            peer.reply(copy, randomness.randbytes(randomness.randrange(8)))

    with ExitStack() as stack:
        peers = [stack.enter_context(Peer(script)) for _ in range(3)]
        addresses = [peer.address for peer in peers]
        options: dict[str, object] = {"spread": "round-robin", "target": "other", "drain_ns": 50 * MS}
        run, address = stack.enter_context(
            proxy(native, addresses, hedge_delay_ns=10 * MS, timeout_ns=50 * MS, **options)
        )
        clients = [stack.enter_context(client(address)) for _ in range(20)]
        got: Counter[tuple[int, bytes]] = Counter()

        def take(number: int) -> None:
            while not nothing_more(clients[number]):
                got[number, clients[number].recv(100)] += 1

        for request_id in range(100):
            for number in range(20):
                clients[number].send(answer(request_id) + bytes([number]))
                take(number)
            select.select([], [], [], 0.002)
        select.select([], [], [], 0.3)
        counters = reconciled(run.end())
        for number in range(20):
            take(number)
    assert set(got.values()) == {1}
    assert all(payload[8:] == bytes([number]) for number, payload in got)
    assert counters["answered"] + counters.get("late", 0) == len(got)
    assert counters["requests"] <= 2000


def test_it_ends_with_its_supervisor(native: Path) -> None:
    with Peer(silence) as peer, proxy(native, [peer.address]) as (run, _):
        run.hang_up()
        assert run.process.wait(PATIENCE_S) == 1


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"hedge_delay_ns": 100, "timeout_ns": 100}, "--hedge-delay-ns= must be shorter than --timeout-ns="),
        ({"target": "other"}, "--target=other needs two replicas"),
        ({"listen": "localhost:0"}, "wrong argument --listen=localhost:0"),
        ({"capacity": 0}, "wrong argument --capacity=0"),
        ({"response_id": "0"}, "wrong argument --response-id=0"),
    ],
)
def test_a_wrong_command_line_is_refused(native: Path, changes: dict[str, object], complaint: str) -> None:
    with (
        pytest.raises(AssertionError, match=f"exit code 2.*{complaint}"),
        proxy(native, [("127.0.0.1", 9)], **changes),
    ):
        pass


def test_an_address_it_cannot_have_is_a_reason(native: Path) -> None:
    with (
        pytest.raises(AssertionError, match="Cannot assign requested address"),
        proxy(native, [("127.0.0.1", 9)], listen="192.0.2.1:0"),
    ):
        pass
