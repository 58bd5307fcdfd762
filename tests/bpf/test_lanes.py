"""The lanes of an HTB delay line, which only clones wait in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hedgerow_hedger.programs import Mode
from hedgerow_node.lanes import LANES
from support.datagrams import request

if TYPE_CHECKING:
    from support.kernel_bench import KernelBench

pytestmark = pytest.mark.parametrize("programs", ["clone-testbed"], indirect=True)

HOUR_NS = 3_600_000_000_000


def test_more_requests_at_once_than_lanes(bench: KernelBench) -> None:
    """Their clones would leave late, so they are not armed, and counted; a lane is free again after its clone."""
    bench.configure(delay_ns=HOUR_NS, expiry_ns=10 * HOUR_NS)
    bench.switch(Mode.HEDGE)
    for n in range(LANES + 5):
        bench.split(request(1000 + n).frame())
    counted = bench.counted()
    assert (counted["requests"], counted["armed"], counted["lane_busy"]) == (LANES + 5, LANES, 5)


def test_a_lane_whose_clone_was_lost_does_not_delay_the_others(bench: KernelBench) -> None:
    bench.switch(Mode.HEDGE)
    bench.occupy_lane(0)
    for n in range(2 * LANES):
        bench.split(request(2000 + n).frame())
        bench.rescue(request(2000 + n).frame())
    counted = bench.counted()
    assert (counted["armed"], counted.get("lane_busy")) == (2 * LANES, None)
