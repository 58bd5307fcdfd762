"""What makes a request, what answers it, and which response wins."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from hedgerow_hedger.programs import Identity, Mode
from hedgerow_node.records import Winner
from hedgerow_node.wire import IdPlace
from support.datagrams import request, response
from support.frames import FRAGMENT, Datagram
from support.kernel_bench import (
    CLIENT4,
    CLIENT6,
    DROPPED,
    OTHER4,
    PASSED,
    SERVER4,
    SERVER6,
    KernelBench,
)

#: An IPv6 fragment header without its first byte: offset 0 and more to come, or offset 8.
FIRST_FRAGMENT, LATER_FRAGMENT = bytes([0, 0, 1, 0, 0, 0, 7]), bytes([0, 0, 8, 0, 0, 0, 7])


@pytest.mark.parametrize(("client", "server"), [(CLIENT4, SERVER4), (CLIENT6, SERVER6)], ids=["IPv4", "IPv6"])
def test_the_first_response_wins_and_the_losers_is_dropped(
    bench: KernelBench, client: tuple[str, int], server: tuple[str, int]
) -> None:
    bench.switch(Mode.HEDGE)
    asked = request(1, client, server)
    bench.split(asked.frame())
    bench.hedge(asked.frame())
    actions = [bench.respond(response(asked).frame()).action for _ in range(4)]
    assert actions == [PASSED, DROPPED, PASSED, PASSED], "as many are dropped as hedges were sent, and no more"
    counted = bench.counted()
    assert (counted["requests"], counted["answered"]) == (1, 1)
    assert (counted["duplicates_dropped"], counted["duplicates_passed"]) == (1, 2)


def test_without_a_hedge_nothing_is_dropped(bench: KernelBench) -> None:
    """A service that answers in several datagrams, or a network that duplicates, is none of the hedger's business."""
    bench.switch(Mode.HEDGE)
    asked = request(10)
    bench.split(asked.frame())
    assert [bench.respond(response(asked).frame()).action for _ in range(3)] == [PASSED] * 3
    assert bench.counted()["duplicates_passed"] == 2


def test_the_tap_drops_nothing_and_arms_nothing(bench: KernelBench) -> None:
    bench.switch(Mode.TAP)
    asked = request(2)
    bench.split(asked.frame())
    assert [bench.respond(response(asked).frame()).action for _ in range(3)] == [PASSED] * 3
    assert bench.counted() == {
        "out_seen": 1,
        "requests": 1,
        "in_seen": 3,
        "answered": 1,
        "duplicates_passed": 2,
    }


def test_switched_off_it_counts_nothing(bench: KernelBench) -> None:
    bench.switch(Mode.OFF)
    assert bench.split(request(3).frame()).action == PASSED
    assert bench.respond(response(request(3)).frame()).action == PASSED
    assert bench.counted() == {}


def test_a_clients_own_retry_is_neither_a_new_request_nor_hedged(bench: KernelBench) -> None:
    bench.switch(Mode.HEDGE)
    asked = request(5)
    for _ in range(3):
        bench.split(asked.frame())
    counted = bench.counted()
    assert (counted["requests"], counted["armed"], counted["resent"]) == (1, 1, 2)
    assert [bench.respond(response(asked).frame()).action for _ in range(3)] == [PASSED] * 3


def test_a_retry_before_the_deadline_does_not_hide_the_hedge(bench: KernelBench) -> None:
    bench.switch(Mode.HEDGE)
    asked = request(12)
    bench.split(asked.frame())
    bench.split(asked.frame())
    bench.hedge(asked.frame())
    counted = bench.counted()
    assert (counted["resent"], counted["hedges_sent"]) == (1, 1)
    assert [bench.respond(response(asked).frame()).action for _ in range(3)] == [PASSED, DROPPED, PASSED]


def test_two_clients_with_the_same_ids_are_kept_apart(bench: KernelBench) -> None:
    bench.switch(Mode.HEDGE)
    clients = [CLIENT4, (CLIENT4[0], CLIENT4[1] + 1), ("10.9.0.77", CLIENT4[1])]
    requests = [request(6, client) for client in clients]
    for asked in requests:
        bench.split(asked.frame())
        bench.hedge(asked.frame())
    assert [bench.respond(response(asked).frame()).action for asked in requests] == [PASSED] * 3
    assert [bench.respond(response(asked).frame()).action for asked in requests] == [DROPPED] * 3
    assert bench.counted()["answered"] == 3


def test_an_expired_request_makes_room_for_a_new_one_with_its_id(bench: KernelBench) -> None:
    bench.configure(expiry_ns=1)
    bench.switch(Mode.HEDGE)
    asked = request(7)
    bench.split(asked.frame())
    bench.split(asked.frame())
    assert bench.respond(response(asked).frame()).action == PASSED
    counted = bench.counted()
    assert (counted["requests"], counted["answered"]) == (2, 1)


def test_a_loser_is_dropped_however_late_it_comes(bench: KernelBench) -> None:
    """Its request has expired, yet nothing is known of that flow and id that the response could belong to instead."""
    bench.configure(expiry_ns=1)
    bench.switch(Mode.HEDGE)
    asked = request(13)
    bench.split(asked.frame())
    bench.hedge(asked.frame())
    assert [bench.respond(response(asked).frame()).action for _ in range(2)] == [PASSED, DROPPED]


def test_packets_of_no_service_or_without_an_id_pass(bench: KernelBench) -> None:
    bench.switch(Mode.HEDGE)
    elsewhere = replace(request(8), destination=OTHER4)
    short = Datagram(CLIENT4, SERVER4, b"\0\0\0")
    for frame in (elsewhere.frame(), short.frame()):
        assert bench.split(frame).action == PASSED
    for frame in (response(elsewhere).frame(), short.reply(b"\0\0\0").frame(), response(request(9)).frame()):
        assert bench.respond(frame).action == PASSED
    assert bench.counted() == {
        "out_seen": 2,
        "out_not_service": 1,
        "out_no_id": 1,
        "in_seen": 3,
        "in_not_service": 1,
        "in_no_id": 1,
        "in_unmatched": 1,
    }


@pytest.mark.parametrize("length", range(1, 9))
def test_ids_of_one_to_eight_bytes_anywhere_in_the_payload(bench: KernelBench, length: int) -> None:
    bench.configure(request_id=IdPlace(3, length), response_id=IdPlace(11, length), copy_ordinal=IdPlace(0, 0))
    bench.switch(Mode.TAP)
    ids = [bytes([0x80 + n]) + bytes([n] * (length - 1)) for n in range(3)]
    for raw in ids:
        bench.split(Datagram(CLIENT4, SERVER4, b"abc" + raw).frame())
    for raw in ids:
        bench.respond(Datagram(SERVER4, CLIENT4, bytes(11) + raw).frame())
    bench.respond(Datagram(SERVER4, CLIENT4, bytes(11) + ids[0][:-1]).frame())
    counted = bench.counted()
    assert (counted["requests"], counted["answered"], counted["in_no_id"]) == (3, 3, 1)
    bench.split(Datagram(CLIENT4, SERVER4, b"abc" + ids[1]).frame())
    assert bench.counted() == {"out_seen": 1, "requests": 1}, "of a flow, and answered before"
    bench.split(Datagram(CLIENT4, SERVER4, b"abc" + ids[1]).frame())
    assert [hedge.request_id for hedge in bench.hedges()] == [int.from_bytes(ids[1], "big")]


class TestTapOfUserSpaceHedges:
    """In the testbed a request is identified by block and id alone: a rival may hedge from another socket."""

    def test_the_second_copy_to_leave_is_the_hedge(self, bench: KernelBench) -> None:
        bench.switch(Mode.TAP, Identity.BLOCK, block=1)
        first = request(20)
        second = request(20, client=(CLIENT4[0], 50000))
        bench.split(first.frame())
        bench.split(second.frame())
        bench.split(second.frame())
        bench.respond(response(second, copy=2).frame())
        bench.respond(response(first).frame())
        assert bench.counted() == {
            "out_seen": 3,
            "requests": 1,
            "hedges_sent": 1,
            "resent": 1,
            "in_seen": 2,
            "answered": 1,
            "hedges_won": 1,
            "duplicates_passed": 1,
        }
        (hedge,) = bench.hedges()
        assert (hedge.request_id, hedge.copy, hedge.winner) == (20, 2, Winner.HEDGE)
        assert hedge.request_ns < hedge.departure_ns < hedge.first_response_ns

    def test_a_hedge_that_leaves_after_the_answer_is_seen_too(self, bench: KernelBench) -> None:
        bench.switch(Mode.TAP, Identity.BLOCK, block=2)
        asked = request(21)
        bench.split(asked.frame())
        bench.respond(response(asked).frame())
        bench.split(asked.frame())
        (hedge,) = bench.hedges()
        assert hedge.winner == Winner.PRIMARY
        assert hedge.request_ns < hedge.first_response_ns < hedge.departure_ns

    def test_the_next_block_knows_nothing_of_the_last(self, bench: KernelBench) -> None:
        asked = request(22)
        for block in (3, 4):
            bench.switch(Mode.TAP, Identity.BLOCK, block=block)
            bench.split(asked.frame())
        bench.switch(Mode.TAP, Identity.BLOCK, block=5)
        bench.respond(response(asked).frame())
        counted = bench.counted()
        assert (counted["requests"], counted["in_unmatched"]) == (2, 1)


@pytest.mark.parametrize(
    ("copy", "winner", "counter"),
    [
        (0, Winner.UNKNOWN, "hedges_won_unknown"),
        (1, Winner.UNKNOWN, "hedges_won_unknown"),
        (2, Winner.HEDGE, "hedges_won"),
        (3, Winner.HEDGE, "hedges_won"),
    ],
)
def test_the_response_may_say_which_copy_it_answers(
    bench: KernelBench, copy: int, winner: Winner, counter: str
) -> None:
    bench.switch(Mode.HEDGE)
    asked = request(30)
    bench.split(asked.frame())
    bench.hedge(asked.frame())
    bench.respond(response(asked, copy=copy).frame())
    assert [hedge.winner for hedge in bench.hedges()] == [winner]
    counted = bench.counted()
    assert [name for name in counted if name.startswith("hedges_won")] == [counter]


def test_the_first_copy_to_arrive_was_the_primary_once_the_second_is_answered_too(bench: KernelBench) -> None:
    """Ordinals are the order of arrival: had the primary been lost, the hedge would be the first copy."""
    bench.switch(Mode.HEDGE)
    asked = request(31)
    bench.split(asked.frame())
    bench.hedge(asked.frame())
    bench.respond(response(asked, copy=1).frame())
    bench.respond(response(asked, copy=2).frame())
    (hedge,) = bench.hedges()
    assert hedge.winner == Winner.PRIMARY
    assert hedge.departure_ns < hedge.first_response_ns
    counted = bench.counted()
    assert (counted["hedges_won_unknown"], counted["primaries_confirmed"]) == (1, 1)


@pytest.mark.parametrize(("client", "server"), [(CLIENT4, SERVER4), (CLIENT6, SERVER6)], ids=["IPv4", "IPv6"])
def test_a_response_in_fragments_keeps_its_request_from_being_hedged(
    bench: KernelBench, client: tuple[str, int], server: tuple[str, int]
) -> None:
    bench.switch(Mode.HEDGE)
    asked = request(32, client, server)
    bench.split(asked.frame())
    whole = response(asked)
    if client == CLIENT4:
        first, later = replace(whole, fragment=0x2000), replace(whole, fragment=0x00B9)
    else:
        first, later = (replace(whole, extensions=[(FRAGMENT, rest)]) for rest in (FIRST_FRAGMENT, LATER_FRAGMENT))
    assert [bench.respond(part.frame()).action for part in (first, later)] == [PASSED, PASSED]
    counted = bench.counted()
    assert (counted["in_fragment"], counted["answered_by_fragment"]) == (2, 1)
    assert bench.rescue(asked.frame()).action == DROPPED
    assert bench.counted() == {"cancelled": 1}


@pytest.mark.volume
def test_fifteen_thousand_ids_and_again_do_not_fill_the_scoreboard(bench: KernelBench) -> None:
    """The published hedger's map is full after 10,240 ids; from then on it sends everything twice."""
    bench.switch(Mode.TAP)
    for start in (100_000, 115_000):
        for number in range(start, start + 15_000):
            asked = request(number)
            bench.split(asked.frame())
            bench.respond(response(asked).frame())
    assert bench.counted() == {"out_seen": 30_000, "requests": 30_000, "in_seen": 30_000, "answered": 30_000}


def test_latency_reaches_the_kernels_histogram(bench: KernelBench) -> None:
    bench.switch(Mode.TAP)
    before = sum(bench.programs.latency_histogram())
    asked = request(40)
    bench.split(asked.frame())
    time.sleep(0.001)
    bench.respond(response(asked).frame())
    assert sum(bench.programs.latency_histogram()) == before + 1
