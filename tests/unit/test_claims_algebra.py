"""Claims that are one and the same have one form, however they are spelled."""

from __future__ import annotations

import pytest

from orchestrator.claims.algebra import Form, Sum, normal, normal_form, observable, one_sided
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


@pytest.mark.parametrize(
    ("claim", "form", "observed", "bound"),
    [
        ("p99(a) <= 15ms", Form.SINGLE, "p99(a)", 15e6),
        ("15ms >= p99(a)", Form.SINGLE, "p99(a)", 15e6),
        ("2 * p99(a) - 5ms <= 25ms", Form.SINGLE, "p99(a)", 15e6),
        ("1 - answered(a) <= 0.5%", Form.SINGLE, "answered(a)", 0.995),
        ("p99(a) <= 0.04 * p99(b)", Form.RATIO, "p99(a) / p99(b)", 0),
        ("p99(a) / p99(b) <= 0.04", Form.RATIO, "p99(a) / p99(b)", 0),
        ("p99(b) >= 25 * p99(a)", Form.RATIO, "p99(b) / p99(a)", 0),
        ("p50(a) <= p50(b) + 20us", Form.DIFFERENCE, "p50(a) - p50(b)", 20e3),
        ("p50(a) - p50(b) <= 20us", Form.DIFFERENCE, "p50(a) - p50(b)", 20e3),
        ("p50(b) + 20us >= p50(a)", Form.DIFFERENCE, "p50(b) - p50(a)", -20e3),
        ("p99(a) <= 0.04 * p99(b) + 1ms", Form.DIFFERENCE, "p99(a) - (0.04 * p99(b))", 1e6),
        ("p50(a) + p50(b) <= 2 * p50(c)", Form.DIFFERENCE, "(p50(a) + p50(b)) - (2 * p50(c))", 0),
        ("p99(a) <= p99(a)", Form.NOTHING, "p99(a)", 0),
    ],
)
def test_a_claim_compares_one_figure_or_a_ratio_or_a_sum_with_a_number(
    claim: str, form: Form, observed: str, bound: float
) -> None:
    found = normal(parse_claim(claim))
    assert (found.form, found.observed.text) == (form, observed)
    assert found.bound == pytest.approx(bound)


@pytest.mark.parametrize(
    ("claim", "over", "under"),
    [
        (
            "p99(a) ~ p99(b) within 5%",
            ({"p99(a)": 1}, {"p99(b)": 1.05}),
            ({"p99(a)": 1.05}, {"p99(b)": 1}),
        ),
        (
            "p99(a) ~ p99(b) within 100us",
            ({"p99(a)": 1}, {"p99(b)": 1, "1": 1e5}),
            ({"p99(a)": 1, "1": 1e5}, {"p99(b)": 1}),
        ),
    ],
)
def test_an_equivalence_is_two_one_sided_claims(
    claim: str, over: tuple[dict[str, float], ...], under: tuple[dict[str, float], ...]
) -> None:
    sides = one_sided(parse_claim(claim))
    assert [side.operator for side in sides] == ["<=", ">="]
    for side, wanted in zip(sides, (over, under), strict=True):
        assert [factors(each) for each in normal_form(side)] == [pytest.approx(each) for each in wanted]


def test_what_an_equivalence_observes_follows_from_its_margin() -> None:
    ratio, difference = (observable(parse_claim(f"p99(a) ~ p99(b) within {by}")) for by in ("5%", "100us"))
    assert (ratio[0].text, ratio[1]) == ("p99(a) / p99(b)", "ratio")
    assert (difference[0].text, difference[1]) == ("p99(a) - p99(b)", "ms")
