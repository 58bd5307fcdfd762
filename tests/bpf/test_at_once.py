"""Two CPUs at once: what is decided once is decided once, and the counters come out exactly."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from hedgerow_hedger.programs import Mode
from support.datagrams import request, response
from support.kernel_bench import DROPPED, PASSED, KernelBench, run
from support.policy import cannot_run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


#: An emulated machine is a hundred times as slow, and its two CPUs meet as often.
ROUNDS = 100 if "HEDGEROW_GUEST" in os.environ else 3_000


@pytest.fixture(autouse=True)
def two_cpus() -> None:
    if len(os.sched_getaffinity(0)) < 2:
        cannot_run("needs two CPUs")


def at_once(jobs: Sequence[Callable[[int], int]], rounds: int) -> list[list[int]]:
    """Each job runs on a CPU of its own, `rounds` times with the round's number, neck and neck with the others; what
    they returned, by round.
    """
    cpus = sorted(os.sched_getaffinity(0))
    barrier = threading.Barrier(len(jobs))
    returned: list[list[int]] = [[] for _ in range(rounds)]
    parts: list[list[int]] = [[] for _ in jobs]

    def work(which: int) -> None:
        os.sched_setaffinity(0, {cpus[which % len(cpus)]})
        for number in range(rounds):
            barrier.wait()
            parts[which].append(jobs[which](number))

    threads = [threading.Thread(target=work, args=(which,)) for which in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for part in parts:
        for number, value in enumerate(part):
            returned[number].append(value)
    return returned


def test_of_two_answers_at_once_one_is_the_first(bench: KernelBench) -> None:
    rounds = ROUNDS
    bench.switch(Mode.HEDGE)
    for number in range(rounds):
        bench.split(request(number).frame())
        crossed = bench.rescue(request(number).frame())
        assert bench.leave(crossed.frame, crossed.mark).action == PASSED
    bench.counted()
    fd = bench.programs.responder.fd
    frames = [response(request(number)).frame() for number in range(rounds)]
    actions = at_once([lambda number: run(fd, frames[number]).action] * 2, rounds)
    assert all(sorted(pair) == sorted((PASSED, DROPPED)) for pair in actions)
    counted = bench.counted()
    assert counted.pop("hedges_won_unknown") == rounds
    assert counted == {"in_seen": 2 * rounds, "answered": rounds, "duplicates_dropped": rounds}


def test_the_same_answers_over_and_over_from_both_sides(bench: KernelBench) -> None:
    """The kernel's own loop, without Python between: a hundred thousand answers a side to one hedged request."""
    repeat = 100_000
    bench.switch(Mode.HEDGE)
    bench.split(request(1).frame())
    bench.hedge(request(1).frame())
    bench.counted()
    fd, frame = bench.programs.responder.fd, response(request(1)).frame()
    at_once([lambda _: run(fd, frame, repeat=repeat).action] * 2, 1)
    counted = bench.counted()
    assert (counted["in_seen"], counted["answered"], counted["duplicates_dropped"]) == (2 * repeat, 1, 1)
    assert counted["duplicates_passed"] == 2 * repeat - 2


def test_of_two_copies_at_once_one_is_the_request(bench: KernelBench) -> None:
    rounds = ROUNDS
    bench.switch(Mode.TAP)
    fd = bench.programs.splitter.fd
    frames = [request(number).frame() for number in range(rounds)]
    at_once([lambda number: run(fd, frames[number]).action] * 2, rounds)
    counted = bench.counted()
    assert counted == {"out_seen": 2 * rounds, "requests": rounds, "hedges_sent": rounds}
    hedges = bench.hedges()
    assert len({hedge.request_id for hedge in hedges}) == len(hedges) == rounds
