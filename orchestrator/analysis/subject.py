"""What a claim is about, and how it is told: a figure in its unit, or the ratio of two."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orchestrator.claims.grammar import Comparison, Dimension, Expression, Number, Operation, calls

if TYPE_CHECKING:
    from orchestrator.analysis.intervals import Interval

_NS_PER = {"ms": 1e6, "us": 1e3, "ratio": 1.0, "share": 1.0, "count": 1.0}


def subject_of(claim: Comparison) -> tuple[Expression, str]:
    """What the claim observes, and its unit (see `Finding`): of figures on both sides their ratio, or difference."""
    left_calls, right_calls = list(calls(claim.left)), list(calls(claim.right))
    if left_calls and right_calls:
        other = _without_factor(claim.right)
        if _is_sum(claim.left) or _is_sum(other):  # which may be zero or negative: a ratio of such says nothing
            apart = Operation("-", claim.left, claim.right, claim.left.dimension, claim.right.column)
            return apart, _unit(apart)
        return Operation("/", claim.left, other, Dimension.RATIO, other.column), "ratio"
    subject = claim.left if left_calls else claim.right
    return subject, _unit(subject)


def scaled(value: float, unit: str) -> float | None:
    """`value` (ns, or plain) in `unit`; None where it is no number."""
    return round(float(value) / _NS_PER[unit], 6) if np.isfinite(value) else None


def as_seen(ends: Interval | None, unit: str) -> tuple[float | None, float | None] | None:
    """The interval in `unit`, an end beyond the time-out being None; None where there is none at all."""
    if ends is None:
        return None
    low, high = scaled(ends[0], unit), scaled(ends[1], unit)
    return None if low is None and high is None else (low, high)


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


def _unit(expression: Expression) -> str:
    if expression.dimension is Dimension.DURATION:
        lateness = ("lateness", "send_lateness")
        return "us" if all(call.function.startswith(lateness) for call in calls(expression)) else "ms"
    if expression.dimension is Dimension.COUNT:
        return "count"
    quotient = isinstance(expression, Operation) and expression.operator == "/" and any(calls(expression.right))
    shares = all(call.dimension is Dimension.RATIO for call in calls(expression))
    return "share" if shares and not quotient else "ratio"
