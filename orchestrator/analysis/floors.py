"""The noise floors of a run: what a claim must have to spare before its verdict means anything.

The first is the A/A control (`control`): a comparison with the baseline is made with either half of the baseline's
requests, and by how much the two disagree says what exchanging one baseline for another does to it. The second is the
host's own noise before the run (`noise_floor`), for claims about latencies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orchestrator.analysis.control import CONTROL
from orchestrator.analysis.evidence import Evidence
from orchestrator.analysis.intervals import interval
from orchestrator.analysis.trials import differences
from orchestrator.plan.sample_size import samples_needed
from orchestrator.scenario.claim_grammar import FUNCTIONS, Call, Comparison, Dimension, Operation

_NS_PER_MS = 1e6
_NO_LATENCIES = ("lateness", "send_lateness", "buffered")


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
    """The floor below which the claim's margin lies; None where it lies above all there are."""
    return _control_floor(claim, evidence) or _host_floor(claim, evidence)


def _control_floor(claim: Comparison, evidence: Evidence) -> Floor | None:
    calls = claim.calls()
    controls = [call for call in calls if call.strategy == CONTROL and _is_latency(call)]
    one, other = evidence.against_half(0), evidence.against_half(1)
    weights = evidence.resamples
    if not controls or len(controls) == len(calls) or one is None or other is None or weights is None:
        return None
    if any(_too_few(call, half) for call in controls for half in (one, other)):
        return None
    (ones, first), (others, second) = (differences(claim, half, weights, "timeout") for half in (one, other))
    apart = ones - others
    if not np.isfinite(apart).all():
        return None
    ends = interval(apart, first - second, evidence.rounds, time=True)
    # All requests together are off by half of what two halves of them differ by.
    height = 0.0 if ends is None else max(abs(end) for end in ends) / 2
    margin = _margin(claim, evidence)
    if height < margin:
        return None
    reason = (
        f"below the noise floor: baseline against baseline, the claim moves by up to {_told(height, claim)}, and it "
        f"has {_told(margin, claim)} to spare"
    )
    return Floor(height, margin, True, reason)


def _host_floor(claim: Comparison, evidence: Evidence) -> Floor | None:
    calls = claim.calls()
    if evidence.noise is None or not all(_is_latency(call) for call in calls):
        return None
    margin_ns = _margin_ns(claim, evidence)
    if margin_ns is None:
        return None
    quantile = _highest_quantile(calls)
    reason = evidence.noise.reason(margin_ns, quantile)
    return Floor(evidence.noise.floor_ns(quantile), margin_ns, False, reason) if reason else None


def _margin(claim: Comparison, evidence: Evidence) -> float:
    """What the claim has to spare, or lacks, in the units of its sides."""
    return abs(evidence.once(claim.left, "timeout") - evidence.once(claim.right, "timeout"))


def _margin_ns(claim: Comparison, evidence: Evidence) -> float | None:
    """The margin as a time; of a quotient of two times, what the upper one would have to change by."""
    if claim.left.dimension is Dimension.DURATION:
        return _margin(claim, evidence)
    for side in (claim.left, claim.right):
        if isinstance(side, Operation) and side.operator == "/" and side.right.dimension is Dimension.DURATION:
            return _margin(claim, evidence) * abs(evidence.once(side.right, "timeout"))
    return None


def _told(value: float, claim: Comparison) -> str:
    return f"{value / _NS_PER_MS:.3g} ms" if claim.left.dimension is Dimension.DURATION else f"{value:.3g}"


def _is_latency(call: Call) -> bool:
    return call.dimension is Dimension.DURATION and not call.function.startswith(_NO_LATENCIES)


def _highest_quantile(calls: list[Call]) -> float | None:
    """The one that is asked for, 1.0 for a maximum; None where no quantile is."""
    asked = [1.0 if call.function == "max" else FUNCTIONS[call.function].quantile for call in calls]
    return max((quantile for quantile in asked if quantile is not None), default=None)


def _too_few(call: Call, half: Evidence) -> bool:
    quantile = FUNCTIONS[call.function].quantile
    return quantile is not None and half.measured(call).values_behind(call.function) < samples_needed(quantile)
