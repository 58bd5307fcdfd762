"""Blocks of several arms: the same rounds, turns that do not mix, durations and claims of each."""

from __future__ import annotations

from itertools import groupby

from hedgerow_node.protocol.limits import LEAD_NS
from hedgerow_node.units import NS_PER_MS, NS_PER_S
from orchestrator.plan.blocks import make_plan
from orchestrator.plan.eta import BLOCK_OVERHEAD_NS, RUN_OVERHEAD_NS, block_etas_ns, run_eta_ns
from orchestrator.plan.sample_size import judgeable
from support.experiments import OPEN, experiment_of

ARMS = f"""{OPEN}
arms:
  few: {{workload: {{requests: 300, warmup: 0}}}}
  many: {{workload: {{requests: 2000}}, strategies: [kernel]}}
  usual:
claims:
  - {{id: within, expect: "p99(kernel) < 1s"}}
  - {{id: across, expect: "p99(kernel@few) < p99(kernel@many)"}}
"""


def test_each_arm_has_its_own_ids_split_over_the_common_rounds() -> None:
    plan = make_plan(experiment_of(ARMS))
    assert [(block.first_id, block.count) for block in plan.of("kernel", "few")][:2] == [(0, 30), (30, 30)]
    assert [(block.first_id, block.count) for block in plan.of("kernel", "many")][:2] == [(0, 200), (200, 200)]
    assert [len(plan.of("baseline", arm)) for arm in ("few", "many", "usual")] == [10, 0, 10]
    assert plan.of("kernel") == ()
    assert len(plan) == 10 * (3 + 1 + 3)


def test_an_arms_blocks_are_contiguous_within_a_round_and_arms_are_shuffled() -> None:
    plan = make_plan(experiment_of(ARMS))
    turns = []
    for _, blocks in groupby(plan, key=lambda block: block.number):
        turns.append(tuple(arm for arm, _ in groupby(blocks, key=lambda block: block.arm)))
    assert all(sorted(map(str, turn)) == ["few", "many", "usual"] for turn in turns)
    assert len(set(turns)) > 1


def test_a_fixed_order_is_that_of_the_file() -> None:
    plan = make_plan(experiment_of(ARMS, "design.order=fixed"))
    first_round = [(block.arm, block.strategy) for block in plan if block.number == 0]
    assert first_round == [
        *(("few", strategy) for strategy in ("baseline", "app-deadline", "kernel")),
        ("many", "kernel"),
        *(("usual", strategy) for strategy in ("baseline", "app-deadline", "kernel")),
    ]


def test_warm_up_ids_are_never_used_twice_though_arms_warm_up_differently() -> None:
    plan = make_plan(experiment_of(ARMS))
    ids = [block.warmup_first_id + index for block in plan for index in range(block.warmup_count)]
    assert len(ids) == len(set(ids)) == 10 * 50 * 4


def test_an_arms_blocks_take_as_long_as_its_own_scenario_says() -> None:
    fault = "faults: [{fault: restart, target: server-0}]"
    experiment = experiment_of(ARMS.replace("usual:", f"usual: {{{fault}}}"))
    plan = make_plan(experiment)
    etas_ns = {}
    for block, eta_ns in zip(plan, block_etas_ns(experiment, plan), strict=True):
        etas_ns[block.arm] = eta_ns - NS_PER_S - BLOCK_OVERHEAD_NS
    assert etas_ns == {"few": 300 * NS_PER_MS, "many": 2500 * NS_PER_MS, "usual": 1500 * NS_PER_MS + LEAD_NS}
    assert run_eta_ns(experiment, plan) == RUN_OVERHEAD_NS + sum(block_etas_ns(experiment, plan))


def test_a_claim_is_carried_by_the_arm_that_it_is_about() -> None:
    experiment = experiment_of(ARMS)
    judgements = judgeable(experiment, make_plan(experiment))
    assert [(judgement.arm, judgement.claim_id, judgement.shortfalls) for judgement in judgements] == [
        ("few", "within", ("p99(kernel) needs 368 requests, there are 300",)),
        ("many", "within", ()),
        ("usual", "within", ()),
        (None, "across", ("p99(kernel@few) needs 368 requests, there are 300",)),
    ]
