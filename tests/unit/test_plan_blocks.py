"""Blocks: every id once a strategy, the same ids in the same round for all, strategies shuffled within rounds."""

from __future__ import annotations

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgerow_node.records import FIRST_WARMUP_ID
from orchestrator.plan.blocks import split_ids
from support.run_folder_factory import plan_of, scenario_from


@given(requests=st.integers(1, 10_000), blocks=st.integers(1, 100))
def test_ids_are_split_contiguously_and_evenly(requests: int, blocks: int) -> None:
    pieces = split_ids(requests, blocks)
    assert [request_id for first, count in pieces for request_id in range(first, first + count)] == list(
        range(requests)
    )
    counts = [count for _, count in pieces]
    assert max(counts) - min(counts) <= 1


def test_every_strategy_meets_the_same_ids_in_the_same_round() -> None:
    plan = plan_of(scenario_from("paper"))
    splits = {
        strategy: [(block.number, block.first_id, block.count) for block in plan.of(strategy)]
        for strategy in scenario_from("paper").strategies
    }
    assert len(plan) == 40
    assert len(set(map(tuple, splits.values()))) == 1
    assert splits["kernel"][3] == (3, 1500, 500)


def test_rounds_follow_one_another_and_are_shuffled_each_on_its_own() -> None:
    scenario = scenario_from("paper")
    rounds = [
        tuple(block.strategy for block in blocks)
        for _, blocks in groupby(plan_of(scenario), key=lambda block: block.number)
    ]
    assert len(rounds) == 10
    assert all(sorted(order) == sorted(scenario.strategies) for order in rounds)
    assert len(set(rounds)) > 1


def test_order_is_the_place_in_the_run() -> None:
    plan = plan_of(scenario_from("smoke"))
    assert [block.order for block in plan] == list(range(20))


def test_the_same_seed_gives_the_same_order_and_another_seed_another() -> None:
    assert plan_of(scenario_from("paper")) == plan_of(scenario_from("paper"))
    assert plan_of(scenario_from("paper")) != plan_of(scenario_from("paper", "design.seed=2"))


def test_a_fixed_order_is_the_scenarios() -> None:
    scenario = scenario_from("smoke", "design.order=fixed")
    assert [block.strategy for block in plan_of(scenario)] == [*scenario.strategies] * 5


@pytest.mark.parametrize("name", ["paper", "smoke"])
def test_no_two_warm_up_requests_share_an_id(name: str) -> None:
    plan = plan_of(scenario_from(name))
    ids = [block.warmup_first_id + index for block in plan for index in range(block.warmup_count)]
    assert min(ids) == FIRST_WARMUP_ID
    assert len(ids) == len(set(ids))
