"""What claims are judged on: figures of every strategy and arm, over all rounds and over each resample of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from orchestrator.analysis.noise import CONTROL, Halves
from orchestrator.analysis.statistics import Floats, Resamples, Weights, plain
from orchestrator.claims.grammar import Call, Expression, Negation, Number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.analysis.measures import Measures
    from orchestrator.analysis.noise import HostNoise

#: How long a request without an answer is taken to have lasted: the two ends of what is possible.
Unanswered = Literal["forever", "timeout"]


@dataclass(frozen=True)
class Evidence:
    """Figures by strategy, resamples (None with too few rounds), time-out in ns.

    `halves` are the baseline's requests in two halves, None where the run has no baseline; `noise` is that of the
    host before the run, None where it was not probed. `arms` holds the evidence of each arm, for claims that name
    arms; all have the same resamples, so that rounds are paired across arms too.
    """

    measures: Mapping[str, Measures]
    resamples: Resamples | None
    timeout_ns: int
    halves: Halves | None = None
    noise: HostNoise | None = None
    arms: Mapping[str | None, Evidence] = field(default_factory=dict)

    @classmethod
    def across(cls, arms: Mapping[str | None, Evidence]) -> Evidence:
        """What claims that name the arm of every figure are judged on."""
        return replace(next(iter(arms.values())), arms=arms)

    def of(self, call: Call) -> Evidence:
        """The evidence of the arm that `call` names; this one where it names none."""
        return self if call.arm is None else self.arms[call.arm]

    def measured(self, call: Call) -> Measures:
        """The measures of the strategy, in the arm, that `call` names."""
        return self.of(call).measures[call.strategy]

    def against_half(self, half: int) -> Evidence | None:
        """The same with half 0 or 1 of the baseline in place of all of it; None where no arm has halves."""
        if self.halves is None and all(arm.halves is None for arm in self.arms.values()):
            return None
        replaced = self.measures if self.halves is None else {**self.measures, CONTROL: self.halves[half]}
        arms = {name: arm.against_half(half) or arm for name, arm in self.arms.items()}
        return replace(self, measures=replaced, arms=arms)

    @property
    def rounds(self) -> int:
        return next(iter(self.measures.values())).rounds

    def once(self, expression: Expression, unanswered: Unanswered = "forever") -> float:
        """`expression` over all rounds; NaN where it has no value."""
        return float(self.evaluate(expression, plain(self.rounds), unanswered)[0])

    def evaluate(self, expression: Expression, weights: Weights, unanswered: Unanswered = "forever") -> Floats:
        """`expression` for each resample; unanswered requests take forever, or as long as their arm's time-out."""
        if isinstance(expression, Number):
            return np.full(len(weights), expression.value)
        if isinstance(expression, Call):
            unanswered_ns = float(self.of(expression).timeout_ns) if unanswered == "timeout" else np.inf
            return self.measured(expression).evaluate(expression.function, weights, unanswered_ns)
        if isinstance(expression, Negation):
            return -self.evaluate(expression.operand, weights, unanswered)
        left = self.evaluate(expression.left, weights, unanswered)
        right = self.evaluate(expression.right, weights, unanswered)
        with np.errstate(invalid="ignore", divide="ignore"):
            if expression.operator == "/":
                return np.where(right == 0, np.nan, left / right)
            return {"+": np.add, "-": np.subtract, "*": np.multiply}[expression.operator](left, right)
