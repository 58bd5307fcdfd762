"""Flows that use an id again: what belongs to the earlier request must not be taken for the later one's."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hedgerow_hedger.programs import Mode, Target
from hedgerow_node.records import Winner
from support.datagrams import request, response
from support.kernel_bench import DROPPED, PASSED, REDIRECTED, REPLICAS4, KernelBench

if TYPE_CHECKING:
    from support.frames import Datagram

ASKED, OTHER, THIRD = REPLICAS4


@pytest.fixture
def hedging(bench: KernelBench) -> KernelBench:
    """With three replicas, of which the hedge of an even id goes to the next one."""
    bench.configure(replicas=3)
    bench.switch(Mode.HEDGE)
    return bench


def hedge(bench: KernelBench, asked: Datagram) -> None:
    """The request leaves, waits and is hedged."""
    bench.split(asked.frame())
    crossed = bench.rescue(asked.frame())
    assert crossed.action == REDIRECTED
    bench.leave(crossed.frame, crossed.mark)


def answer(bench: KernelBench, asked: Datagram, replica: tuple[str, int] = ASKED) -> int:
    """A response to it comes from that replica; what becomes of it."""
    return bench.respond(replace(response(asked), source=replica).frame()).action


def test_an_answered_id_may_be_used_again(bench: KernelBench) -> None:
    bench.switch(Mode.HEDGE)
    asked = request(4)
    for _ in range(5):
        bench.split(asked.frame())
        bench.hedge(asked.frame())
        assert bench.respond(response(asked).frame()).action == PASSED
        assert bench.respond(response(asked).frame()).action == DROPPED
    counted = bench.counted()
    assert (counted["requests"], counted["armed"], counted["answered"], counted["duplicates_dropped"]) == (5, 5, 5, 5)


def test_an_id_used_again_while_an_old_response_is_outstanding_is_not_hedged_and_loses_nothing(
    bench: KernelBench,
) -> None:
    """The old hedge's response cannot be distinguished from the new request's: all pass."""
    bench.switch(Mode.HEDGE)
    asked = request(11)
    bench.split(asked.frame())
    bench.hedge(asked.frame())
    bench.respond(response(asked).frame())
    bench.counted()
    bench.split(asked.frame())
    assert [bench.respond(response(asked).frame()).action for _ in range(2)] == [PASSED, PASSED]
    counted = bench.counted()
    assert (counted["requests"], counted["reused_early"]) == (1, 1)
    assert "armed" not in counted


def test_a_clone_of_an_earlier_request_hedges_nothing_however_late_it_comes(bench: KernelBench) -> None:
    """Their payloads differ, though not their ids: a hedge of the one is none of the other."""
    bench.switch(Mode.HEDGE)
    asked = request(4)
    bench.split(asked.frame())
    late = bench.clone_mark(asked.frame())
    bench.respond(response(asked).frame())
    bench.split(asked.frame())
    bench.counted()
    assert bench.rescue(asked.frame(), mark=late).action == DROPPED
    assert bench.counted() == {"outdated": 1}
    assert bench.rescue(asked.frame()).action == REDIRECTED


def test_a_request_that_is_not_armed_is_not_hedged_by_an_earlier_ones_clone(bench: KernelBench) -> None:
    bench.switch(Mode.HEDGE)
    asked = request(6)
    for _ in range(2):
        bench.split(asked.frame())
    late = bench.clone_mark(asked.frame())
    bench.respond(response(asked).frame())
    bench.split(asked.frame())
    assert bench.rescue(asked.frame(), mark=late).action == DROPPED
    counted = bench.counted()
    assert (counted["reused_early"], counted["outdated"]) == (1, 1)


def test_a_loser_is_waited_for_over_as_many_requests_as_come_before_it(bench: KernelBench) -> None:
    """A hedge wins, the primary's response is long in coming: it would pass for any of the next ones' answers."""
    bench.configure(target=Target.SAME)
    bench.switch(Mode.HEDGE)
    asked = request(8)
    hedge(bench, asked)
    assert answer(bench, asked) == PASSED
    for _ in range(3):
        bench.split(asked.frame())
        assert answer(bench, asked) == PASSED
    assert bench.counted()["reused_early"] == 3
    assert answer(bench, asked) == PASSED
    bench.split(asked.frame())
    assert bench.counted()["armed"] == 1


def test_a_loser_that_never_comes_is_not_waited_for_longer_than_its_request_counts(bench: KernelBench) -> None:
    bench.configure(target=Target.SAME, expiry_ns=1_000_000_000)
    bench.switch(Mode.HEDGE)
    asked = request(10)
    hedge(bench, asked)
    assert answer(bench, asked) == PASSED
    bench.split(asked.frame())
    assert answer(bench, asked) == PASSED
    assert bench.counted()["reused_early"] == 1
    time.sleep(0.6)
    bench.split(asked.frame())
    assert answer(bench, asked) == PASSED
    time.sleep(0.6)
    bench.split(asked.frame())
    # A host that slept longer than it should has armed the one before, too.
    assert bench.counted().get("armed", 0) >= 1


def test_another_replicas_late_answer_is_not_given_to_the_next_request(hedging: KernelBench) -> None:
    """Rewritten, it would come from the primary's address, with the old request's payload."""
    asked = request(12)
    hedge(hedging, asked)
    assert answer(hedging, asked) == PASSED
    hedging.split(asked.frame())
    assert answer(hedging, asked, OTHER) == DROPPED
    assert answer(hedging, asked) == PASSED
    counted = hedging.counted()
    assert (counted["answered"], counted["duplicates_dropped"]) == (2, 1)
    assert "duplicates_passed" not in counted
    hedging.split(asked.frame())
    assert hedging.counted()["armed"] == 1


def test_of_what_comes_from_there_only_the_loser_is_dropped(hedging: KernelBench) -> None:
    asked = request(14)
    hedge(hedging, asked)
    assert answer(hedging, asked) == PASSED
    hedging.split(asked.frame())
    assert [answer(hedging, asked, OTHER) for _ in range(3)] == [DROPPED, PASSED, PASSED]


def test_the_answer_to_a_clients_own_retry_at_another_replica_is_not_dropped(hedging: KernelBench) -> None:
    """No hedge was sent, so no response is one too many."""
    asked = request(16)
    hedging.split(asked.frame())
    hedging.split(asked.frame())
    assert answer(hedging, asked) == PASSED
    hedging.split(replace(asked, destination=THIRD).frame())
    assert answer(hedging, asked) == PASSED
    assert answer(hedging, asked, THIRD) == PASSED
    assert "duplicates_dropped" not in hedging.counted()


def test_winners_are_those_of_their_own_request(hedging: KernelBench) -> None:
    asked = request(18)
    for _ in range(2):
        hedge(hedging, asked)
        assert answer(hedging, asked, OTHER) == PASSED
        assert answer(hedging, asked) == DROPPED
    assert [record.winner for record in hedging.hedges()] == [Winner.HEDGE, Winner.HEDGE]
