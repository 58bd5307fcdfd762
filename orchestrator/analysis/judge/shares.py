"""What the number of requests alone says of shares and means, were requests independent of each other.

Blocks in which a share happens to be the same show nothing of how it varies: 2 of 100 hedged in each of ten blocks
may be luck. The binomial distribution knows how far such luck goes. Nor do blocks without a single slow request show
how much longer one in a thousand would make their mean.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import bdtr, bdtrc, ndtr, ndtri

from orchestrator.analysis.statistics import share_seen_with
from orchestrator.claims.algebra import Form, Normal, figures_of, substitute
from orchestrator.claims.functions import Dimension, Statistic
from orchestrator.claims.grammar import Call, Comparison, Number, Operation
from orchestrator.plan.sample_size import TAIL
from orchestrator.runfolder.summary import Proven

if TYPE_CHECKING:
    from orchestrator.analysis.judge.evidence import Evidence

_ROUNDING = 1e-12
_STEP = 1e-6  #: by which a share is moved to see what that does to the claim


def p_by_number(claim: Comparison, evidence: Evidence) -> tuple[float, bool]:
    """The p-value of the shares in `claim` from their numbers of requests, and whether a share is 0 or 1.

    Of one share it is twice the binomial tail, beyond what was counted, of the share that it would have at the bound;
    where that exceeds 1, it still serves to compute how many requests would be enough. Several shares are moved to
    the nearest values at which the claim's sides are equal, each in proportion to its variance, and the tails there
    are combined as the squares of normal scores are.
    """
    counted = [
        (call, *found) for call in figures_of(claim) if (found := evidence.measured(call).counted(call.function))
    ]
    if not counted:
        return 0.0, False
    apart = _apart(claim, evidence)
    slopes = np.array([_slope(claim, evidence, call) for call, _, _ in counted])
    counts, numbers = (np.array([entry[place] for entry in counted], np.int64) for place in (1, 2))
    smoothed = (counts + 0.5) / (numbers + 1)
    variances = smoothed * (1 - smoothed) / numbers
    total = float(slopes**2 @ variances)
    if not total:
        return 0.0, False
    implied = np.clip(counts / numbers - apart / total * slopes * variances, 0, 1)
    fewer, more = bdtr(counts, numbers, implied), bdtrc(counts - 1, numbers, implied)
    tails = np.where(implied > counts / numbers, fewer, np.where(counts == 0, 1.0, more))
    all_alike = bool(((counts == 0) | (counts == numbers))[slopes != 0].any())
    if len(tails) == 1:
        return 2 * float(tails[0]), all_alike
    scores = np.maximum(0, -ndtri(tails))
    return 2 * float(ndtr(-math.sqrt(float(scores @ scores)))), all_alike


def p_of_rare(shape: Normal, evidence: Evidence) -> float:
    """How probable what was seen is, were a quantile in the claim at its bound; 0 where longer ones are no matter.

    The claim is at its bound if one of its quantiles is as long as makes its sides equal, and then a share 1 - q of
    requests or more is longer than that. It is the probability of no more of n independent requests than were seen;
    one-sided, since blocks agree by luck only where few requests are slow.
    """
    apart = sum(factor * evidence.once(figure, "timeout") for factor, figure in shape.terms) - shape.bound
    largest = 0.0
    for factor, figure in shape.terms:
        if not isinstance(figure, Call) or figure.definition.quantile is None or factor * apart >= 0:
            continue
        at_bound = evidence.once(figure, "timeout") - apart / factor
        longer, number = evidence.measured(figure).longer_than(figure.function, at_bound * (1 + _ROUNDING))
        largest = max(largest, float(bdtr(longer, number, 1 - figure.definition.quantile)))
    return largest


def p_of_unseen(shape: Normal, evidence: Evidence) -> float:
    """The p-value of the means in a claim from their numbers of requests; 0 where a longer mean is no matter.

    A mean is as long as its rarest requests make it. The claim is at its bound if a certain share of requests takes
    as long as the time-out, the most that they can. That none of n independent requests does has the probability
    (1 - share)^n, doubled since p is two-sided.
    """
    apart = sum(factor * evidence.once(figure, "timeout") for factor, figure in shape.terms) - shape.bound
    largest = 0.0
    for factor, figure in shape.terms:
        if not isinstance(figure, Call) or figure.definition.statistic is not Statistic.MEAN or factor * apart >= 0:
            continue
        left_ns = evidence.of(figure).timeout_ns - evidence.once(figure, "timeout")
        share = min(1.0, -apart / factor / left_ns) if left_ns > 0 else 1.0
        largest = max(largest, 2 * (1 - share) ** evidence.measured(figure).sample_size(figure.function))
    return largest


def _slope(claim: Comparison, evidence: Evidence, call: Call) -> float:
    """By how much the claim's sides come apart as the share `call` grows, for a small step."""
    inwards = _STEP if evidence.once(call) < 0.5 else -_STEP
    by = Number(inwards, Dimension.RATIO, f"{inwards:g}", call.column)
    shifted = Operation("+", call, by, call.dimension, call.column)
    left, right = (evidence.once(substitute(side, call, shifted), "timeout") for side in (claim.left, claim.right))
    slope = ((left - right) - _apart(claim, evidence)) / inwards
    return slope if math.isfinite(slope) else 0.0


def _apart(claim: Comparison, evidence: Evidence) -> float:
    """Left side minus right side over all rounds."""
    return evidence.once(claim.left, "timeout") - evidence.once(claim.right, "timeout")


def impossible_at_bound(shape: Normal, evidence: Evidence) -> bool:
    """Whether what was counted cannot be where the share is at its bound: an exception to "all", or to "none"."""
    figure = shape.terms[0][1]
    if shape.form is not Form.SINGLE or not isinstance(figure, Call) or shape.bound not in (0, 1):
        return False
    counted = evidence.measured(figure).counted(figure.function)
    return counted is not None and counted[0] != shape.bound * counted[1]


def proven(claim: Comparison, evidence: Evidence) -> Proven | None:
    """What it proves that no request, or every one, has what the only figure of `claim` counts."""
    figures = figures_of(claim)
    if len(figures) != 1 or figures[0].definition.statistic not in (Statistic.SHARE, Statistic.COUNT):
        return None
    (call,) = figures
    measures = evidence.measured(call)
    number, value = measures.sample_size(call.function), evidence.once(call)
    at_least = round(share_seen_with(number, number, 2 * TAIL), 6) if number else 0.0
    if number and value == 0:
        return Proven(side="at most", share=round(1 - at_least, 6), events=0, of=number)
    if number and value == 1 and call.definition.statistic is Statistic.SHARE:
        return Proven(side="at least", share=at_least, events=number, of=number)
    return None
