"""When faults happen and which requests they concern: a matter of the scenario and its seed, of nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgerow_node.units import NS_PER_MS, NS_PER_S
from hedgerow_node.workload import send_offsets_ns
from orchestrator.plan.faults import UNKNOWN, Occurrence, affected_ids, eligible_ids, primary_of, timeline
from support.experiments import experiment_of, faulty
from support.run_folder_factory import plan_of, scenario_from

CONSTANT = "workload.arrivals.process=constant"
JITTERED = "{fault: pause, target: server-0, at: 50ms, duration: 60ms, every: 200ms, jitter: 100ms}"


def test_occurrences_follow_at_and_every_until_the_shortest_block_is_over() -> None:
    scenario = faulty("{fault: pause, target: server-0, at: 100ms, duration: 50ms, every: 300ms}").scenario
    starts_ms = [100, 400, 700]
    assert timeline(scenario) == tuple(
        Occurrence(0, number, start * NS_PER_MS, (start + 50) * NS_PER_MS) for number, start in enumerate(starts_ms)
    )
    assert [occurrence.key for occurrence in timeline(scenario)] == ["0.0", "0.1", "0.2"]


def test_the_shortest_block_bounds_the_timeline_of_all() -> None:
    fault = "{fault: restart, target: server-0, at: 90ms, every: 100ms}"
    scenario = faulty(fault, overrides=("workload.requests=1009",)).scenario
    assert timeline(scenario)[-1].offset_ns == 990 * NS_PER_MS


def test_several_faults_stand_in_the_order_of_their_times() -> None:
    scenario = faulty(
        "{fault: pause, target: server-0, at: 500ms, duration: 50ms}",
        "{fault: loss, target: servers, percent: 1}",
        "{fault: kill, target: server-1, at: 200ms}",
        "{fault: restart, target: server-2, at: 300ms}",
    ).scenario
    times = [(each.key, each.offset_ns // NS_PER_MS, each.until_ns) for each in timeline(scenario)]
    assert times == [
        ("1.0", 0, None),
        ("2.0", 200, None),
        ("3.0", 300, 300 * NS_PER_MS),
        ("0.0", 500, 550 * NS_PER_MS),
    ]


def test_one_seed_gives_one_timeline_and_another_seed_another() -> None:
    timelines = [timeline(faulty(JITTERED, overrides=(f"workload.seed={seed}",)).scenario) for seed in (7, 7, 8)]
    assert timelines[0] == timelines[1] != timelines[2]


def test_faults_with_the_same_times_have_jitter_of_their_own() -> None:
    other = JITTERED.replace("server-0", "server-1")
    occurrences = timeline(faulty(JITTERED, other).scenario)
    offsets = [[each.offset_ns for each in occurrences if each.fault == index] for index in (0, 1)]
    assert offsets[0] != offsets[1]


@given(seed=st.integers(0, 2**63 - 1))
def test_jitter_only_ever_delays_and_stays_below_its_bound(seed: int) -> None:
    for occurrence in timeline(faulty(JITTERED, overrides=(f"workload.seed={seed}",)).scenario):
        regular_ns = (50 + 200 * occurrence.number) * NS_PER_MS
        assert regular_ns <= occurrence.offset_ns < regular_ns + 100 * NS_PER_MS
        assert occurrence.until_ns == occurrence.offset_ns + 60 * NS_PER_MS


def test_the_timeline_knows_neither_strategies_nor_their_order() -> None:
    fewer = faulty(JITTERED, overrides=("strategies=[kernel]", "design.seed=9")).scenario
    assert timeline(fewer) == timeline(faulty(JITTERED).scenario)


@given(
    process=st.sampled_from(["poisson", "constant"]),
    offset_ns=st.integers(0, 2 * NS_PER_S),
    length_ns=st.one_of(st.none(), st.integers(0, 2 * NS_PER_S)),
    number=st.integers(0, 9),
)
def test_affected_are_the_ids_meant_to_be_sent_while_the_fault_is_on(
    process: str, offset_ns: int, length_ns: int | None, number: int
) -> None:
    scenario = SCENARIOS[process]
    block = plan_of(scenario).of("kernel")[number]
    until_ns = None if length_ns is None else offset_ns + length_ns
    affected = affected_ids(scenario, block, Occurrence(0, 0, offset_ns, until_ns))
    offsets = send_offsets_ns(process, 100.0, scenario.workload.seed, block.first_id, block.count)
    assert list(affected) == [
        block.first_id + index
        for index, sent_ns in enumerate(offsets)
        if offset_ns <= sent_ns and (until_ns is None or sent_ns < until_ns)
    ]


SCENARIOS = {
    process: faulty(JITTERED, overrides=(f"workload.arrivals.process={process}",)).scenario
    for process in ("poisson", "constant")
}


def test_every_strategy_meets_a_fault_with_the_same_ids() -> None:
    scenario = SCENARIOS["poisson"]
    plan = plan_of(scenario)
    for occurrence in timeline(scenario):
        affected = [
            [affected_ids(scenario, block, occurrence) for block in plan.of(strategy)]
            for strategy in scenario.strategies
        ]
        assert affected[0] == affected[1] == affected[2]


def test_in_closed_arrivals_a_fault_is_there_for_the_whole_block() -> None:
    scenario = scenario_from("smoke", "faults=[{fault: loss, target: server-0, percent: 1}]")
    (occurrence,) = timeline(scenario)
    block = plan_of(scenario).of("kernel")[1]
    assert (occurrence.offset_ns, occurrence.until_ns) == (0, None)
    assert affected_ids(scenario, block, occurrence) == range(100, 200)


def test_no_faults_make_no_timeline() -> None:
    assert timeline(scenario_from("smoke")) == ()


def eligible(fault: str, *overrides: str) -> list[int]:
    """Ids of the second block (100 to 199, sent 10 ms apart) eligible for the first occurrence of `fault`."""
    scenario = faulty(fault, overrides=(CONSTANT, *overrides)).scenario
    return eligible_ids(scenario, plan_of(scenario).of("kernel")[1], timeline(scenario)[0])


def test_requests_sent_while_it_is_on_to_its_target() -> None:
    pause = "{fault: pause, target: server-0, at: 200ms, duration: 100ms}"
    assert eligible(pause) == list(range(120, 130))
    assert eligible(pause, "workload.spread=round-robin") == [120, 123, 126, 129]
    assert eligible(pause.replace("server-0", "server-1")) == []
    assert eligible(pause.replace("server-0", "servers"), "workload.spread=round-robin") == list(range(120, 130))
    assert eligible(pause.replace("server-0", "client")) == list(range(120, 130))


def test_requests_that_meet_its_condition() -> None:
    stall = '{fault: stall, target: servers, at: 200ms, duration: 100ms, when: "id % 4 == 0", delay: 1s}'
    assert eligible(stall) == [120, 124, 128]


def test_a_primary_goes_where_the_spread_says_or_where_it_was_observed_to_go() -> None:
    scenario = faulty(JITTERED, overrides=("workload.spread=round-robin",)).scenario
    assert [primary_of(scenario, request_id) for request_id in range(4)] == [0, 1, 2, 0]
    assert [primary_of(scenario, request_id, {0: 2, 1: 2}) for request_id in range(3)] == [2, 2, UNKNOWN]


def test_where_clients_choose_the_replica_what_was_observed_says_who_is_eligible() -> None:
    pause = "{fault: pause, target: server-0, at: 200ms, duration: 50ms}"
    scenario = faulty(pause, overrides=(CONSTANT,)).scenario
    block, (occurrence,) = plan_of(scenario).of("kernel")[1], timeline(scenario)
    observed = {120: 0, 121: 1, 122: 2, 123: 0, 130: 0}
    assert eligible_ids(scenario, block, occurrence, observed=observed) == [120, 123]
    assert eligible_ids(scenario, block, occurrence, "server-1", observed) == [121]
    assert eligible_ids(scenario, block, occurrence, observed={}) == [], "unknown until run"
    everywhere = faulty(pause.replace("server-0", "servers"), overrides=(CONSTANT,)).scenario
    assert eligible_ids(everywhere, block, timeline(everywhere)[0], observed={}) == [120, 121, 122, 123, 124]
    assert eligible_ids(everywhere, block, timeline(everywhere)[0], "server-2", observed) == [122]


@pytest.mark.parametrize("arm", ["near", "far"])
def test_each_arm_has_its_own_timeline(arm: str) -> None:
    experiment = experiment_of(ARMS)
    (occurrence,) = timeline(experiment.arm(arm).scenario)
    assert occurrence.offset_ns == {"near": 100, "far": 900}[arm] * NS_PER_MS


ARMS = """
version: 1
name: example
workload: {requests: 1000, arrivals: {mode: open, rate: 100/s}}
hedging: {delay: 10ms}
strategies: [baseline, kernel]
arms:
  near: {faults: [{fault: restart, target: server-0, at: 100ms}]}
  far: {faults: [{fault: restart, target: server-0, at: 900ms}]}
"""
