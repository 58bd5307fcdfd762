"""Exact intervals of quantiles by ranks, against the binomial distribution and published ranks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from orchestrator.analysis.statistics import order_interval
from orchestrator.plan.sample_size import samples_needed


def at_most(count: int, trials: int, chance: float) -> float:
    """The binomial probability of at most `count` of `trials`, added up term by term."""
    return sum(math.comb(trials, hits) * chance**hits * (1 - chance) ** (trials - hits) for hits in range(count + 1))


def ranks(count: int, quantile: float) -> tuple[int, int] | None:
    found = order_interval(np.arange(1.0, count + 1), quantile)
    return None if found is None else (int(found[0]), int(found[1]))


@pytest.mark.parametrize(
    ("count", "quantile"), [(6, 0.5), (50, 0.5), (100, 0.25), (400, 0.99), (800, 0.99), (59, 0.95)]
)
def test_each_end_misses_at_most_a_fortieth_and_the_next_rank_inwards_would_miss_more(
    count: int, quantile: float
) -> None:
    found = ranks(count, quantile)
    if found is None:
        assert count < samples_needed(quantile)
        return
    low, high = found
    assert at_most(low - 1, count, quantile) <= 0.025 < at_most(low, count, quantile)
    assert 1 - at_most(high - 1, count, quantile) <= 0.025 < 1 - at_most(high - 2, count, quantile)


def test_the_ranks_of_a_median_are_those_in_the_tables() -> None:
    assert ranks(10, 0.5) == (2, 9)  # e.g. Conover, Practical Nonparametric Statistics
    assert ranks(100, 0.5) == (40, 61)


@pytest.mark.parametrize("quantile", [0.5, 0.99, 0.999])
def test_there_is_one_from_the_sample_on_that_plan_asks_for(quantile: float) -> None:
    needed = samples_needed(quantile)
    assert ranks(needed - 1, quantile) is None
    found = ranks(needed, quantile)
    assert found is not None
    assert found[1] == needed


def test_an_end_among_unanswered_requests_is_infinite() -> None:
    values = np.append(np.arange(1.0, 498), [np.inf] * 3)
    found = order_interval(values, 0.99)
    assert found is not None
    assert found[0] < 500
    assert found[1] == np.inf
