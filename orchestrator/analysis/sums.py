"""A claim as two sums of positive multiples: what is subtracted on one side is added on the other.

`p99(a) - p99(b) <= -10ms`, `p99(b) - p99(a) >= 10ms` and `p99(a) + 10ms <= p99(b)` are one claim, and so are its
multiples; brought into one form they are tested alike.
"""

from __future__ import annotations

from orchestrator.claims.grammar import Call, Comparison, Dimension, Expression, Negation, Number, Operation

#: A factor above zero and what it multiplies.
Term = tuple[float, Expression]
Sum = tuple[Term, ...]

_ONE = Number(1.0, Dimension.NUMBER, "1", 1)
_ROUNDING = 1e-12
#: Factors of terms by these terms' text, in which equal figures are equal wherever they stand.
_Form = dict[str, Term]


def sums_of(claim: Comparison) -> tuple[Sum, Sum]:
    """What the left side and the right side of `claim` add up, like terms collected; an empty sum is zero."""
    form = _added(_form(claim.left), _form(claim.right), -1)
    left = tuple(term for term in form.values() if term[0] > 0)
    right = tuple((-factor, figure) for factor, figure in form.values() if factor < 0)
    return left, right


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
