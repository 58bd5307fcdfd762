"""What may be done with a parsed claim: what it observes, its normal form, and one figure put in another's place.

The normal form has a claim as two sums of positive multiples: what is subtracted on one side is added on the other.
`p99(a) - p99(b) <= -10ms`, `p99(b) - p99(a) >= 10ms` and `p99(a) + 10ms <= p99(b)` are one claim, and so are its
multiples; in this form they are tested alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from orchestrator.claims.functions import Dimension, Unit
from orchestrator.claims.grammar import Call, Comparison, Expression, Negation, Number, Operation, calls

#: A factor above zero and what it multiplies.
Term = tuple[float, Expression]
Sum = tuple[Term, ...]

_ONE = Number(1.0, Dimension.NUMBER, "1", 1)
_ROUNDING = 1e-12
#: Factors of terms by these terms' text, in which equal figures are equal wherever they stand.
_Form = dict[str, Term]


class Form(Enum):
    """What a claim compares, by its normal form."""

    SINGLE = "one figure with a number"
    RATIO = "two figures with each other"
    DIFFERENCE = "a sum of figures with a number"
    NOTHING = "the same with itself"


@dataclass(frozen=True)
class Normal:
    """A claim brought to the form `sum of terms OPERATOR bound`, and what it observes.

    The first figure that the claim names comes first, and stands there with a factor above zero (but in a claim with
    ~ of products it may not). `observed` is that figure itself, its ratio to the other one, or the sum.
    """

    form: Form
    terms: Sum
    bound: float
    observed: Expression
    unit: Unit


def normal(claim: Comparison) -> Normal:
    """`claim` with all figures on one side and a number on the other, however it was written."""
    sides = _added(_form(claim.left), _form(claim.right), -1)
    bound = -sides.pop(_ONE.text, (0.0, _ONE))[0]
    terms = _first_named_first(claim, tuple(sides.values()))
    if not terms:
        return Normal(Form.NOTHING, (), bound, claim.left, _unit(claim.left))
    (first, figure), *others = terms
    if not others:
        bound = bound / first + 0.0
        if bound and isinstance(figure, Operation) and figure.operator == "/" and any(calls(figure.right)):
            return Normal(Form.RATIO, ((1.0, figure.left), (-bound, figure.right)), 0.0, figure, _unit(figure))
        return Normal(Form.SINGLE, ((1.0, figure),), bound, figure, _unit(figure))
    terms, bound = tuple((factor / abs(first), each) for factor, each in terms), bound / abs(first)
    if len(others) == 1 and not bound and first * others[0][0] < 0:
        other = others[0][1]
        return Normal(Form.RATIO, terms, 0.0, Operation("/", figure, other, Dimension.RATIO, 1), "ratio")
    if first < 0:
        terms, bound = tuple((-factor, each) for factor, each in terms), -bound
    total = _total(terms, claim.left.dimension)
    return Normal(Form.DIFFERENCE, terms, bound, total, _unit(total))


def one_sided(claim: Comparison) -> tuple[Comparison, Comparison]:
    """The two claims that together are the equivalence `claim`: its left side is not too large, and not too small."""
    if claim.within is None:
        raise ValueError(f"{claim.text} has no margin")
    left, right, margin = claim.left, claim.right, claim.within
    if margin.dimension is Dimension.DURATION:
        over, under = (Operation("+", side, margin, Dimension.DURATION, margin.column) for side in (right, left))
    else:
        by = Number(1 + margin.value, Dimension.NUMBER, f"{1 + margin.value:g}", margin.column)
        over, under = (Operation("*", by, side, side.dimension, margin.column) for side in (right, left))
    return Comparison("<=", left, over, claim.text), Comparison(">=", under, right, claim.text)


def observable(claim: Comparison) -> tuple[Expression, Unit]:
    """What `claim` observes, and its unit.

    Of two figures it is their ratio, of more, or of two that differ by a number, their difference; the figure that
    the claim names first is divided, or subtracted from.
    """
    if claim.within is not None and claim.within.dimension is Dimension.DURATION:
        found = normal(one_sided(claim)[0])
    else:
        found = normal(claim)
    return found.observed, found.unit


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


def _first_named_first(claim: Comparison, terms: Sum) -> Sum:
    """`terms` in the order in which `claim` names their figures."""
    named = [call.text for call in claim.calls()]
    return tuple(
        sorted(terms, key=lambda term: min((named.index(call.text) for call in calls(term[1])), default=len(named)))
    )


def _total(terms: Sum, dimension: Dimension) -> Expression:
    """What `terms` add up to."""
    (first, figure), *others = terms
    total = _scaled(first, figure)
    for factor, other in others:
        operator = "+" if factor > 0 else "-"
        total = Operation(operator, total, _scaled(abs(factor), other), dimension, 1)
    return total


def _scaled(factor: float, figure: Expression) -> Expression:
    if factor == 1:
        return figure
    return Operation("*", Number(factor, Dimension.NUMBER, f"{factor:g}", 1), figure, figure.dimension, 1)


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
