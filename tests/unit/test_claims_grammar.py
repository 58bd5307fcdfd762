"""The grammar of claims: what parses to what, and the words for what does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.claims.functions import FUNCTIONS, Dimension
from orchestrator.claims.grammar import (
    MAX_LENGTH,
    Call,
    ClaimError,
    Comparison,
    Number,
    Operation,
    parse_claim,
)


def test_a_comparison_of_two_strategies() -> None:
    claim = parse_claim("p99(kernel) <= 0.04 * p99(baseline)")
    assert claim.operator == "<="
    assert claim.left == Call("p99", "kernel", column=1)
    assert isinstance(claim.right, Operation)
    assert claim.right.left == Number(0.04, Dimension.NUMBER, "0.04", column=16)
    assert claim.right.right == Call("p99", "baseline", column=23)


def test_strategies_may_have_hyphens_though_minus_is_an_operator() -> None:
    claim = parse_claim("lateness_p50(app-deadline) - lateness_p50(kernel) > 100us")
    assert [call.strategy for call in claim.calls()] == ["app-deadline", "kernel"]


@pytest.mark.parametrize(
    ("literal", "value", "dimension"),
    [
        ("13.5ms", 13_500_000, Dimension.DURATION),
        ("100us", 100_000, Dimension.DURATION),
        ("100 µs", 100_000, Dimension.DURATION),
        ("1s", 1_000_000_000, Dimension.DURATION),
        ("2.5%", 0.025, Dimension.RATIO),
        ("2 %", 0.02, Dimension.RATIO),
        ("0.04", 0.04, Dimension.NUMBER),
        ("1e-3", 0.001, Dimension.NUMBER),
    ],
)
def test_literals_have_a_value_and_a_dimension(literal: str, value: float, dimension: Dimension) -> None:
    function = "p99" if dimension is Dimension.DURATION else "rate"
    right = parse_claim(f"{function}(kernel) < {literal}").right
    assert isinstance(right, Number)
    assert (right.value, right.dimension) == (value, dimension)


@pytest.mark.parametrize(
    ("text", "dimension"),
    [
        ("p99(a) - p50(a) < 1ms", Dimension.DURATION),
        ("-(p99(a) - p50(a)) * 2 < 1ms", Dimension.DURATION),
        ("p99(a) / p99(b) < 4%", Dimension.RATIO),
        ("rate(a) / 2 < 1%", Dimension.RATIO),
        ("p99(a) * rate(a) < 1ms", Dimension.DURATION),
        ("duplicates(a) + 1 < 3", Dimension.COUNT),
        ("1 / rate(a) > 3", Dimension.RATIO),
    ],
)
def test_units_follow_through_arithmetic(text: str, dimension: Dimension) -> None:
    assert parse_claim(text).left.dimension is dimension


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("p99(kernel) <= 0.04", 13, "0.04 needs a unit, e.g. 0.04ms"),
        ("p99(kernel) <= 4%", 13, "both must have the same unit"),
        ("duplicates(kernel) == 1%", 20, "both must have the same unit"),
        ("p99(a) + rate(a) < 1ms", 8, "+ joins p99(a), a duration, and rate(a), a ratio"),
        ("p99(a) * p99(b) < 1ms", 8, "one of them must be a number"),
        ("1 / p99(a) < 1", 3, "their units must be the same"),
        ("p99(a) / 0 < 1ms", 8, "divides by zero"),
        ("p98(a) < 1ms", 1, "unknown function p98"),
        ("p99 < 1ms", 1, "p99 needs a strategy in parentheses"),
        ("p99(a) < 1parsec", 10, "'1parsec' is not a duration"),
        ("p99(a) < 1ms < 2ms", 14, "a claim has one comparison; write two claims"),
        ("p99(a) ~ p99(b)", 16, "the claim ends where the margin of ~, e.g. within 5%, should be"),
        ("p99(a) ~ p99(b) within", 23, "the claim ends where a margin, e.g. 5% or 100us, should be"),
        ("p99(a) ~ p99(b) within 5", 24, "the margin is 5, it must be a percentage or a time, e.g. 5% or 100us"),
        ("rate(a) ~ rate(b) within 1ms", 26, "the margin is 1ms, it must be a percentage, e.g. 5%"),
        ("p99(a) ~ p99(b) within 0%", 24, "a margin of zero cannot be shown by any run; use a larger one"),
        ("p99(a) <= p99(b) within 5%", 18, "found 'within' where the end of the claim should be"),
        ("p99(a) < 1ms )", 14, "found ')' where the end of the claim should be"),
        ("p99(a) <", 9, "the claim ends where a number or a function of a strategy should be"),
        ("(p99(a) < 1ms", 9, "where a closing parenthesis should be"),
        ("p99(a) != 1ms", 8, "'!' is not valid here"),
        ("p99(a@) < 1ms", 1, "p99 needs a strategy in parentheses"),
        ("p99(@a) < 1ms", 1, "p99 needs a strategy in parentheses"),
        ("p99(a@b@c) < 1ms", 1, "p99 needs a strategy in parentheses"),
        ("", 1, "the claim ends"),
        ("1ms < 2ms", 1, "names no strategy"),
        ("(" * 40 + "1", 33, "nested deeper than 32 levels"),
        ("1" * (MAX_LENGTH + 1), MAX_LENGTH + 1, "at most 500 characters"),
    ],
)
def test_an_invalid_claim_is_refused_at_its_column(text: str, column: int, message: str) -> None:
    with pytest.raises(ClaimError) as refusal:
        parse_claim(text)
    assert refusal.value.column == column
    assert message in str(refusal.value)


durations = st.sampled_from(
    ["1ms", "13.5ms", "100us", *(f"{name}(kernel)" for name in ("p50", "p99", "max", "mean"))]
)
terms = st.recursive(
    durations,
    lambda inner: st.one_of(
        st.builds("({} + {})".format, inner, inner),
        st.builds("({} - {})".format, inner, inner),
        st.builds("(2 * {})".format, inner),
        st.builds("({} / 3)".format, inner),
        st.builds("-{}".format, inner),
    ),
    max_leaves=8,
)


@given(left=terms, right=terms, operator=st.sampled_from(["<", "<=", ">", ">=", "=="]))
def test_a_printed_claim_parses_to_the_same_claim(left: str, right: str, operator: str) -> None:
    claim = parse_claim(f"{left} {operator} {right} + p99(app-seed)")
    again = parse_claim(printed(claim))
    assert printed(again) == printed(claim)
    assert shape(again) == shape(claim)


arms = st.one_of(st.none(), st.from_regex(r"[\w.=/%,+-]+", fullmatch=True))
calls = st.builds(
    "{}({}{})".format,
    st.sampled_from([name for name, function in FUNCTIONS.items() if function.dimension is Dimension.DURATION]),
    st.sampled_from(["baseline", "app-deadline", "kernel"]),
    arms.map(lambda arm: "" if arm is None else f"@{arm}"),
)


@given(first=calls, second=calls, operator=st.sampled_from(["<", "<=", ">", ">=", "=="]))
def test_a_printed_call_with_an_arm_parses_to_the_same_call(first: str, second: str, operator: str) -> None:
    text = f"{first} - {second} {operator} 1ms"
    if len(text) > MAX_LENGTH:
        return
    claim = parse_claim(text)
    assert printed(claim) == text
    assert [call.text for call in claim.calls()] == [first, second]
    for call, written in zip(claim.calls(), (first, second), strict=True):
        assert call.arm == (written.partition("@")[2].removesuffix(")") or None)
    assert parse_claim(printed(claim)) == claim


@pytest.mark.parametrize("arm", ["client", "rate=100/s", "rate=0.5/ms,delay=10ms", "0.percent=2%", "x=-1e+3"])
def test_a_claim_may_name_any_arm_that_arms_and_matrix_make(arm: str) -> None:
    assert parse_claim(f"p99(kernel@{arm}) <= 2 * p99(baseline@{arm})").left == Call("p99", "kernel", 1, arm)


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        parse_claim(text)
    except ClaimError as refusal:
        assert 1 <= refusal.column <= len(text) + 1


@given(spaces=st.text(" ", max_size=2))
def test_a_claim_keeps_the_text_that_it_was_parsed_from(spaces: str) -> None:
    text = f"{spaces}p99(kernel){spaces}<={spaces}1ms{spaces}"
    assert parse_claim(text).text == text


def printed(claim: Comparison) -> str:
    """The claim as its parsed sides are printed."""
    return f"{claim.left.text} {claim.operator} {claim.right.text}"


def shape(claim: Comparison) -> list[str]:
    """The claim's calls, which must not change their order."""
    return [call.text for call in claim.calls()]


@pytest.mark.parametrize(
    ("margin", "value", "dimension"), [("5%", 0.05, Dimension.RATIO), ("100us", 1e5, Dimension.DURATION)]
)
def test_an_equivalence_has_a_margin(margin: str, value: float, dimension: Dimension) -> None:
    claim = parse_claim(f"p99(a) ~ 2 * p99(b) within {margin}")
    assert (claim.operator, claim.within and (claim.within.value, claim.within.dimension)) == (
        "~",
        (value, dimension),
    )
    assert parse_claim("rate(a) / rate(b) ~ 2 within 5%").right == Number(2.0, Dimension.NUMBER, "2", 21)
    assert parse_claim("p99(a) <= 1ms").within is None
