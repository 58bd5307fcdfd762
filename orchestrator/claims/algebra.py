"""What may be done with a parsed claim: what it observes, its normal form, and one figure put in another's place.

The normal form has a claim as two sums of positive multiples: what is subtracted on one side is added on the other.
`p99(a) - p99(b) <= -10ms`, `p99(b) - p99(a) >= 10ms` and `p99(a) + 10ms <= p99(b)` are one claim, and so are its
multiples; in this form they are tested alike.
"""

from __future__ import annotations

from dataclasses import replace

from orchestrator.claims.functions import Dimension, Unit
from orchestrator.claims.grammar import Call, Comparison, Expression, Negation, Number, Operation, calls

#: A factor above zero and what it multiplies.
Term = tuple[float, Expression]
Sum = tuple[Term, ...]

_ONE = Number(1.0, Dimension.NUMBER, "1", 1)
_ROUNDING = 1e-12
#: Factors of terms by these terms' text, in which equal figures are equal wherever they stand.
_Form = dict[str, Term]


def observable(claim: Comparison) -> tuple[Expression, Unit]:
    """What the claim observes, and its unit: of figures on both sides it is their ratio, or their difference."""
    left_calls, right_calls = list(calls(claim.left)), list(calls(claim.right))
    if left_calls and right_calls:
        other = _without_factor(claim.right)
        if _is_sum(claim.left) or _is_sum(other):  # may be zero or negative, so that a ratio has no meaning
            apart = Operation("-", claim.left, claim.right, claim.left.dimension, claim.right.column)
            return apart, _unit(apart)
        return Operation("/", claim.left, other, Dimension.RATIO, other.column), "ratio"
    observed = claim.left if left_calls else claim.right
    return observed, _unit(observed)


def figures_of(claim: Comparison) -> list[Call]:
    """Every figure that `claim` names, once each however often it names it."""
    return list({call.text: call for call in claim.calls()}.values())


def substitute(expression: Expression, figure: Call, replacement: Expression) -> Expression:
    """`expression` with `replacement` wherever it names `figure`."""
    if isinstance(expression, Negation):
        return replace(expression, operand=substitute(expression.operand, figure, replacement))
    if isinstance(expression, Operation):
        left, right = (substitute(side, figure, replacement) for side in (expression.left, expression.right))
        return replace(expression, left=left, right=right)
    return replacement if isinstance(expression, Call) and expression.text == figure.text else expression


def normal_form(claim: Comparison) -> tuple[Sum, Sum]:
    """What the left side and the right side of `claim` add up, like terms collected; an empty sum is zero."""
    form = _added(_form(claim.left), _form(claim.right), -1)
    left = tuple(term for term in form.values() if term[0] > 0)
    right = tuple((-factor, figure) for factor, figure in form.values() if factor < 0)
    return left, right


def _without_factor(expression: Expression) -> Expression:
    """`expression` without constants that scale it: 0.04 * p99(b) → p99(b), p99(b) / 25 → p99(b)."""
    if isinstance(expression, Operation) and expression.operator in ("*", "/"):
        if isinstance(expression.right, Number):
            return _without_factor(expression.left)
        if isinstance(expression.left, Number) and expression.operator == "*":
            return _without_factor(expression.right)
    return expression


def _is_sum(expression: Expression) -> bool:
    return isinstance(expression, Operation) and expression.operator in ("+", "-")


def _unit(expression: Expression) -> Unit:
    units = {call.definition.measure.unit for call in calls(expression)}
    if expression.dimension is Dimension.DURATION:
        return "us" if units == {"us"} else "ms"
    if expression.dimension is Dimension.COUNT:
        return "count"
    quotient = isinstance(expression, Operation) and expression.operator == "/" and any(calls(expression.right))
    return "share" if units == {"share"} and not quotient else "ratio"


def _form(expression: Expression) -> _Form:
    if isinstance(expression, Number):
        return {_ONE.text: (expression.value, _ONE)} if expression.value else {}
    if isinstance(expression, Call):
        return {expression.text: (1.0, expression)}
    if isinstance(expression, Negation):
        return _added({}, _form(expression.operand), -1)
    left, right = _form(expression.left), _form(expression.right)
    if expression.operator in ("+", "-"):
        return _added(left, right, 1 if expression.operator == "+" else -1)
    return _quotient(expression, left, right) if expression.operator == "/" else _product(expression, left, right)


def _product(whole: Operation, left: _Form, right: _Form) -> _Form:
    many, single = (left, right) if len(right) == 1 else (right, left)
    if len(single) != 1:
        return {whole.text: (1.0, whole)}  # of two sums: left as it stands
    ((by, other),) = single.values()
    found: _Form = {}
    for factor, figure in many.values():
        joined = figure if other is _ONE else other
        if _ONE not in (figure, other):
            first, second = sorted((figure, other), key=lambda one: one.text)
            joined = Operation("*", first, second, whole.dimension, whole.column)
        found = _added(found, {joined.text: (factor * by, joined)}, 1)
    return found


def _quotient(whole: Operation, left: _Form, right: _Form) -> _Form:
    if len(right) != 1:
        return {whole.text: (1.0, whole)}  # by a sum: left as it stands
    ((by, other),) = right.values()
    found: _Form = {}
    for factor, figure in left.values():
        joined = figure if other is _ONE else Operation("/", figure, other, whole.dimension, whole.column)
        found = _added(found, {joined.text: (factor / by, joined)}, 1)
    return found


def _added(form: _Form, other: _Form, sign: int) -> _Form:
    """`form` with `sign` times `other` added; what rounding alone leaves of equal terms is nothing."""
    found = dict(form)
    for text, (factor, figure) in other.items():
        before = found.pop(text, (0.0, figure))[0]
        after = before + sign * factor
        if abs(after) > _ROUNDING * max(abs(before), abs(factor)):
            found[text] = (after, figure)
    return found
