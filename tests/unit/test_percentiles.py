"""Percentiles by nearest rank."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgerow_node.percentiles import lateness_us, nearest_rank


@given(st.lists(st.integers(), min_size=1), st.integers(1, 100))
def test_so_many_percent_do_not_exceed_it_and_fewer_do_not_exceed_any_smaller_value(
    values: list[int], percent: int
) -> None:
    found = nearest_rank(sorted(values), percent)
    assert found in values
    assert 100 * sum(value <= found for value in values) >= percent * len(values)
    assert 100 * sum(value < found for value in values) < percent * len(values)


@pytest.mark.parametrize(
    ("count", "percent", "rank"), [(1, 1, 1), (1, 99, 1), (2, 50, 1), (3, 50, 2), (100, 99, 99), (101, 99, 100)]
)
def test_ranks(count: int, percent: int, rank: int) -> None:
    assert nearest_rank(range(1, count + 1), percent) == rank


def test_what_was_never_answered_is_the_slowest() -> None:
    assert nearest_rank([1.0, math.inf], 99) == math.inf


def test_lateness_is_in_microseconds() -> None:
    assert lateness_us(range(1000, 101_000, 1000)) == {"p50": 50.0, "p99": 99.0, "max": 100.0}
    assert lateness_us([]) is None
