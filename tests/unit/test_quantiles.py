"""Quantiles by nearest rank: a value that was measured, never one in between."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from hedgerow_node.quantiles import lateness_us, nearest_rank


@given(st.lists(st.integers(), min_size=1), st.integers(1, 1000))
def test_it_is_the_least_value_that_the_share_does_not_exceed(values: list[int], per_mille: int) -> None:
    ordered = sorted(values)
    found = nearest_rank(ordered, per_mille)
    assert 1000 * sum(value <= found for value in values) >= per_mille * len(values)
    assert 1000 * sum(value < found for value in values) < per_mille * len(values)


def test_values_need_only_an_order() -> None:
    assert nearest_rank([1.5, math.inf], 500) == 1.5
    assert nearest_rank([1.5, math.inf], 501) == math.inf


def test_lateness_is_in_microseconds() -> None:
    assert lateness_us([]) is None
    assert lateness_us([7_000]) == {"p50": 7.0, "p99": 7.0, "max": 7.0}
    assert lateness_us(range(200_000, 0, -1_000)) == {"p50": 100.0, "p99": 198.0, "max": 200.0}
