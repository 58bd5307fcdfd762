"""The conditions of scenario files ("id % 100 < 2"): a small safe grammar over the request id.

Conditions come from files that people exchange, so they are parsed here rather than handed to `eval`. The grammar
is a subset of Python's, with the same meaning (`//` and `%` round towards minus infinity):

    condition  = conjunction {"or" conjunction}
    conjunction = negation {"and" negation}
    negation   = "not" negation | comparison
    comparison = sum [("<" | "<=" | ">" | ">=" | "==" | "!=") sum]
    sum        = term {("+" | "-") term}
    term       = factor {("*" | "//" | "%") factor}
    factor     = "-" factor | integer | "id" | "(" condition ")"

Numbers and truth values are kept apart: `id % 2` alone is no condition, `id + (id < 3)` is no number.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_LENGTH = 500  #: characters
MAX_DEPTH = 50  #: nested parentheses, "not"s and signs

_TOKEN = re.compile(r"\s*(?:([0-9]+)|([A-Za-z_]\w*)|(<=|>=|==|!=|//|[-+*%<>()]))")
_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_OF_OTHER_LANGUAGES = {"=>": ">=", "=<": "<=", "=": "=="}
_SUMS: dict[str, Callable[[int, int], int]] = {"+": operator.add, "-": operator.sub}
_PRODUCTS: dict[str, Callable[[int, int], int]] = {"*": operator.mul, "//": operator.floordiv, "%": operator.mod}


class ExpressionError(ValueError):
    """A condition that cannot be parsed, or that divides by zero for some id; the message names the column."""


@dataclass(frozen=True)
class Expression:
    """A parsed condition; `text` is what it was parsed from."""

    text: str
    _condition: Callable[[int], int] = field(repr=False, compare=False)

    def evaluate(self, request_id: int) -> bool:
        """Whether the condition holds for `request_id`; ExpressionError where it divides by zero there."""
        return bool(self._condition(request_id))


def parse(text: str) -> Expression:
    """The condition written in `text`; ExpressionError, with the column, where it is none."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"column {MAX_LENGTH + 1}: a condition has at most {MAX_LENGTH} characters")
    return Expression(text, _Parser(_tokens(text)).condition())


@dataclass(frozen=True)
class _Token:
    kind: str  #: "number", "end", or the word or sign itself
    text: str
    column: int  #: counted from 1


@dataclass(frozen=True)
class _Node:
    """Part of a condition: how to compute it, whether it is a truth value, and its value where it is a constant."""

    compute: Callable[[int], int]
    is_truth: bool
    column: int
    literal: int | None = None


def intended_comparison(text: str) -> str:
    """The remedy where `text` begins with a comparison of another language: "write >=" for "=> 2%"; else nothing."""
    return next((f"write {ours}" for theirs, ours in _OF_OTHER_LANGUAGES.items() if text.startswith(theirs)), "")


def _fail(column: int, problem: str) -> NoReturn:
    raise ExpressionError(f"column {column}: {problem}")


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            start = position + len(text[position:]) - len(text[position:].lstrip())
            remedy = intended_comparison(text[start:])
            _fail(start + 1, f"{text[start]!r} has no meaning here{f'; {remedy}' if remedy else ''}")
        number, word, sign = match.groups()
        column = match.end() - len(number or word or sign) + 1
        if word is not None and word not in ("id", "and", "or", "not"):
            _fail(column, f"unknown name {word!r}; the only variable is 'id'")
        tokens.append(_Token("number" if number else word or sign, number or word or sign, column))
        position = match.end()
    tokens.append(_Token("end", "the end", end + 1))
    return tokens


class _Parser:
    """Recursive descent over the tokens; each method reads one rule of the grammar."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0

    def condition(self) -> Callable[[int], int]:
        if self._tokens[0].kind == "end":
            _fail(1, "the condition is empty")
        node = self._disjunction()
        token = self._tokens[self._next]
        if token.kind in _COMPARISONS:
            _fail(token.column, "comparisons do not chain; join two of them with 'and'")
        if token.kind != "end":
            _fail(token.column, f"unexpected {token.text!r} after the condition")
        return self._truth(node).compute

    def _accept(self, *kinds: str) -> _Token | None:
        token = self._tokens[self._next]
        if token.kind not in kinds:
            return None
        self._next += 1
        return token

    def _deeper(self, column: int, rule: Callable[[], _Node]) -> _Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            _fail(column, f"nested deeper than {MAX_DEPTH} levels")
        node = rule()
        self._depth -= 1
        return node

    @staticmethod
    def _truth(node: _Node) -> _Node:
        if not node.is_truth:
            _fail(node.column, "a number is no condition; compare it with something")
        return node

    @staticmethod
    def _number(node: _Node) -> _Node:
        if node.is_truth:
            _fail(node.column, "a condition is no number")
        return node

    def _disjunction(self) -> _Node:
        node = self._conjunction()
        while self._accept("or"):
            node = self._either(self._truth(node), self._truth(self._conjunction()))
        return node

    def _conjunction(self) -> _Node:
        node = self._negation()
        while self._accept("and"):
            node = self._both(self._truth(node), self._truth(self._negation()))
        return node

    @staticmethod
    def _either(left: _Node, right: _Node) -> _Node:
        first, second = left.compute, right.compute
        return _Node(lambda request_id: first(request_id) or second(request_id), True, left.column)

    @staticmethod
    def _both(left: _Node, right: _Node) -> _Node:
        first, second = left.compute, right.compute
        return _Node(lambda request_id: first(request_id) and second(request_id), True, left.column)

    def _negation(self) -> _Node:
        token = self._accept("not")
        if token is None:
            return self._comparison()
        inner = self._truth(self._deeper(token.column, self._negation)).compute
        return _Node(lambda request_id: not inner(request_id), True, token.column)

    def _comparison(self) -> _Node:
        node = self._sum()
        token = self._accept(*_COMPARISONS)
        if token is None:
            return node
        compare = _COMPARISONS[token.kind]
        left, right = self._number(node).compute, self._number(self._sum()).compute
        return _Node(lambda request_id: compare(left(request_id), right(request_id)), True, node.column)

    def _sum(self) -> _Node:
        node = self._term()
        while token := self._accept(*_SUMS):
            node = self._arithmetic(_SUMS[token.kind], node, self._term())
        return node

    def _term(self) -> _Node:
        node = self._factor()
        while token := self._accept(*_PRODUCTS):
            divisor = self._factor()
            if token.kind == "*":
                node = self._arithmetic(operator.mul, node, divisor)
            else:
                node = self._division(_PRODUCTS[token.kind], node, divisor)
        return node

    def _arithmetic(self, compute: Callable[[int, int], int], left: _Node, right: _Node) -> _Node:
        first, second = self._number(left).compute, self._number(right).compute
        return _Node(lambda request_id: compute(first(request_id), second(request_id)), False, left.column)

    def _division(self, compute: Callable[[int, int], int], left: _Node, right: _Node) -> _Node:
        first, second, column = self._number(left).compute, self._number(right).compute, right.column
        if right.literal == 0:
            _fail(column, "division by zero")

        def divide(request_id: int) -> int:
            divisor = second(request_id)
            if divisor == 0:
                _fail(column, f"division by zero for id {request_id}")
            return compute(first(request_id), divisor)

        return _Node(divide, False, left.column)

    def _factor(self) -> _Node:
        if token := self._accept("-"):
            inner = self._number(self._deeper(token.column, self._factor))
            negate = inner.compute
            literal = None if inner.literal is None else -inner.literal
            return _Node(lambda request_id: -negate(request_id), False, token.column, literal)
        if token := self._accept("number"):
            value = int(token.text)
            return _Node(lambda _: value, False, token.column, value)
        if token := self._accept("id"):
            return _Node(lambda request_id: request_id, False, token.column)
        if token := self._accept("("):
            node = self._deeper(token.column, self._disjunction)
            if not self._accept(")"):
                _fail(self._tokens[self._next].column, f"the parenthesis of column {token.column} is not closed")
            return replace(node, column=token.column)
        token = self._tokens[self._next]
        return _fail(token.column, f"expected a number, 'id' or a parenthesis, not {token.text!r}")
