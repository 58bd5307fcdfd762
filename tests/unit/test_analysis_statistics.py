"""Statistics: values by round and their resamples, intervals and p-values, exact intervals by ranks, many claims.

Quantiles over resampled rounds are checked against sorting each resample, exact intervals against the binomial
distribution and published ranks.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.analysis.statistics import (
    RESAMPLES,
    Rounds,
    critical,
    holm,
    interval,
    order_interval,
    p_value,
    plain,
    resample,
    spread,
)
from orchestrator.plan.sample_size import samples_needed

if TYPE_CHECKING:
    from numpy.typing import NDArray

EVENLY = np.arange(1.0, 2001.0)
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


def test_a_cached_quantile_belongs_to_the_resamples_given() -> None:
    figure = gather([[1.0], [2.0], [3.0]])
    first, other = np.array([[3, 0, 0], [0, 3, 0]]), np.array([[0, 0, 3], [3, 0, 0]])
    for weights, quantiles in ((first, [1, 2]), (other, [3, 1]), (first, [1, 2]), (first, [1, 2])):
        assert figure.kept_quantile(0.5, weights).tolist() == quantiles
    assert figure.kept_quantile(0.5, plain(3)).tolist() == [2]
    assert figure.kept_quantile(0.5, first) is figure.kept_quantile(0.5, first)
    assert figure.kept_quantile(0.1, other).tolist() == [3, 1]


def test_unanswered_requests_count_as_given_in_a_mean() -> None:
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


def ends(resampled: NDArray[np.float64], value: float, rounds: int, *, time: bool) -> list[float]:
    found = interval(resampled, value, rounds, time=time)
    assert found is not None
    return list(found)


def test_with_many_rounds_2_5_percent_are_left_out_at_each_end() -> None:
    assert ends(EVENLY, 1000.5, 1_000_000, time=False) == pytest.approx([50, 1950], abs=1)


def test_the_fewer_the_rounds_the_wider() -> None:
    widths = []
    for rounds in (100, 10, 5):
        found = interval(EVENLY, 1000.5, rounds, time=False)
        assert found is not None
        widths.append(found[1] - found[0])
    assert 1900 < widths[0] < widths[1] < widths[2] < 2000


def test_a_time_has_the_hull_with_the_interval_of_its_logarithms() -> None:
    resampled = np.exp(np.linspace(-0.1, 0.1, 2000))
    found = ends(resampled, 1.0, 5, time=True)
    reach = math.exp(critical(0.05, 5) * spread(np.log(resampled), 5))
    assert found == pytest.approx([1 / reach, reach])
    assert reach > resampled.max()


def test_a_time_that_may_be_negative_has_the_hull_with_the_interval_of_itself() -> None:
    resampled = np.linspace(-3.0, 5.0, 2000)
    found = ends(resampled, 1.0, 5, time=True)
    reach = critical(0.05, 5) * spread(resampled, 5)
    assert found == pytest.approx([1 - reach, 1 + reach])


def test_what_is_never_negative_has_no_negative_end() -> None:
    """Zeros in some resamples (a reference beyond the time-out) leave no logarithm to be taken."""
    resampled = np.concatenate([np.zeros(500), np.linspace(0.0, 5.0, 1500)])
    low, high = ends(resampled, 2.0, 5, time=True)
    assert [low, high] == pytest.approx([0, 2 + critical(0.05, 5) * spread(resampled, 5)])
    assert ends(resampled - 0.1, 2.0, 5, time=True)[0] < -1


def test_a_share_does_not_leave_the_range_of_its_resamples() -> None:
    resampled = np.linspace(0.02, 0.03, 2000)
    found = interval(resampled, 0.0204, 5, time=False)
    assert found is not None
    assert 0.02 <= found[0] < 0.0201
    assert 0.0299 < found[1] <= 0.03


def test_an_interval_may_be_open_above_but_needs_a_value_in_every_resample() -> None:
    mostly = np.full(100, 3.0)
    assert interval(np.append(mostly, [np.inf] * 20), 3.0, 10, time=True) == (3.0, np.inf)
    assert interval(np.append(mostly, [np.nan]), 3.0, 10, time=True) is None


def test_equal_rounds_give_a_point() -> None:
    assert ends(np.full(2000, 7.0), 7.0, 5, time=True) == pytest.approx([7, 7])


def test_the_critical_distance_is_students() -> None:
    assert critical(0.05, 5) == pytest.approx(2.776, abs=5e-4)  # t of 4 degrees of freedom, any table
    assert critical(0.05, 11) == pytest.approx(2.228, abs=5e-4)


NONE_AGAINST = np.zeros(2000, bool)


def test_a_time_beyond_all_resamples_is_judged_by_its_distance() -> None:
    assert p_value(NONE_AGAINST, 5, 2.776, time=True) == pytest.approx(0.05, abs=1e-4)
    assert p_value(NONE_AGAINST, 5, 20, time=True) < 1e-4
    assert p_value(NONE_AGAINST, 5, math.inf, time=True) == 0


def test_of_a_time_the_larger_of_both_counts() -> None:
    many = np.arange(2000) < 400
    assert p_value(many, 10, 50, time=True) == p_value(many, 10, 49, time=True) > 0.2
    assert p_value(np.ones(2000, bool), 10, 50, time=True) == 1


def test_a_share_at_the_end_of_its_range_has_the_finest_p_that_resamples_resolve() -> None:
    """No block hedged fewer than 2 %: far from no distance, and yet no resample says otherwise."""
    close = p_value(NONE_AGAINST, 10, 1.0, time=False)
    assert close == p_value(NONE_AGAINST, 10, 0.5, time=False)
    assert 0.001 < close < 0.05
    assert p_value(NONE_AGAINST, 10, 24.0, time=False) < 1e-6
    assert p_value(np.arange(2000) < 400, 10, 24.0, time=False) > 0.2


@given(
    st.lists(st.floats(0.1, 1000), min_size=5, max_size=40, unique=True),
    st.integers(5, 40),
    st.floats(0.05, 2000),
)
def test_a_bound_lies_in_the_interval_exactly_when_its_p_value_exceeds_five_percent(
    values: list[float], rounds: int, bound: float
) -> None:
    """So that the interval that is printed and the verdict that is given never contradict each other."""
    resampled = np.array(values)
    value = float(np.median(resampled))
    found = interval(resampled, value, rounds, time=True)
    assert found is not None
    away = abs(math.log(value) - math.log(bound))
    against = (resampled >= bound) if value < bound else (resampled <= bound)
    surprise = p_value(against, rounds, away / spread(np.log(resampled), rounds), time=True)
    if found[0] * (1 + 1e-9) < bound < found[1] * (1 - 1e-9):
        assert surprise > 0.05
    elif not found[0] * (1 - 1e-9) < bound < found[1] * (1 + 1e-9):
        assert surprise <= 0.05


def at_most(count: int, trials: int, chance: float) -> float:
    """The binomial probability of at most `count` of `trials`, added up term by term."""
    return sum(math.comb(trials, hits) * chance**hits * (1 - chance) ** (trials - hits) for hits in range(count + 1))


def ranks(count: int, quantile: float) -> tuple[int, int] | None:
    found = order_interval(np.arange(1.0, count + 1), quantile)
    return None if found is None else (int(found[0]), int(found[1]))


@pytest.mark.parametrize(
    ("count", "quantile"), [(6, 0.5), (50, 0.5), (100, 0.25), (400, 0.99), (800, 0.99), (59, 0.95)]
)
def test_each_end_misses_at_most_2_5_percent_and_the_next_rank_inwards_more(count: int, quantile: float) -> None:
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
def test_an_interval_by_ranks_exists_from_the_sample_size_that_plan_wants(quantile: float) -> None:
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


def test_holms_procedure_on_a_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_a_single_p_value_stays_as_it_is() -> None:
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=12))
def test_no_p_value_becomes_smaller_or_overtakes_or_exceeds_bonferroni(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(
        before <= after <= min(1.0, len(p_values) * before) + 1e-12
        for before, after in zip(p_values, adjusted, strict=True)
    )
    in_order = [after for _, after in sorted(zip(p_values, adjusted, strict=True))]
    assert in_order == sorted(in_order)
