"""What a claim would say if one of its figures were another one."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.claims.grammar import Call, Comparison, Expression, Negation, Operation


def figures_of(claim: Comparison) -> list[Call]:
    """Every figure that `claim` names, once each however often it names it."""
    return list({call.text: call for call in claim.calls()}.values())


def with_figure(expression: Expression, figure: Call, replacement: Expression) -> Expression:
    """`expression` with `replacement` wherever it names `figure`."""
    if isinstance(expression, Negation):
        return replace(expression, operand=with_figure(expression.operand, figure, replacement))
    if isinstance(expression, Operation):
        left, right = (with_figure(side, figure, replacement) for side in (expression.left, expression.right))
        return replace(expression, left=left, right=right)
    return replacement if isinstance(expression, Call) and expression.text == figure.text else expression
