"""Claims that no run could refute, or none support: they say nothing, however well they are judged.

Also bare numbers where a share is meant: `rate(kernel) <= 2` reads like two percent and is two hundred.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from hedgerow_node.strategies import strategy_named
from hedgerow_node.units import format_duration
from orchestrator.claims.algebra import normal_form, one_sided
from orchestrator.claims.functions import HEDGE_RATE, Dimension, Statistic
from orchestrator.claims.grammar import Call, Comparison, Expression, Negation, Number, Operation, calls
from orchestrator.errors import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from orchestrator.claims.algebra import Sum
    from orchestrator.scenario.models import Scenario

#: Rounding in the factors of a normal form must not make a claim at a limit look refutable.
_ROUNDING = 1e-13


class _Range(NamedTuple):
    """The values between which an expression must lie, whatever a run measures; ns for durations."""

    low: float
    high: float


def lint_claim(index: int, claim: Comparison, arms: Mapping[str | None, Scenario]) -> Iterator[Finding]:
    """What is wrong with claim number `index` of a scenario even if all its figures have values.

    `arms` are the scenarios of the arms that the claim names; the key None stands for a claim that names none.
    """
    path = ("claims", index, "expect")
    bare = list(_bare_shares(claim))
    for number, share in bare:
        column = f"column {number.column}: "
        message = f"{column}{number.text} stands for {_percent(number.value)}, since {share.text} is a share"
        yield Finding(path, message, _written_as_share(number))
    if not bare:
        outcome = _foregone(claim, arms)
        if outcome is not None:
            yield Finding(path, *outcome)


def _written_as_share(number: Number) -> str:
    meant = _percent(number.value)
    return f"write {meant}" if number.value < 1 else f"write {number.value:g}%, or {meant} if that is meant"


def _bare_shares(claim: Comparison) -> Iterator[tuple[Number, Expression]]:
    """Bare numbers that are compared with shares or added to them, each with its share; 0 is 0 % either way."""
    pairs = [(claim.left, claim.right)]
    for side in (claim.left, claim.right):
        pairs += _joined(side)
    for left, right in pairs:
        for side, other in ((left, right), (right, left)):
            number, share = _bare_number(side), _share_in(other)
            if number is not None and number.value and share is not None:
                yield number, share


def _bare_number(expression: Expression) -> Number | None:
    """`expression` where it is a number without a unit, also one that must be worked out, like 2 * 4."""
    if expression.dimension is not Dimension.NUMBER or any(calls(expression)):
        return None
    low, high = _range(expression, {})
    if low != high or not math.isfinite(low):
        return None
    return Number(low, Dimension.NUMBER, expression.text, expression.column)


def _joined(expression: Expression) -> Iterator[tuple[Expression, Expression]]:
    """Both sides of every sum and difference in `expression`."""
    if isinstance(expression, Negation):
        yield from _joined(expression.operand)
    elif isinstance(expression, Operation):
        if expression.operator in ("+", "-"):
            yield expression.left, expression.right
        yield from _joined(expression.left)
        yield from _joined(expression.right)


def _share_in(expression: Expression) -> Expression | None:
    """The first share that `expression` is, adds up or scales; None where it is something else, like a quotient."""
    if isinstance(expression, Call):
        return expression if expression.definition.measure.unit == "share" else None
    if isinstance(expression, Negation):
        return _share_in(expression.operand)
    if isinstance(expression, Operation) and not (expression.operator == "/" and any(calls(expression.right))):
        return _share_in(expression.left) or _share_in(expression.right)
    return None


def _foregone(claim: Comparison, arms: Mapping[str | None, Scenario]) -> tuple[str, str] | None:
    """Message and remedy where `claim` holds, or fails, whatever is measured, else None."""
    parts = (claim,) if claim.within is None else one_sided(claim)
    holds = [_HOLDS[part.operator](_difference(*normal_form(part), arms)) for part in parts]
    if False in holds:
        outcome, remedy = "can never hold", "claim something that a run could show"
    elif None not in holds:
        outcome, remedy = "always holds", "claim something that a run could refute"
    else:
        return None
    return f"column {claim.calls()[0].column}: the claim {outcome}, {_reason(*normal_form(claim), arms)}", remedy


def _reason(left: Sum, right: Sum, arms: Mapping[str | None, Scenario]) -> str:
    """Why the values of the figures in `left` and `right` do not matter."""
    figures = [figure for _, figure in (*left, *right) if any(calls(figure))]
    if not figures:
        return "since its figures cancel out or are multiplied by 0"
    figure = figures[0]
    if len(figures) > 1 or not isinstance(figure, Call):
        return "whatever its figures turn out to be"
    if left and right and figure.definition.measure.is_latency:  # the figure is set against a duration above 0
        timeout = format_duration(arms[figure.arm].workload.timeout_ns)
        return f"since a request is given up after workload.timeout {timeout}"
    return f"since {figure.text} is {_limits(_range_of_figure(figure, arms), figure.dimension)}"


#: For each comparison of two sides whether it always holds or never does, by the range of their difference.
_HOLDS: dict[str, Callable[[_Range], bool | None]] = {
    "<=": lambda difference: _settled(difference.high <= 0, difference.low > 0),
    "<": lambda difference: _settled(difference.high < 0, difference.low >= 0),
    ">=": lambda difference: _settled(difference.low >= 0, difference.high < 0),
    ">": lambda difference: _settled(difference.low > 0, difference.high <= 0),
    "==": lambda difference: _settled(
        difference.low == difference.high == 0, difference.low > 0 or difference.high < 0
    ),
}


def _settled(always: bool, never: bool) -> bool | None:
    return True if always else False if never else None


def _limits(limits: _Range, dimension: Dimension) -> str:
    low, high = (_percent(limit) if dimension is Dimension.RATIO else f"{limit:g}" for limit in limits)
    if limits.low == limits.high:
        return f"always {low}"
    if dimension is Dimension.DURATION:
        return "above 0" if limits.low > 0 else "never negative"
    return f"at least {low}" if limits.high == math.inf else f"between {low} and {high}"


def _percent(value: float) -> str:
    return f"{100 * value:g}%"


def _difference(left: Sum, right: Sum, arms: Mapping[str | None, Scenario]) -> _Range:
    """Between what `left` - `right` must lie."""
    low, high = _highest(right, left, arms), _highest(left, right, arms)
    return _Range(-low, high)


def _highest(left: Sum, right: Sum, arms: Mapping[str | None, Scenario]) -> float:
    """The highest that `left` - `right` can be; a median is set against a maximum of the same strategy first."""
    minuends, subtrahends = [factor for factor, _ in left], [factor for factor, _ in right]
    for first, (_, figure) in enumerate(left):
        for second, (_, other) in enumerate(right):
            if _is_at_most(figure, other):
                paired = min(minuends[first], subtrahends[second])
                minuends[first] -= paired
                subtrahends[second] -= paired
    gained = math.fsum(
        _times(factor, _range(each, arms).high) for factor, (_, each) in zip(minuends, left, strict=True)
    )
    lost = math.fsum(
        _times(factor, _range(each, arms).low) for factor, (_, each) in zip(subtrahends, right, strict=True)
    )
    if math.inf in (gained, -lost):
        return math.inf
    return 0.0 if abs(gained - lost) <= _ROUNDING * max(abs(gained), abs(lost)) else gained - lost


def _is_at_most(figure: Expression, other: Expression) -> bool:
    """Whether both are figures of the same values, and `figure` cannot exceed `other`."""
    if not isinstance(figure, Call) or not isinstance(other, Call):
        return False
    first, second = figure.definition, other.definition
    if (figure.strategy, figure.arm, first.measure) != (other.strategy, other.arm, second.measure):
        return False
    if second.statistic is Statistic.MAXIMUM:
        return True
    return first.quantile is not None and second.quantile is not None and first.quantile <= second.quantile


def _range(expression: Expression, arms: Mapping[str | None, Scenario]) -> _Range:
    match expression:
        case Number(value=value):
            return _Range(value, value)
        case Call():
            return _range_of_figure(expression, arms)
        case Negation(operand=operand):
            return _product(_Range(-1.0, -1.0), _range(operand, arms))
        case Operation(left=left, right=right):
            return _range_of_operation(expression, _range(left, arms), _range(right, arms))


def _range_of_operation(operation: Operation, left: _Range, right: _Range) -> _Range:
    if operation.operator == "+":
        return _Range(left.low + right.low, left.high + right.high)
    if operation.operator == "-":
        return _Range(left.low - right.high, left.high - right.low)
    if operation.operator == "*":
        return _product(left, right)
    quotient = _product(left, _reciprocal(right))
    if operation.left.text == operation.right.text:
        return _Range(1.0, 1.0)
    if right.low > 0 and _is_at_most(operation.left, operation.right):
        return _Range(quotient.low, 1.0)
    return quotient


def _product(left: _Range, right: _Range) -> _Range:
    corners = [_times(one, other) for one in left for other in right]
    return _Range(min(corners), max(corners))


def _times(one: float, other: float) -> float:
    """Their product; 0 of something without a limit is still 0."""
    return one * other if one and other else 0.0


def _reciprocal(divisor: _Range) -> _Range:
    if divisor.low >= 0 < divisor.high:
        return _Range(1 / divisor.high, 1 / divisor.low if divisor.low else math.inf)
    if divisor.high <= 0 > divisor.low:
        return _Range(1 / divisor.high if divisor.high else -math.inf, 1 / divisor.low)
    return _Range(-math.inf, math.inf)


def _range_of_figure(figure: Call, arms: Mapping[str | None, Scenario]) -> _Range:
    """What `figure` must lie between; a latency beyond the time-out, never measured, is a nanosecond more."""
    scenario, measure = arms.get(figure.arm), figure.definition.measure
    if scenario is None or figure.strategy not in scenario.strategies:
        return _Range(-math.inf, math.inf)
    if measure.is_latency:
        return _Range(1.0, scenario.workload.timeout_ns + 1.0)
    if measure is HEDGE_RATE:
        return _Range(0.0, float(scenario.hedging.max_hedges if strategy_named(figure.strategy).hedges else 0))
    return _Range(*measure.limits)
