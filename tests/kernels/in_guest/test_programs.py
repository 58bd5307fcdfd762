"""What every program costs on this kernel, in instructions: the verifier's, and each run's.

Nothing but a machine that counts instructions can say the second: there one takes a nanosecond. Both are left for the
host's test, which prints and keeps them.
"""

from __future__ import annotations

from dataclasses import asdict
from statistics import median

import pytest

from hedgerow_hedger.programs import DelayLineKind, KernelPrograms, Mode
from kernels.written_down import PER_RUN, VERIFIED, leave
from support.datagrams import request, response
from support.engines import VARIANTS, loaded
from support.kernel_bench import DROPPED, PASSED, KernelBench, kernel_bench, run
from support.verifier import empty_program, program_names, verify

pytestmark = pytest.mark.root

RUNS = 200
MOST_PROCESSED = 500_000  #: half of what any kernel's verifier allows: the next one may follow more paths


@pytest.fixture(scope="module", params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def programs(variant: str) -> KernelPrograms:
    return loaded(variant)


def test_the_kernel_takes_every_program_and_is_far_from_its_limit(programs: KernelPrograms, variant: str) -> None:
    verified = {name: verify(programs, name) for name in sorted(program_names(programs))}
    assert {"splitter", "responder", "rescuer"} <= verified.keys()
    leave(VERIFIED, variant, {name: asdict(figures) for name, figures in verified.items()})
    assert [name for name, figures in verified.items() if figures.processed > MOST_PROCESSED] == []


def instructions(bench: KernelBench) -> dict[str, list[int]]:
    """Of each run, what running an empty program takes among them."""
    taken: dict[str, list[int]] = {"splitter": [], "responder": [], "rescuer": []}
    for number in range(RUNS):
        asked = request(number)
        left, answered = bench.split(asked.frame()), bench.respond(response(asked).frame())
        crossed = bench.rescue(asked.frame())
        assert (left.action, answered.action, crossed.action) == (PASSED, PASSED, DROPPED)
        for name, verdict in zip(taken, (left, answered, crossed), strict=True):
            taken[name].append(verdict.duration_ns)
    return taken


def test_instructions_of_a_request_that_needs_no_hedge(programs: KernelPrograms, variant: str) -> None:
    with kernel_bench(programs, DelayLineKind.HTB) as bench, empty_program() as empty:
        bench.begin()
        bench.switch(Mode.HEDGE)
        none = median(run(empty, request(number).frame()).duration_ns for number in range(RUNS))
        taken = instructions(bench)
        counted = bench.counted()
    assert (counted["requests"], counted["answered"], counted["cancelled"]) == (RUNS,) * 3
    per_run = {name: median(values) - none for name, values in taken.items()}
    leave(PER_RUN, variant, {"an empty program": none, **per_run})
    assert all(0 < figure < 100_000 for figure in per_run.values()), per_run
