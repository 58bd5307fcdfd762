"""Holm's procedure: a worked example, and what must hold whatever the p-values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.analysis.statistics import holm


def test_a_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_a_single_claim_stays_as_it_is_and_none_is_none() -> None:
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=12))
def test_nothing_becomes_smaller_or_overtakes_or_exceeds_bonferroni(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(
        before <= after <= min(1.0, len(p_values) * before) + 1e-12
        for before, after in zip(p_values, adjusted, strict=True)
    )
    in_order = [after for _, after in sorted(zip(p_values, adjusted, strict=True))]
    assert in_order == sorted(in_order)
