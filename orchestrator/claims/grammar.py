"""The language of claims: `p99(kernel) <= 0.04 * p99(baseline)`, parsed into a tree whose units have been checked.

Durations, ratios and counts are kept apart here, before anything runs: a claim that compared milliseconds with a bare
number would always be judged wrongly.

    claim       = expression ("<" | "<=" | ">" | ">=" | "==") expression
                | expression "~" expression "within" (number "%" | number unit)
    expression  = term {("+" | "-") term}
    term        = factor {("*" | "/") factor}
    factor      = "-" factor | "(" expression ")" | number [unit | "%"] | function "(" strategy ["@" arm] ")"
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from hedgerow_node.expression import intended_comparison
from hedgerow_node.units import parse_duration_ns
from orchestrator.claims.functions import FUNCTIONS, Dimension, Function

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMPARISONS = ("<", "<=", ">", ">=", "==", "~")
MAX_LENGTH = 500
MAX_DEPTH = 32


class ClaimError(ValueError):
    """A claim that cannot be parsed or whose units do not fit; `column` counts from 1."""

    def __init__(self, column: int, message: str) -> None:
        super().__init__(f"column {column}: {message}")
        self.column = column


@dataclass(frozen=True)
class Number:
    """A literal: nanoseconds for durations, the plain value otherwise (2.5% is 0.025)."""

    value: float
    dimension: Dimension
    text: str
    column: int


@dataclass(frozen=True)
class Call:
    """A function of a strategy, in the arm `arm` where that is named."""

    function: str
    strategy: str
    column: int
    arm: str | None = None

    @property
    def definition(self) -> Function:
        """The row of its function in the table."""
        return FUNCTIONS[self.function]

    @property
    def dimension(self) -> Dimension:
        return self.definition.dimension

    @property
    def text(self) -> str:
        return f"{self.function}({self.strategy}{'' if self.arm is None else f'@{self.arm}'})"


@dataclass(frozen=True)
class Negation:
    """Unary minus."""

    operand: Expression
    dimension: Dimension
    column: int

    @property
    def text(self) -> str:
        return f"-{_bracketed(self.operand)}"


@dataclass(frozen=True)
class Operation:
    """`left operator right` with one of + - * /."""

    operator: str
    left: Expression
    right: Expression
    dimension: Dimension
    column: int

    @property
    def text(self) -> str:
        return f"{_bracketed(self.left)} {self.operator} {_bracketed(self.right)}"


Expression = Number | Call | Negation | Operation


@dataclass(frozen=True)
class Comparison:
    """A whole claim: `left operator right` with one of < <= > >= == ~.

    `within` is the margin of ~, None of the others: a ratio, by which neither side may exceed the other, or a time.
    """

    operator: str
    left: Expression
    right: Expression
    text: str  #: what it was parsed from
    within: Number | None = None

    def calls(self) -> list[Call]:
        """Every function call of the claim, left to right."""
        return [*calls(self.left), *calls(self.right)]


def calls(expression: Expression) -> Iterator[Call]:
    """The function calls of `expression`, left to right."""
    if isinstance(expression, Call):
        yield expression
    elif isinstance(expression, Negation):
        yield from calls(expression.operand)
    elif isinstance(expression, Operation):
        yield from calls(expression.left)
        yield from calls(expression.right)


def parse_claim(text: str) -> Comparison:
    """The claim in `text`; ClaimError, with the column, where it is not a claim."""
    if len(text) > MAX_LENGTH:
        raise ClaimError(MAX_LENGTH + 1, f"a claim has at most {MAX_LENGTH} characters")
    return _Parser(text).claim()


def _bracketed(expression: Expression) -> str:
    return f"({expression.text})" if isinstance(expression, Operation) else expression.text


class _Token(NamedTuple):
    """A word of a claim.

    `head` and `tail` are a number's digits and unit, or a call's function and strategy; `arm` is a call's arm.
    """

    kind: str
    text: str
    column: int
    head: str = ""
    tail: str = ""
    arm: str | None = None


_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?:\s*(?P<unit>%|(?!within\b)[A-Za-zµ]+))?
      | (?P<name>[A-Za-z_]\w*)\s*\(\s*(?P<strategy>[A-Za-z][\w-]*)(?:@(?P<arm>[\w.=/%,+-]+))?\s*\)
      | (?P<word>[A-Za-z_]\w*)
      | (?P<operator><=|>=|==|[-+*/()<>~])""",
    re.VERBOSE,
)


class _Parser:
    """Recursive descent over the tokens of one claim."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._depth = 0
        self._token = self._next()

    def claim(self) -> Comparison:
        left = self._expression()
        operator = self._token
        if operator.text not in _COMPARISONS:
            raise self._unexpected(f"a comparison ({', '.join(_COMPARISONS)})")
        self._advance()
        right = self._expression()
        within = self._within(left, right) if operator.text == "~" else None
        if self._token.text in _COMPARISONS:
            raise ClaimError(self._token.column, "a claim has one comparison; write two claims")
        if self._token.kind != "end":
            raise self._unexpected("the end of the claim")
        comparison = Comparison(operator.text, left, right, self._text, within)
        if not comparison.calls():
            raise ClaimError(1, "names no strategy; write a function of one, e.g. p99(kernel)")
        _check_comparable(comparison, operator.column)
        return comparison

    def _within(self, left: Expression, right: Expression) -> Number:
        """The margin of an equivalence, after its word."""
        if self._token.text != "within":
            raise self._unexpected("the margin of ~, e.g. within 5%,")
        self._advance()
        if self._token.kind != "number":
            raise self._unexpected("a margin, e.g. 5% or 100us,")
        margin = _number(self._advance())
        of_times = Dimension.DURATION in (left.dimension, right.dimension)
        if margin.dimension not in (Dimension.RATIO, Dimension.DURATION if of_times else Dimension.RATIO):
            wanted = "a percentage or a time, e.g. 5% or 100us" if of_times else "a percentage, e.g. 5%"
            raise ClaimError(margin.column, f"the margin is {margin.text}, it must be {wanted}")
        if margin.value <= 0:
            raise ClaimError(margin.column, "a margin of zero cannot be shown by any run; use a larger one")
        return margin

    def _expression(self) -> Expression:
        left = self._term()
        while self._token.text in ("+", "-"):
            operator = self._advance()
            left = _sum(operator, left, self._term())
        return left

    def _term(self) -> Expression:
        left = self._factor()
        while self._token.text in ("*", "/"):
            operator = self._advance()
            right = self._factor()
            left = _product(operator, left, right) if operator.text == "*" else _quotient(operator, left, right)
        return left

    def _factor(self) -> Expression:
        token = self._token
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ClaimError(token.column, f"nested deeper than {MAX_DEPTH} levels")
        try:
            if token.text == "-":
                self._advance()
                operand = self._factor()
                return Negation(operand, operand.dimension, token.column)
            if token.text == "(":
                self._advance()
                inner = self._expression()
                if self._token.text != ")":
                    raise self._unexpected("a closing parenthesis")
                self._advance()
                return inner
            if token.kind == "number":
                self._advance()
                return _number(token)
            if token.kind == "call":
                self._advance()
                return _call(token)
            if token.kind == "word" and token.text in FUNCTIONS:
                raise ClaimError(
                    token.column, f"{token.text} needs a strategy in parentheses, e.g. {token.text}(kernel)"
                )
            raise self._unexpected("a number or a function of a strategy")
        finally:
            self._depth -= 1

    def _advance(self) -> _Token:
        token, self._token = self._token, self._next()
        return token

    def _unexpected(self, wanted: str) -> ClaimError:
        found = f"found {self._token.text!r}" if self._token.text else "the claim ends"
        return ClaimError(self._token.column, f"{found} where {wanted} should be")

    def _next(self) -> _Token:
        while True:
            column = self._position + 1
            if self._position == len(self._text):
                return _Token("end", "", column)
            match = _TOKEN.match(self._text, self._position)
            if match is None:
                message, remedy = (
                    f"{self._text[self._position]!r} is not valid here",
                    intended_comparison(self._text[self._position :]),
                )
                raise ClaimError(column, f"{message}; {remedy}" if remedy else message)
            self._position = match.end()
            if match["space"]:
                continue
            if match["number"]:
                return _Token("number", match[0], column, match["number"], match["unit"] or "")
            if match["name"]:
                return _Token("call", match[0], column, match["name"], match["strategy"], match["arm"])
            return _Token("word" if match["word"] else "operator", match[0], column)


def _number(token: _Token) -> Number:
    digits, unit = token.head, token.tail
    if unit in ("", "%"):
        value = float(Decimal(digits) / 100 if unit else Decimal(digits))
        if not math.isfinite(value):
            raise ClaimError(token.column, f"{token.text} is too large")
        return Number(value, Dimension.RATIO if unit else Dimension.NUMBER, token.text, token.column)
    try:
        return Number(float(parse_duration_ns(digits + unit)), Dimension.DURATION, token.text, token.column)
    except ValueError as error:
        raise ClaimError(token.column, str(error)) from error


def _call(token: _Token) -> Call:
    if token.head not in FUNCTIONS:
        raise ClaimError(token.column, f"unknown function {token.head}; known: {', '.join(FUNCTIONS)}")
    return Call(token.head, token.tail, token.column, token.arm)


def _sum(operator: _Token, left: Expression, right: Expression) -> Operation:
    dimension = _common(left.dimension, right.dimension)
    if dimension is None:
        raise _mismatch(operator.column, f"{operator.text} joins", left, right)
    return Operation(operator.text, left, right, dimension, operator.column)


def _product(operator: _Token, left: Expression, right: Expression) -> Operation:
    dimensions = {left.dimension, right.dimension}
    for scale in (Dimension.NUMBER, Dimension.RATIO):
        if scale in dimensions:
            other = right.dimension if left.dimension is scale else left.dimension
            return Operation("*", left, right, other, operator.column)
    raise ClaimError(
        operator.column,
        f"* multiplies {left.dimension.value} by {right.dimension.value}; one of them must be a number",
    )


def _quotient(operator: _Token, left: Expression, right: Expression) -> Operation:
    if isinstance(right, Number) and right.value == 0:
        raise ClaimError(operator.column, "divides by zero")
    if right.dimension in (Dimension.NUMBER, left.dimension):
        same = right.dimension is left.dimension is not Dimension.NUMBER
        dimension = Dimension.RATIO if same else left.dimension
    elif right.dimension is Dimension.RATIO:
        dimension = Dimension.RATIO if left.dimension is Dimension.NUMBER else left.dimension
    else:
        raise ClaimError(
            operator.column,
            f"/ divides {left.dimension.value} by {right.dimension.value}; their units must be the same",
        )
    return Operation("/", left, right, dimension, operator.column)


def _common(left: Dimension, right: Dimension) -> Dimension | None:
    """The dimension that both sides can be read in, None where there is none."""
    if left is right:
        return left
    if Dimension.NUMBER in (left, right) and Dimension.DURATION not in (left, right):
        return right if left is Dimension.NUMBER else left
    return None


def _check_comparable(claim: Comparison, column: int) -> None:
    if _common(claim.left.dimension, claim.right.dimension) is None:
        raise _mismatch(column, f"{claim.operator} compares", claim.left, claim.right)


def _mismatch(column: int, does: str, left: Expression, right: Expression) -> ClaimError:
    message = f"{does} {left.text}, {left.dimension.value}, and {right.text}, {right.dimension.value}"
    for side in (left, right):
        if side.dimension is Dimension.NUMBER:
            literal = side.text if isinstance(side, Number) else "it"
            example = f"{literal}ms" if isinstance(side, Number) else "10ms"
            return ClaimError(column, f"{message}; {literal} needs a unit, e.g. {example}")
    return ClaimError(column, f"{message}; both must have the same unit")
