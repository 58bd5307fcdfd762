"""Quantiles over resampled rounds give what sorting each resample would give, only sooner."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.analysis.statistics import RESAMPLES, Rounds, plain, resample

#: Values by round; the same value may occur often, some requests have no answer, a round may be empty.
rounds_of_values = st.lists(
    st.lists(st.one_of(st.integers(0, 20).map(float), st.just(math.inf)), max_size=12), min_size=1, max_size=5
)


def gather(groups: list[list[float]]) -> Rounds:
    """The figure whose round n holds `groups[n]`."""
    values = np.array([value for group in groups for value in group], float)
    index = np.array([number for number, group in enumerate(groups) for _ in group], int)
    return Rounds(values, index, len(groups))


def resampled(groups: list[list[float]], weights: list[int]) -> list[float]:
    """The values of one resample, sorted: each round as often as its weight says."""
    return sorted(value for group, weight in zip(groups, weights, strict=True) for value in group * weight)


@st.composite
def figures_and_weights(draw: st.DrawFn) -> tuple[list[list[float]], list[list[int]]]:
    groups = draw(rounds_of_values)
    weighting = st.lists(st.integers(0, 3), min_size=len(groups), max_size=len(groups))
    return groups, draw(st.lists(weighting, min_size=1, max_size=4))


@given(figures_and_weights(), st.sampled_from([0.01, 0.5, 0.9, 0.95, 0.99, 0.999]))
def test_a_quantile_is_the_order_statistic_of_each_resample(
    given_: tuple[list[list[float]], list[list[int]]], q: float
) -> None:
    groups, weights = given_
    found = gather(groups).quantile(q, np.array(weights))
    for value, weighting in zip(found, weights, strict=True):
        values = resampled(groups, weighting)
        if values:
            assert value == values[math.ceil(q * len(values) - 1e-9) - 1]
        else:
            assert math.isnan(value)


@given(figures_and_weights())
def test_maximum_and_mean_are_those_of_each_resample(given_: tuple[list[list[float]], list[list[int]]]) -> None:
    groups, weights = given_
    figure = gather(groups)
    maxima, means = figure.maximum(np.array(weights)), figure.mean(np.array(weights))
    for maximum, mean, weighting in zip(maxima, means, weights, strict=True):
        values = resampled(groups, weighting)
        if values:
            assert maximum == values[-1]
            assert mean == pytest.approx(sum(values) / len(values))
        else:
            assert math.isnan(maximum)
            assert math.isnan(mean)


@pytest.mark.parametrize(
    ("n", "q", "rank"), [(100, 0.07, 7), (500, 0.99, 495), (1000, 0.999, 999), (3, 0.5, 2), (4, 0.5, 2), (1, 0.99, 1)]
)
def test_the_rank_is_the_exact_ceiling_whatever_floating_point_makes_of_it(n: int, q: float, rank: int) -> None:
    figure = gather([[float(value) for value in range(1, n + 1)]])
    assert figure.quantile(q, plain(1))[0] == rank


def test_a_quantile_that_is_kept_is_that_of_the_resamples_asked_for() -> None:
    figure = gather([[1.0], [2.0], [3.0]])
    first, other = np.array([[3, 0, 0], [0, 3, 0]]), np.array([[0, 0, 3], [3, 0, 0]])
    for weights, quantiles in ((first, [1, 2]), (other, [3, 1]), (first, [1, 2]), (first, [1, 2])):
        assert figure.kept_quantile(0.5, weights).tolist() == quantiles
    assert figure.kept_quantile(0.5, plain(3)).tolist() == [2]
    assert figure.kept_quantile(0.5, first) is figure.kept_quantile(0.5, first)
    assert figure.kept_quantile(0.1, other).tolist() == [3, 1]


def test_unanswered_requests_count_as_what_one_says_in_a_mean() -> None:
    figure = gather([[1.0, 3.0], [math.inf, 5.0]])
    assert figure.mean(plain(2))[0] == math.inf
    assert figure.mean(plain(2), unanswered=11.0)[0] == 5.0


def test_a_resample_draws_as_many_rounds_as_there_are() -> None:
    weights = resample(7, seed=1)
    assert weights is not None
    assert weights.shape == (RESAMPLES, 7)
    assert set(weights.sum(axis=1).tolist()) == {7}


def test_the_same_seed_draws_the_same_rounds() -> None:
    first, again, other = resample(5, seed=1), resample(5, seed=1), resample(5, seed=2)
    assert np.array_equal(np.asarray(first), np.asarray(again))
    assert not np.array_equal(np.asarray(first), np.asarray(other))


def test_four_rounds_give_no_interval() -> None:
    assert resample(4, seed=1) is None
