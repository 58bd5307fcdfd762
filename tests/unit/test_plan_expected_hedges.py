"""How many hedges are to be expected of faults."""

from __future__ import annotations

import pytest

from orchestrator.plan.faults import expected_hedges
from support.experiments import faulty
from support.run_folder_factory import plan_of

CONSTANT = "workload.arrivals.process=constant"


def hedges(fault: str, *overrides: str) -> int:
    """Expected hedges of 1000 requests."""
    scenario = faulty(fault, overrides=(CONSTANT, *overrides)).scenario
    return expected_hedges(scenario, plan_of(scenario))


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        # of the ten requests in each of ten pauses the last one is answered within 10 ms
        ("{fault: pause, target: server-0, at: 200ms, duration: 100ms}", 90),
        ("{fault: pause, target: server-1, at: 200ms, duration: 100ms}", 0),
        ("{fault: pause, target: client, at: 200ms, duration: 100ms}", 0),
        ("{fault: kill, target: server-0, at: 200ms, duration: 100ms}", 100),
        ("{fault: kill, target: server-0, at: 200ms}", 800),
        ("{fault: gc, target: server-0, at: 200ms}", 0),
        ("{fault: cpu-stress, target: everything}", 0),
        ("{fault: slow, target: server-0, factor: 5}", 0),
        ("{fault: slow, target: server-0, factor: 6}", 1000),
        ("{fault: stall, target: server-0, when: id % 50 == 0, delay: 9ms}", 20),
        ("{fault: stall, target: server-0, when: id % 50 == 0, delay: 7ms}", 0),
        ("{fault: drop-requests, target: server-0, when: id % 50 == 0}", 20),
        ("{fault: loss, target: servers, percent: 10, direction: requests}", 100),
        ("{fault: loss, target: servers, percent: 10}", 190),
        ("{fault: partition, target: server-0, at: 200ms, duration: 100ms}", 100),
        ("{fault: corrupt, target: server-0, percent: 10}", 100),
        ("{fault: duplicate, target: server-0, percent: 10}", 0),
        ("{fault: delay, target: server-0, delay: 9ms, percent: 10}", 100),
        ("{fault: delay, target: server-0, delay: 5ms, direction: both}", 1000),
        ("{fault: delay, target: server-0, delay: 5ms}", 0),
        ("{fault: reorder, target: server-0, delay: 9ms, percent: 10}", 900),
        ("{fault: rate, target: server-0, rate: 1mbit}", 0),
    ],
)
def test_hedges_expected_of_a_fault(fault: str, expected: int) -> None:
    assert hedges(fault) == expected


def test_a_request_that_two_faults_affect_is_hedged_once() -> None:
    stall = "service={stall: {when: id % 50 == 0, duration: 400ms}}"
    assert hedges("{fault: drop-requests, target: server-0, when: id % 25 == 0}", stall) == 40
    assert hedges("{fault: loss, target: server-0, percent: 50, direction: requests}", stall) == 510
