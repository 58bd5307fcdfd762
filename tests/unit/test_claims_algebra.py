"""Claims that are one and the same have one form, however they are spelled."""

from __future__ import annotations

import pytest

from orchestrator.claims.algebra import Sum, normal_form
from orchestrator.claims.grammar import parse_claim


def factors(side: Sum) -> dict[str, float]:
    return {figure.text: factor for factor, figure in side}


@pytest.mark.parametrize(
    ("claim", "left", "right"),
    [
        ("p99(a) - p99(b) <= -10ms", {"p99(a)": 1, "1": 10e6}, {"p99(b)": 1}),
        ("p99(b) - p99(a) >= 10ms", {"p99(b)": 1}, {"p99(a)": 1, "1": 10e6}),
        ("p99(a) + 10ms <= p99(b)", {"p99(a)": 1, "1": 10e6}, {"p99(b)": 1}),
        ("-(p99(b) - p99(a)) <= -10ms", {"p99(a)": 1, "1": 10e6}, {"p99(b)": 1}),
        ("2 * p99(a) <= p99(a) + p99(b)", {"p99(a)": 1}, {"p99(b)": 1}),
        ("p99(a) + 10ms <= p99(b) + 10ms", {"p99(a)": 1}, {"p99(b)": 1}),
        ("0.1 * rate(a) + 0.2 * rate(a) - 0.3 * rate(a) < rate(b)", {}, {"rate(b)": 1}),
        ("(p99(a) - p99(b)) / 2 * 4 <= 0ms", {"p99(a)": 2}, {"p99(b)": 2}),
        ("1 - p99(a) / p99(b) >= 96%", {"1": 0.04}, {"p99(a) / p99(b)": 1}),
        ("rate(a) * (p99(a) - p99(b)) < 1ms", {"p99(a) * rate(a)": 1}, {"p99(b) * rate(a)": 1, "1": 1e6}),
        ("p99(a) * rate(a) < p99(b)", {"p99(a) * rate(a)": 1}, {"p99(b)": 1}),
        ("1 / rate(a) < 2", {"1 / rate(a)": 1}, {"1": 2}),
        ("rate(a) / (rate(a) - rate(b)) < 2", {"rate(a) / (rate(a) - rate(b))": 1}, {"1": 2}),
        ("(rate(a) + 1) * (rate(b) + 1) < 2", {"(rate(a) + 1) * (rate(b) + 1)": 1}, {"1": 2}),
        ("p50(a) / (1 - 1) < 2ms", {"p50(a) / (1 - 1)": 1}, {"1": 2e6}),
    ],
)
def test_what_is_subtracted_moves_to_the_other_side(
    claim: str, left: dict[str, float], right: dict[str, float]
) -> None:
    sides = normal_form(parse_claim(claim))
    assert [factors(side) for side in sides] == [pytest.approx(left), pytest.approx(right)]
    assert all(factor > 0 for side in sides for factor, _ in side)


def test_many_factors_take_no_time() -> None:
    """Multiplied out they would be 2^60 terms."""
    product = " * ".join(["(1+1)"] * 60)
    sums = " * ".join(["(rate(a)+1)"] * 30)
    for claim in (f"{product} > rate(a)", f"{sums} > 1"):
        left, _ = normal_form(parse_claim(claim))
        assert len(left) == 1
