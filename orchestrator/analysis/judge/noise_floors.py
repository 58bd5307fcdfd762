"""The noise floors of a run: the margin that a claim must have before its verdict means anything.

The first is the A/A control: a comparison with the baseline is made with each half of the baseline's requests, and by
how much the two results differ is what replacing one baseline by another does to it. The second is the host's own
noise before the run: it makes latencies longer and never shorter, so it can only have produced a result by
lengthening the side that came out longer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hedgerow_node.units import NS_PER_MS
from orchestrator.analysis.judge.trials import differences
from orchestrator.analysis.noise import CONTROL
from orchestrator.claims.algebra import figures_of, one_sided, substitute
from orchestrator.claims.functions import Dimension, Statistic
from orchestrator.claims.grammar import Call, Comparison, Number, Operation

if TYPE_CHECKING:
    from orchestrator.analysis.judge.evidence import Evidence

_AS_TIME = (Dimension.DURATION, 1)


@dataclass(frozen=True)
class Floor:
    """A noise floor that is no lower than a claim's `margin`, both in the units of its sides (times in ns).

    `shrinks` says that more requests would lower it.
    """

    height: float
    margin: float
    shrinks: bool
    reason: str


def floor_of(claim: Comparison, evidence: Evidence) -> Floor | None:
    """The first noise floor that the claim's margin does not exceed; None where it exceeds both.

    An equivalence has a margin at either end.
    """
    if claim.operator == "~":
        return next((floor for side in one_sided(claim) if (floor := floor_of(side, evidence))), None)
    return _control_floor(claim, evidence) or _host_floor(claim, evidence)


def _control_floor(claim: Comparison, evidence: Evidence) -> Floor | None:
    calls = claim.calls()
    controls = [call for call in calls if call.strategy == CONTROL and call.definition.measure.is_latency]
    one, other = evidence.against_half(0), evidence.against_half(1)
    resamples = evidence.resamples
    if not controls or len(controls) == len(calls) or one is None or other is None or resamples is None:
        return None
    if any(not half.measured(call).enough_for(call.function) for call in controls for half in (one, other)):
        return None
    (ones, first), (others, second) = (differences(claim, half, resamples.counts, "timeout") for half in (one, other))
    apart = ones - others
    if not np.isfinite(apart).all():
        return None
    ends = resamples.interval(apart, first - second)
    # All requests together are off by half of what two halves of them differ by.
    height = 0.0 if ends is None else max(abs(end) for end in ends) / 2
    margin = abs(evidence.once(claim.left, "timeout") - evidence.once(claim.right, "timeout"))
    if height < margin:
        return None
    reason = (
        "below the noise floor: baseline against baseline, the claim moves by up to "
        f"{_format_margin(height, claim)}, and it has {_format_margin(margin, claim)} to spare"
    )
    return Floor(height, margin, True, reason)


def _host_floor(claim: Comparison, evidence: Evidence) -> Floor | None:
    if evidence.noise is None:
        return None
    difference = Operation("-", claim.left, claim.right, claim.left.dimension, 1)
    once = evidence.once(difference, "timeout")
    height = 0.0
    lengthened: list[float | None] = []
    for call in (call for call in figures_of(claim) if call.definition.measure.is_latency):
        quantile = _quantile(call)
        by_ns = min(evidence.noise.floor_ns(quantile), evidence.once(call, "timeout"))
        shorter = substitute(difference, call, Operation("-", call, _time(by_ns), *_AS_TIME))
        shift = evidence.once(shorter, "timeout") - once
        if shift * once < 0:  # towards the bound
            height += abs(shift)
            lengthened.append(quantile)
    if not lengthened or height < abs(once):
        return None
    worst = max(lengthened, key=evidence.noise.floor_ns)
    reason = (
        f"below the host's own noise: before the run, wake-ups were {evidence.noise.format_floor(worst)}, which can "
        f"move the claim by {_format_margin(height, claim)}, and it has {_format_margin(abs(once), claim)} to spare"
    )
    return Floor(height, abs(once), False, reason)


def _time(time_ns: float) -> Number:
    return Number(time_ns, Dimension.DURATION, f"{time_ns:.0f}ns", 1)


def _format_margin(value: float, claim: Comparison) -> str:
    return f"{value / NS_PER_MS:.3g} ms" if claim.left.dimension is Dimension.DURATION else f"{value:.3g}"


def _quantile(call: Call) -> float | None:
    """The quantile that the call computes, 1 for a maximum; None for a mean."""
    return 1.0 if call.definition.statistic is Statistic.MAXIMUM else call.definition.quantile
