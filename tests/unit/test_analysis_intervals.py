"""Intervals and p-values from resampled rounds: what they leave out, what they hold, and that the two agree."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.analysis.statistics import critical, interval, p_value, spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

EVENLY = np.arange(1.0, 2001.0)


def ends(resampled: NDArray[np.float64], value: float, rounds: int, *, time: bool) -> list[float]:
    found = interval(resampled, value, rounds, time=time)
    assert found is not None
    return list(found)


def test_with_many_rounds_a_fortieth_is_left_out_at_each_end() -> None:
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
    """Zeros in some resamples (a yardstick beyond the time-out) leave no logarithm to be taken."""
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


NOBODY = np.zeros(2000, bool)


def test_a_time_beyond_all_resamples_is_judged_by_its_distance() -> None:
    assert p_value(NOBODY, 5, 2.776, time=True) == pytest.approx(0.05, abs=1e-4)
    assert p_value(NOBODY, 5, 20, time=True) < 1e-4
    assert p_value(NOBODY, 5, math.inf, time=True) == 0


def test_of_a_time_the_larger_of_both_counts() -> None:
    many = np.arange(2000) < 400
    assert p_value(many, 10, 50, time=True) == p_value(many, 10, 49, time=True) > 0.2
    assert p_value(np.ones(2000, bool), 10, 50, time=True) == 1


def test_a_share_at_the_end_of_its_range_is_judged_by_what_so_many_resamples_can_tell() -> None:
    """No block hedged fewer than 2 %: far from no distance, and yet no resample says otherwise."""
    close = p_value(NOBODY, 10, 1.0, time=False)
    assert close == p_value(NOBODY, 10, 0.5, time=False)
    assert 0.001 < close < 0.05
    assert p_value(NOBODY, 10, 24.0, time=False) < 1e-6
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
