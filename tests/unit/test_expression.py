"""Conditions over the request id: they mean what Python means by them, and nothing else gets in."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hedgerow_node.expression import MAX_DEPTH, MAX_LENGTH, ExpressionError, parse

NUMBERS = st.recursive(
    st.one_of(st.integers(0, 1000).map(str), st.just("id")),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "//", "%"]), inner).map(" ".join),
        inner.map(lambda text: f"({text})"),
        inner.map(lambda text: f"-{text}"),
    ),
    max_leaves=8,
)
COMPARISONS = st.tuples(NUMBERS, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), NUMBERS).map("".join)
CONDITIONS = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join),
        inner.map(lambda text: f"not {text}"),
        inner.map(lambda text: f"( {text} )"),
    ),
    max_leaves=6,
)


@given(CONDITIONS.filter(lambda text: len(text) <= MAX_LENGTH), st.integers(0, 2**32))
def test_a_condition_means_what_python_means_by_it(text: str, request_id: int) -> None:
    # A literal zero divisor is refused at once (below), even where Python would never come to divide by it.
    assume(not re.search(r"(//|%) [(-]*0\b", text))
    try:
        expected = eval(text, {"__builtins__": {}}, {"id": request_id})  # noqa: S307 (the grammar is Python's)
    except ZeroDivisionError:
        with pytest.raises(ExpressionError, match="division by zero"):
            parse(text).evaluate(request_id)
    else:
        assert parse(text).evaluate(request_id) is expected


@given(st.text(max_size=60))
def test_any_text_is_a_condition_or_is_refused_with_a_column(text: str) -> None:
    try:
        parse(text)
    except ExpressionError as error:
        assert str(error).startswith("column ")


def test_the_published_stall_affects_two_in_a_hundred() -> None:
    stalls = parse("id % 100 < 2")
    assert [request_id for request_id in range(300) if stalls.evaluate(request_id)] == [0, 1, 100, 101, 200, 201]
    assert str(stalls) == "Expression(text='id % 100 < 2')"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column 1: the condition is empty"),
        ("   ", "column 1: the condition is empty"),
        ("id", "column 1: a number is no condition; compare it with something"),
        ("not id", "column 5: a number is no condition; compare it with something"),
        ("id < 1 or 2", "column 11: a number is no condition; compare it with something"),
        ("1 + (id < 3) < 2", "column 5: a condition is no number"),
        ("-(id < 3) < 2", "column 2: a condition is no number"),
        ("id <", "column 5: expected a number, 'id' or a parenthesis, not 'the end'"),
        ("id < < 3", "column 6: expected a number, 'id' or a parenthesis, not '<'"),
        ("1 < id < 3", "column 8: comparisons do not chain; join two of them with 'and'"),
        ("(id < 3", "column 8: the parenthesis of column 1 is not closed"),
        ("id < 3)", "column 7: unexpected ')' after the condition"),
        ("id < 3 4", "column 8: unexpected '4' after the condition"),
        ("seq < 3", "column 1: unknown name 'seq'; the only variable is 'id'"),
        ("id < 3 && id", "column 8: '&' has no meaning here"),
        ("id < 0.5", "column 7: '.' has no meaning here"),
        ("__import__('os')", "column 1: unknown name '__import__'; the only variable is 'id'"),
        ("id / 2 < 1", "column 4: '/' has no meaning here"),
        ("id % 0 < 1", "column 6: division by zero"),
        ("id // -0 < 1", "column 7: division by zero"),
    ],
)
def test_what_is_no_condition_is_refused_in_place(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert str(caught.value) == message


def test_a_division_by_zero_that_depends_on_the_id_is_an_error_for_that_id() -> None:
    condition = parse("10 // (id - 5) > 1")
    assert condition.evaluate(6)
    with pytest.raises(ExpressionError, match="column 7: division by zero for id 5"):
        condition.evaluate(5)


def test_length_and_depth_are_bounded() -> None:
    longest = "id < " + "1" * (MAX_LENGTH - 5)
    parse(longest)
    with pytest.raises(ExpressionError, match=f"at most {MAX_LENGTH} characters"):
        parse(longest + "1")
    for opening, closing in (("(", ")"), ("not ", "")):
        parse(opening * MAX_DEPTH + "id < 1" + closing * MAX_DEPTH)
        with pytest.raises(ExpressionError, match=f"deeper than {MAX_DEPTH} levels"):
            parse(opening * (MAX_DEPTH + 1) + "id < 1" + closing * (MAX_DEPTH + 1))


def test_the_longest_chain_can_be_evaluated() -> None:
    assert parse("+".join(["1"] * 240) + " == 240").evaluate(0)
