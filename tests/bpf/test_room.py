"""Which request makes room in a full bucket of the scoreboard, and that none is taken for another."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import pytest

from hedgerow_hedger.programs import BUCKET_WAYS, Mode
from hedgerow_node.wire import IdPlace
from support.frames import Datagram
from support.kernel_bench import CLIENT4, DROPPED, PASSED, SERVER4, KernelBench
from support.prints import before_the_id, id_with_print, mix

if TYPE_CHECKING:
    from collections.abc import Callable


def low_half(bench: KernelBench) -> int:
    """The half that all prints of a test share, and with it their bucket; the scoreboard outlives a test."""
    return int(bench.programs.table("config_map")[ctypes.c_int(0)].block) * 0x9E3779B1 % (1 << 32)


@pytest.fixture
def crowd(bench: KernelBench) -> Callable[[int], Datagram]:
    """Request n of many whose prints differ in their upper halves only."""
    eight = IdPlace(0, 8)
    bench.configure(request_id=eight, response_id=eight, copy_ordinal=IdPlace(8, 1))
    bench.switch(Mode.HEDGE)
    half = low_half(bench)

    def member(number: int) -> Datagram:
        number = id_with_print(bench.programs, CLIENT4, (number + 1) << 32 | half)
        return Datagram(CLIENT4, SERVER4, number.to_bytes(8, "big") + bytes(8))

    return member


def answer(bench: KernelBench, asked: Datagram) -> int:
    return bench.respond(asked.reply(asked.payload).frame()).action


def is_known(bench: KernelBench, asked: Datagram) -> bool:
    """Whether a response to it is matched with a request."""
    bench.counted()
    answer(bench, asked)
    return "in_unmatched" not in bench.counted()


def test_the_print_is_the_one_that_the_tests_compute(bench: KernelBench, crowd: Callable[[int], Datagram]) -> None:
    asked = crowd(3)
    wanted = mix(before_the_id(bench.programs, CLIENT4) ^ int.from_bytes(asked.payload[:8], "big"))
    assert wanted == 4 << 32 | low_half(bench)
    bench.split(asked.frame())
    assert wanted in {print_ for bucket in bench.buckets_at(wanted) for print_ in bucket.print}


def test_a_stranger_with_an_equal_half_of_a_print_is_a_stranger(
    bench: KernelBench, crowd: Callable[[int], Datagram]
) -> None:
    bench.split(crowd(0).frame())
    assert not is_known(bench, crowd(1))
    bench.split(crowd(1).frame())
    assert bench.counted() == {"out_seen": 1, "requests": 1, "armed": 1}
    assert is_known(bench, crowd(0))


def test_a_full_bucket_gives_up_the_answered_before_the_waiting_and_the_older_first(
    bench: KernelBench, crowd: Callable[[int], Datagram]
) -> None:
    for number in range(BUCKET_WAYS):
        bench.split(crowd(number).frame())
    for number in (3, 1):
        answer(bench, crowd(number))
    bench.counted()
    bench.age(crowd(3), crowd(0))
    bench.split(crowd(10).frame())
    assert "evicted_live" not in bench.counted()
    assert [is_known(bench, crowd(number)) for number in (3, 1)] == [False, True]


def test_a_bucket_of_waiting_requests_gives_up_the_oldest_and_counts_it(
    bench: KernelBench, crowd: Callable[[int], Datagram]
) -> None:
    for number in range(BUCKET_WAYS):
        bench.split(crowd(number).frame())
    bench.age(crowd(4))
    bench.counted()
    bench.split(crowd(10).frame())
    assert bench.counted() == {"out_seen": 1, "requests": 1, "armed": 1, "evicted_live": 1}
    assert [number for number in range(BUCKET_WAYS) if not is_known(bench, crowd(number))] == [4]


def test_those_that_owe_a_response_stay_before_the_waiting_but_only_in_half_a_bucket(
    bench: KernelBench, crowd: Callable[[int], Datagram]
) -> None:
    """A loser whose request is forgotten is delivered: worse than a request that is not hedged."""
    for number in range(BUCKET_WAYS):
        bench.split(crowd(number).frame())
    for number in (0, 1):
        bench.hedge(crowd(number).frame())
        answer(bench, crowd(number))
    bench.age(crowd(0), crowd(1))
    bench.split(crowd(10).frame())  # at the cost of a waiting one
    bench.hedge(crowd(10).frame())
    bench.counted()
    bench.split(crowd(11).frame())  # three of six owe one: now one of these has to go
    assert bench.counted()["evicted_live"] == 1
    assert [answer(bench, crowd(number)) for number in (0, 1)].count(DROPPED) == 1


def test_the_expired_go_before_all_others(bench: KernelBench, crowd: Callable[[int], Datagram]) -> None:
    eight = IdPlace(0, 8)
    for number in range(BUCKET_WAYS):
        bench.split(crowd(number).frame())
    for number in range(1, BUCKET_WAYS):
        answer(bench, crowd(number))
    bench.hedge(crowd(0).frame())
    bench.configure(request_id=eight, response_id=eight, expiry_ns=1_000_000_000)
    bench.switch(Mode.HEDGE)
    bench.age(crowd(0))
    bench.split(crowd(10).frame())
    assert "evicted_live" not in bench.counted()
    assert [is_known(bench, crowd(number)) for number in range(2)] == [False, True]
    assert answer(bench, crowd(0)) == PASSED


def test_a_copy_whose_clock_was_read_before_the_firsts_is_no_new_request(
    bench: KernelBench, crowd: Callable[[int], Datagram]
) -> None:
    """Two CPUs read their clocks before either has the lock; nor does such a request make room for others."""
    asked = crowd(0)
    bench.split(asked.frame())
    bench.counted()
    bench.age(asked, by_ns=-1_000_000)
    bench.split(asked.frame())
    assert bench.counted() == {"out_seen": 1, "resent": 1}
    bench.split(crowd(1).frame())
    assert bench.counted() == {"out_seen": 1, "requests": 1, "armed": 1}
