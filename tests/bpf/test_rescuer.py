"""What becomes of a clone at its deadline, and of the hedge on its way out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hedgerow_hedger.programs import Identity, Mode, Target
from hedgerow_node.records import Winner
from support.datagrams import request, response
from support.frames import ETH_VLAN, HOP_BY_HOP, Datagram, options_header
from support.kernel_bench import (
    CLIENT4,
    CLIENT6,
    DROPPED,
    MARK_HEDGE,
    MARK_PRIMER,
    OTHER4,
    OTHER6,
    PASSED,
    REDIRECTED,
    REPLICAS4,
    REPLICAS6,
    SERVER4,
    SERVER6,
    STOLEN,
    KernelBench,
)

HOUR_NS = 3_600_000_000_000


def test_an_unanswered_request_is_hedged_with_the_very_same_frame(bench: KernelBench) -> None:
    bench.switch(Mode.HEDGE)
    frame = request(1).frame()
    bench.split(frame)
    verdict = bench.rescue(frame)
    assert (verdict.action, verdict.frame) == (REDIRECTED, frame)
    assert verdict.mark == MARK_HEDGE | bench.clone_mark(frame) & 0xFFFF
    assert bench.counted() == {"out_seen": 1, "requests": 1, "armed": 1, "rescued": 1}


def test_an_answered_request_is_not_hedged(bench: KernelBench) -> None:
    bench.switch(Mode.HEDGE)
    frame = request(2).frame()
    bench.split(frame)
    bench.respond(response(request(2)).frame())
    bench.counted()
    assert bench.rescue(frame).action == DROPPED
    assert bench.counted() == {"cancelled": 1}


def test_the_tap_sees_the_hedge_leave_and_gives_back_the_clients_mark_and_priority(bench: KernelBench) -> None:
    bench.switch(Mode.HEDGE)
    asked = request(3)
    assert bench.split(asked.frame(), mark=0xABCD0007, priority=6).mark == 0xABCD0007
    crossed = bench.rescue(asked.frame())
    left = bench.leave(asked.frame(), crossed.mark)
    assert (left.action, left.mark, left.priority, left.frame) == (PASSED, 0xABCD0007, 6, asked.frame())
    bench.respond(response(asked, copy=2).frame())
    (hedge,) = bench.hedges()
    assert (hedge.request_id, hedge.copy, hedge.replica, hedge.winner) == (3, 2, 0, Winner.HEDGE)
    assert hedge.request_ns < hedge.deadline_ns <= hedge.departure_ns <= hedge.first_response_ns
    counted = bench.counted()
    assert counted["rescued"] == counted["hedges_sent"] == counted["hedges_won"] == 1


def test_arming_leaves_mark_priority_and_frame_alone(bench: KernelBench) -> None:
    bench.switch(Mode.HEDGE)
    frame = request(4).frame()
    verdict = bench.split(frame, mark=0x12345678, priority=3)
    assert (verdict.frame, verdict.mark, verdict.priority) == (frame, 0x12345678, 3)


def test_a_clone_whose_request_is_forgotten_is_dropped(bench: KernelBench) -> None:
    bench.switch(Mode.HEDGE)
    assert bench.rescue(request(6).frame()).action == DROPPED
    assert bench.counted() == {"lost": 1}


def test_a_clone_is_dropped_once_hedging_is_switched_off(bench: KernelBench) -> None:
    bench.switch(Mode.HEDGE)
    bench.split(request(7).frame())
    bench.switch(Mode.TAP)
    bench.counted()
    assert bench.rescue(request(7).frame()).action == DROPPED
    assert bench.counted() == {"disarmed": 1}


def test_only_clones_cross_the_delay_link(bench: KernelBench) -> None:
    bench.switch(Mode.HEDGE)
    bench.split(request(8).frame())
    bench.counted()
    for mark in (MARK_PRIMER, MARK_PRIMER | 17, 0, 7, MARK_HEDGE, 0x0002FFFF):
        assert bench.rescue(request(8).frame(), mark=mark).action == DROPPED
    assert bench.counted() == {"primers": 2, "stray": 4}


def test_an_unparsable_clone_is_dropped(bench: KernelBench) -> None:
    bench.switch(Mode.HEDGE)
    for frame in (replace(request(9), fragment=0x2000).frame(), replace(request(9), destination=OTHER4).frame()):
        assert bench.rescue(frame).action == DROPPED
    assert bench.counted() == {"rescue_failed": 2}


def test_the_budget_is_a_token_bucket(bench: KernelBench) -> None:
    """Burst 2, 10 %: of twenty due at once two are sent, after ten more requests one more is."""
    bench.configure(budget_ratio=0.1, budget_burst=2)
    bench.switch(Mode.HEDGE)
    frames = [request(100 + n).frame() for n in range(31)]
    for frame in frames[:20]:
        bench.split(frame)
    actions = [bench.rescue(frame).action for frame in frames[:20]]
    assert actions == [REDIRECTED] * 2 + [DROPPED] * 18
    for frame in frames[20:30]:
        bench.split(frame)
    assert [bench.rescue(frame).action for frame in frames[20:22]] == [REDIRECTED, DROPPED]
    counted = bench.counted()
    assert (counted["requests"], counted["rescued"], counted["budget_denied"]) == (30, 3, 19)


def test_a_hedge_whose_request_is_forgotten_does_not_leave(bench: KernelBench) -> None:
    """Whether it was answered, and which mark it should have, is not known any more."""
    bench.switch(Mode.HEDGE)
    verdict = bench.leave(request(11).frame(), MARK_HEDGE | 0x1234)
    assert verdict.action == STOLEN
    assert bench.counted() == {"out_seen": 1, "hedges_untracked": 1}


def test_a_hedge_that_waited_for_its_neighbour_is_looked_at_again(bench: KernelBench) -> None:
    """Meanwhile the request was answered, or its id used again; or it is too late for any hedge."""
    bench.switch(Mode.HEDGE)
    asked = request(12)
    bench.split(asked.frame())
    waiting = bench.rescue(asked.frame())
    bench.respond(response(asked).frame())
    assert bench.leave(waiting.frame, waiting.mark).action == STOLEN
    bench.split(asked.frame())
    assert bench.leave(waiting.frame, waiting.mark).action == STOLEN
    counted = bench.counted()
    assert (counted["requests"], counted["late_dropped"], counted.get("hedges_sent")) == (2, 2, None)
    assert [bench.respond(response(asked).frame()).action for _ in range(2)] == [PASSED] * 2, "no hedge was sent"

    bench.configure(max_late_ns=0)
    bench.switch(Mode.HEDGE)
    bench.split(request(13).frame())
    assert bench.hedge(request(13).frame()).action == STOLEN
    assert bench.counted()["late_dropped"] == 1


def test_a_hedge_that_does_not_leave_gives_its_token_back(bench: KernelBench) -> None:
    bench.configure(budget_ratio=0, budget_burst=1)
    bench.switch(Mode.HEDGE)
    asked = request(14)
    bench.split(asked.frame())
    waiting = bench.rescue(asked.frame())
    bench.respond(response(asked).frame())
    assert bench.leave(waiting.frame, waiting.mark).action == STOLEN
    bench.split(request(15).frame())
    assert bench.rescue(request(15).frame()).action == REDIRECTED


def test_a_hedge_leaves_once(bench: KernelBench) -> None:
    bench.switch(Mode.HEDGE)
    asked = request(16)
    bench.split(asked.frame())
    assert [bench.hedge(asked.frame()).action for _ in range(2)] == [PASSED, STOLEN]
    assert [bench.respond(response(asked).frame()).action for _ in range(3)] == [PASSED, DROPPED, PASSED]


@pytest.mark.parametrize("mark", [MARK_HEDGE, MARK_HEDGE | 0x1234])
def test_a_packet_with_a_hedges_mark_that_no_engine_sent_is_a_request(bench: KernelBench, mark: int) -> None:
    """Other programs mark packets, too: it keeps its mark, and its hedge bears it again."""
    if not bench.says_where_from:
        pytest.skip("not told where a frame is from; in_guest/test_lateness.py sends such packets")
    bench.switch(Mode.HEDGE)
    asked = request(17)
    assert bench.split(asked.frame(), mark=mark).mark == mark
    assert bench.counted() == {"out_seen": 1, "requests": 1, "armed": 1}
    crossed = bench.rescue(asked.frame())
    assert bench.leave(crossed.frame, crossed.mark).mark == mark


def test_nothing_is_hedged_before_its_deadline_nor_long_after_it(bench: KernelBench) -> None:
    """A delay line whose qdisc another program has removed delays nothing."""
    bench.configure(delay_ns=HOUR_NS, expiry_ns=10 * HOUR_NS)
    bench.switch(Mode.HEDGE)
    bench.split(request(18).frame())
    assert bench.rescue(request(18).frame()).action == DROPPED
    assert bench.counted() == {"out_seen": 1, "requests": 1, "armed": 1, "early": 1}
    bench.configure(max_late_ns=0)
    bench.switch(Mode.HEDGE)
    bench.split(request(19).frame())
    assert bench.rescue(request(19).frame()).action == DROPPED
    assert bench.counted() == {"out_seen": 1, "requests": 1, "armed": 1, "late": 1}


def zero_between() -> Datagram:
    """A datagram whose checksum is zero once its address is rewritten but not yet its port: IPv6 has no zero sums."""
    payload = request(56).payload + b"\0\0"
    checksum = Datagram(CLIENT6, (OTHER6[0], SERVER6[1]), payload).frame()[14 + 40 + 6 :][:2]
    return Datagram(CLIENT6, SERVER6, payload[:-2] + checksum)


REPLICA_CASES = {
    "IPv4": Datagram(CLIENT4, SERVER4, request(50).payload),
    "IPv4 with options": Datagram(CLIENT4, SERVER4, request(51).payload, options=b"\1" * 8),
    "IPv4 without UDP checksum": Datagram(CLIENT4, SERVER4, request(52).payload, udp_checksum=0),
    "IPv4, odd length": Datagram(CLIENT4, SERVER4, request(53).payload + b"x"),
    "IPv6": Datagram(CLIENT6, SERVER6, request(54).payload),
    "IPv6 with a sum that is zero in between": zero_between(),
    "IPv6 with options": Datagram(CLIENT6, SERVER6, request(55).payload, extensions=[(HOP_BY_HOP, options_header())]),
}


@pytest.mark.parametrize("name", REPLICA_CASES)
def test_a_hedge_to_another_replica_and_its_answer_have_the_right_addresses_and_sums(
    bench: KernelBench, name: str
) -> None:
    bench.configure(replicas=2)
    bench.switch(Mode.HEDGE)
    asked = REPLICA_CASES[name]
    other = OTHER6 if ":" in asked.source[0] else OTHER4
    bench.split(asked.frame())
    crossed = bench.rescue(asked.frame())
    assert (crossed.action, crossed.frame) == (REDIRECTED, replace(asked, destination=other).frame())

    bench.leave(crossed.frame, crossed.mark)
    answer = asked.reply(asked.payload)
    arrived = bench.respond(replace(answer, source=other).frame())
    assert (arrived.action, arrived.frame) == (PASSED, answer.frame())

    assert bench.respond(answer.frame()).action == DROPPED
    (hedge,) = bench.hedges()
    assert (hedge.replica, hedge.winner) == (1, Winner.HEDGE)
    counted = bench.counted()
    assert (counted["hedges_sent"], counted["hedges_won"], counted["duplicates_dropped"]) == (1, 1, 1)


def test_the_first_replicas_answer_may_still_win(bench: KernelBench) -> None:
    bench.configure(replicas=2)
    bench.switch(Mode.HEDGE)
    asked = request(60)
    bench.split(asked.frame())
    crossed = bench.rescue(asked.frame())
    bench.leave(crossed.frame, crossed.mark)
    assert bench.respond(response(asked).frame()).action == PASSED
    assert bench.respond(replace(response(asked), source=OTHER4).frame()).action == DROPPED
    assert [hedge.winner for hedge in bench.hedges()] == [Winner.PRIMARY]


def test_the_answer_to_a_copy_that_the_client_sent_to_another_replica_is_left_alone(bench: KernelBench) -> None:
    bench.configure(replicas=2)
    bench.switch(Mode.HEDGE)
    asked = request(61)
    bench.split(asked.frame())
    directly = replace(asked, destination=OTHER4)
    assert bench.split(directly.frame()).action == PASSED
    frame = response(directly).frame()
    verdict = bench.respond(frame)
    assert (verdict.action, verdict.frame) == (PASSED, frame)
    counted = bench.counted()
    assert (counted["requests"], counted["resent"], counted["in_unmatched"]) == (1, 1, 1)


def test_a_tagged_frame_is_not_sent_to_another_replica(bench: KernelBench) -> None:
    """Its tag and link address lead to the replica that was asked."""
    bench.configure(replicas=2, budget_ratio=0, budget_burst=1)
    bench.switch(Mode.HEDGE)
    frame = replace(request(62), vlan=[ETH_VLAN]).frame()
    bench.split(frame)
    assert bench.rescue(frame).action == DROPPED
    assert bench.counted()["rescue_failed"] == 1
    other = request(63).frame()
    bench.split(other)
    assert bench.rescue(other).action == REDIRECTED, "the only token was spent on a hedge that could not leave"


@pytest.mark.parametrize("primary_replica", range(3))
@pytest.mark.parametrize("request_id", [70, 71])
@pytest.mark.parametrize(("client", "addresses"), [(CLIENT4, REPLICAS4), (CLIENT6, REPLICAS6)], ids=["IPv4", "IPv6"])
def test_the_hedge_goes_to_another_replica_and_its_answer_comes_from_the_primarys(
    bench: KernelBench,
    client: tuple[str, int],
    addresses: tuple[tuple[str, int], ...],
    request_id: int,
    primary_replica: int,
) -> None:
    bench.configure(replicas=3)
    bench.switch(Mode.HEDGE)
    hedged_replica = (primary_replica + 1 + request_id % 2) % 3
    asked = request(request_id, client, addresses[primary_replica])
    hedge = replace(asked, destination=addresses[hedged_replica])
    bench.split(asked.frame())
    crossed = bench.rescue(asked.frame())
    assert (crossed.action, crossed.frame) == (REDIRECTED, hedge.frame())
    bench.leave(crossed.frame, crossed.mark)

    (uninvolved,) = set(range(3)) - {primary_replica, hedged_replica}
    from_elsewhere = replace(response(asked), source=addresses[uninvolved]).frame()
    ignored = bench.respond(from_elsewhere)
    assert (ignored.action, ignored.frame) == (PASSED, from_elsewhere)
    arrived = bench.respond(response(hedge).frame())
    assert (arrived.action, arrived.frame) == (PASSED, response(asked).frame())
    assert bench.respond(response(asked).frame()).action == DROPPED
    (record,) = bench.hedges()
    assert (record.replica, record.winner) == (hedged_replica, Winner.HEDGE)
    counted = bench.counted()
    assert (counted["hedges_won"], counted["duplicates_dropped"], counted["in_unmatched"]) == (1, 1, 1)


@pytest.mark.parametrize("primary_replica", range(3))
def test_with_target_same_the_hedge_goes_to_the_primarys_replica(bench: KernelBench, primary_replica: int) -> None:
    bench.configure(replicas=3, target=Target.SAME)
    bench.switch(Mode.HEDGE)
    asked = request(72, server=REPLICAS4[primary_replica])
    bench.split(asked.frame())
    crossed = bench.rescue(asked.frame())
    assert (crossed.action, crossed.frame) == (REDIRECTED, asked.frame())
    bench.leave(crossed.frame, crossed.mark)
    assert bench.respond(response(asked, copy=2).frame()).frame == response(asked, copy=2).frame()
    (record,) = bench.hedges()
    assert (record.replica, record.winner) == (primary_replica, Winner.HEDGE)


@pytest.mark.parametrize("primary_replica", range(3))
@pytest.mark.parametrize("winner", [Winner.PRIMARY, Winner.HEDGE])
def test_the_tap_knows_by_the_replica_which_copy_of_a_rival_won(
    bench: KernelBench, primary_replica: int, winner: Winner
) -> None:
    bench.configure(replicas=3)
    bench.switch(Mode.TAP, Identity.BLOCK, block=1)
    asked = request(73, server=REPLICAS4[primary_replica])
    hedge = request(73, client=(CLIENT4[0], 50000), server=REPLICAS4[(primary_replica + 1) % 3])
    bench.split(asked.frame())
    bench.split(hedge.frame())
    answered = hedge if winner == Winner.HEDGE else asked
    bench.respond(response(answered).frame())
    (record,) = bench.hedges()
    assert (record.replica, record.winner) == ((primary_replica + 1) % 3, winner)


def test_an_answer_in_fragments_that_cannot_get_the_primarys_address_answers_nothing(bench: KernelBench) -> None:
    bench.configure(replicas=2)
    bench.switch(Mode.HEDGE)
    asked = request(74)
    bench.split(asked.frame())
    crossed = bench.rescue(asked.frame())
    bench.leave(crossed.frame, crossed.mark)
    bench.respond(replace(response(asked), source=OTHER4, fragment=0x2000).frame())
    assert bench.respond(response(asked).frame()).action == PASSED
    counted = bench.counted()
    assert (counted["answered"], counted.get("answered_by_fragment")) == (1, None)
