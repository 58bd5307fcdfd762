"""Statistics: values by round and their resamples, intervals and p-values, exact intervals by ranks, many claims.

Quantiles over resampled rounds are checked against sorting each resample, exact intervals against the binomial
distribution and published ranks.
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.analysis.holm import holm
from orchestrator.analysis.statistics import (
    DRAWS,
    Resamples,
    Rounds,
    critical,
    monotone,
    order_interval,
    plain,
    resample,
    share_interval,
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


def of(rounds: int) -> Resamples:
    found = resample(rounds)
    assert found is not None
    return found


def alike(rounds: int, number: int = 2000) -> Resamples:
    """So many resamples, one as likely as the other, of whatever."""
    return Resamples(np.empty((number, 0), np.int64), np.full(number, 1 / number), rounds)


@pytest.mark.parametrize(("rounds", "number"), [(5, 126), (6, 462), (7, 1716), (8, 6435), (9, DRAWS), (40, DRAWS)])
def test_a_resample_draws_as_many_rounds_as_there_are(rounds: int, number: int) -> None:
    found = of(rounds)
    assert found.counts.shape == (number, rounds)
    assert set(found.counts.sum(axis=1).tolist()) == {rounds}
    assert found.chances.sum() == pytest.approx(1)


def test_each_multiset_of_few_rounds_has_its_multinomial_probability() -> None:
    """Every draw of five from five, 3,125 of them, counted."""
    drawn = Counter(tuple(sorted(draw)) for draw in product(range(5), repeat=5))
    found = of(5)
    multisets = [tuple(np.repeat(range(5), counts).tolist()) for counts in found.counts]
    assert dict(zip(multisets, found.chances, strict=True)) == {
        multiset: pytest.approx(times / 5**5) for multiset, times in drawn.items()
    }


def test_the_same_rounds_are_drawn_always() -> None:
    assert of(10) is of(10)
    assert np.array_equal(of(10).counts, resample.__wrapped__(10).counts)  # type: ignore[union-attr]


def test_four_rounds_give_no_interval() -> None:
    assert resample(4) is None


def ends(resampled: NDArray[np.float64], value: float, rounds: int, *, logs: bool) -> list[float]:
    found = alike(rounds, len(resampled)).interval(resampled, value, logs=logs)
    assert found is not None
    return list(found)


def test_the_chances_of_resamples_weigh_in_percentiles_and_spread() -> None:
    """The same as with every resample as often as it is likely."""
    values, times = np.array([3.0, 1.0, 2.0, 7.0]), np.array([500, 5, 400, 95])
    weighted = Resamples(np.empty((4, 0), np.int64), times / 1000, 50)
    repeated = np.repeat(values, times)
    found = weighted.interval(values, 2.5)
    assert found is not None
    assert list(found) == pytest.approx(ends(repeated, 2.5, 50, logs=False))
    assert weighted.spread(values) == pytest.approx(alike(50, 1000).spread(repeated))
    assert weighted.p_value(values > 5, 9.0) == pytest.approx(alike(50, 1000).p_value(repeated > 5, 9.0))


def test_with_many_rounds_2_5_percent_are_left_out_at_each_end() -> None:
    heavy = np.concatenate([np.full(1900, 5.0), np.linspace(50, 100, 100)])
    assert ends(heavy, 5.0, 1_000_000, logs=False)[1] == pytest.approx(75, abs=1)


def test_the_fewer_the_rounds_the_wider() -> None:
    widths = [np.ptp(ends(EVENLY + 1e4, 1000.5 + 1e4, rounds, logs=False)) for rounds in (100, 10, 5)]
    assert widths[0] < widths[1] < widths[2]


def test_a_time_has_the_hull_with_the_interval_of_its_logarithms() -> None:
    resampled = np.exp(np.linspace(-0.1, 0.1, 2000))
    found = ends(resampled, 1.0, 5, logs=True)
    reach = math.exp(critical(0.05, 5) * alike(5).spread(np.log(resampled)))
    assert found == pytest.approx([1 / reach, reach])
    assert reach > resampled.max()


def test_what_may_be_negative_has_the_hull_with_the_interval_of_itself() -> None:
    resampled = np.linspace(-3.0, 5.0, 2000)
    reach = critical(0.05, 5) * alike(5).spread(resampled)
    for logs in (True, False):
        assert ends(resampled, 1.0, 5, logs=logs) == pytest.approx([1 - reach, 1 + reach])


def test_what_is_never_negative_has_no_negative_end() -> None:
    """Zeros in some resamples (a reference beyond the time-out) leave no logarithm to be taken."""
    resampled = np.concatenate([np.zeros(500), np.linspace(0.0, 5.0, 1500)])
    low, high = ends(resampled, 2.0, 5, logs=True)
    assert [low, high] == pytest.approx([0, 2 + critical(0.05, 5) * alike(5).spread(resampled)])
    assert ends(resampled - 0.1, 2.0, 5, logs=True)[0] < -1
    assert ends(resampled, 2.0, 5, logs=False)[0] < -1  # a difference may be negative


def test_no_end_lies_outside_of_what_is_possible() -> None:
    resampled = np.linspace(1.0, 9.0, 2000)
    assert alike(5).interval(resampled, 5.0, within=(2.0, 6.0)) == (2.0, 6.0)
    assert alike(5).interval(resampled, 7.0, within=(2.0, 6.0)) == (2.0, 7.0)  # it holds the value itself


def test_an_interval_may_be_open_above_but_needs_a_value_in_every_resample() -> None:
    mostly = np.full(100, 3.0)
    assert alike(10, 120).interval(np.append(mostly, [np.inf] * 20), 3.0, logs=True) == (3.0, np.inf)
    assert alike(10, 101).interval(np.append(mostly, [np.nan]), 3.0, logs=True) is None


def test_equal_rounds_give_a_point() -> None:
    assert ends(np.full(2000, 7.0), 7.0, 5, logs=True) == pytest.approx([7, 7])


def test_the_critical_distance_is_students() -> None:
    assert critical(0.05, 5) == pytest.approx(2.776, abs=5e-4)  # t of 4 degrees of freedom, any table
    assert critical(0.05, 11) == pytest.approx(2.228, abs=5e-4)


NONE_AGAINST = np.zeros(2000, bool)


def test_what_lies_beyond_all_resamples_is_judged_by_its_distance() -> None:
    assert alike(5).p_value(NONE_AGAINST, 2.776) == pytest.approx(0.05, abs=1e-4)
    assert alike(5).p_value(NONE_AGAINST, 20) < 1e-4
    assert alike(5).p_value(NONE_AGAINST, math.inf) == 0
    assert alike(5).p_value(NONE_AGAINST, 0) == 1


def test_the_larger_of_both_p_values_counts() -> None:
    many = np.arange(2000) < 400
    assert alike(10).p_value(many, 50) == alike(10).p_value(many, 49) > 0.2
    assert alike(10).p_value(np.ones(2000, bool), 50) == 1
    assert alike(10).p_value(np.arange(2000) < 1, 1.0) == alike(10).p_value(NONE_AGAINST, 1.0)


@given(
    st.lists(st.floats(0.1, 1000), min_size=5, max_size=40, unique=True),
    st.integers(5, 40),
    st.floats(0.05, 2000),
)
def test_a_bound_lies_in_the_interval_exactly_when_its_p_value_exceeds_five_percent(
    values: list[float], rounds: int, bound: float
) -> None:
    """So that the interval that is printed and the verdict that is given never contradict each other."""
    resampled, resamples = np.array(values), alike(rounds, len(values))
    value = float(np.median(resampled))
    found = resamples.interval(resampled, value, logs=True)
    assert found is not None
    away = abs(math.log(value) - math.log(bound))
    against = (resampled >= bound) if value < bound else (resampled <= bound)
    surprise = resamples.p_value(against, away / resamples.spread(np.log(resampled)))
    if found[0] * (1 + 1e-9) < bound < found[1] * (1 - 1e-9):
        assert surprise > 0.05
    elif not found[0] * (1 - 1e-9) < bound < found[1] * (1 + 1e-9):
        assert surprise <= 0.05


possible_ends = st.one_of(st.none(), st.tuples(st.floats(0, 10), st.floats(10, 20)))


@given(st.lists(possible_ends, max_size=8))
def test_intervals_of_larger_quantiles_never_lie_lower(intervals: list[tuple[float, float] | None]) -> None:
    found = monotone(intervals)
    assert [each is None for each in found] == [each is None for each in intervals]
    known = [each for each in found if each is not None]
    assert [low for low, _ in known] == sorted(low for low, _ in known)
    assert [high for _, high in known] == sorted(high for _, high in known)
    for was, is_ in zip(intervals, found, strict=True):
        assert was is None or is_ is None or (was[0] <= is_[0] and was[1] <= is_[1])


@pytest.mark.parametrize(
    ("count", "number", "interval"),
    [(0, 10, (0, 0.3085)), (10, 10, (0.6915, 1)), (5, 10, (0.1871, 0.8129)), (100, 5000, (0.01631, 0.02426))],
)
def test_the_exact_interval_of_a_share_is_the_one_in_the_tables(
    count: int, number: int, interval: tuple[float, float]
) -> None:
    assert share_interval(count, number) == pytest.approx(interval, abs=1e-4)


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
