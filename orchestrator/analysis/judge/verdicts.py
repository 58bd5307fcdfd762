"""Whether a run supports its claims, refutes them, or cannot decide: judged by intervals, never by points.

A claim is decided where its p-value, adjusted for all claims of the run that have one (Holm), is at most 0.05, and
where its margin exceeds the noise floors of the run. Otherwise the run cannot decide it, and the reason says what
would.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scipy.special import ndtri

from orchestrator.analysis.holm import holm
from orchestrator.analysis.judge.noise_floors import floor_of
from orchestrator.analysis.judge.shares import proven
from orchestrator.analysis.judge.trials import Counted, Tested, Undecidable, is_counted, try_claim
from orchestrator.analysis.statistics import LEVEL, Interval, critical, estimate, rounded, rounded_ends
from orchestrator.claims.algebra import observable
from orchestrator.claims.functions import PER_UNIT, Unit
from orchestrator.claims.grammar import Call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.analysis.judge.evidence import Evidence
    from orchestrator.claims.grammar import Comparison
    from orchestrator.runfolder.summary import Proven, Verdict

_STRADDLES = "the 95 % interval straddles the bound"
_STRADDLES_MARGIN = "the 95 % interval does not lie inside the margin, nor outside it"
_TOO_FEW_EVENTS = "the blocks are nearly alike, but so few requests would be so by chance"
_BINOMIAL = "the exact binomial tail at the bound"
_TOO_FEW_BEYOND = (
    "were the quantile at the bound, no more requests would be longer than it in {:.0%} of runs, however alike the "
    "blocks are"
)
_ALL_ALIKE = "they were all alike, but too few to tell that from the bound"
INDEPENDENCE = "requests are independent of each other"
#: No practical run has more requests than this.
_MOST_REQUESTS = 10_000_000


@dataclass(frozen=True)
class Decision:
    """The verdict on one claim.

    `observed` and `ci95` are the ratio of both sides where the claim compares two figures (`p99(a) <= 0.04 * p99(b)`:
    p99(a) / p99(b)), their difference where one is itself a sum or difference, else the figure itself, in `unit`
    ("ms", "us", "ratio", "share", "count"). None stands for what does not exist or, in an interval, lies beyond the
    time-out. `p_value` and `p_adjusted` are None for what was counted or cannot be judged. `reason` says why nothing
    could be decided, `requests_needed` how many requests of each strategy would decide it, if all else stays as
    observed; None where that is unknown. `p_assumes` is what the p-values assume, empty where that is nothing, and
    `p_method` what they are. `p_floor` is the smallest p-value, two-sided, that so many blocks show whatever is
    assumed (all of them have one sign): `printed` has none below it, while Student's t decides. `proves` is what a
    count without events, or without an exception, bounds.
    """

    verdict: Verdict
    observed: float | None
    ci95: tuple[float | None, float | None] | None
    unit: Unit
    reason: str = ""
    p_value: float | None = None
    p_adjusted: float | None = None
    requests_needed: int | None = None
    p_assumes: str = ""
    p_method: str = ""
    p_floor: float | None = None
    proves: Proven | None = None

    def printed(self) -> Decision:
        """The same with p-values as they are printed."""
        least = self.p_floor or 0.0
        raised = [None if p is None else max(p, least) for p in (self.p_value, self.p_adjusted)]
        return replace(self, p_value=raised[0], p_adjusted=raised[1])


def judge(claim: Comparison, evidence: Evidence) -> Decision:
    """The verdict that `evidence` gives on `claim` where it is the only one."""
    return judge_all([(claim, evidence)])[0]


def judge_all(claims: Sequence[tuple[Comparison, Evidence]]) -> list[Decision]:
    """The verdicts on all claims of a run, each paired with the evidence of its arm."""
    trials = [try_claim(claim, evidence) for claim, evidence in claims]
    adjusted = holm([trial.p_value for trial in trials if isinstance(trial, Tested)])
    among, decisions = iter(adjusted), []
    for (claim, evidence), trial in zip(claims, trials, strict=True):
        observed = _observed(claim, evidence)
        match trial:
            case Undecidable(reason, requests_needed):
                decisions.append(replace(observed, reason=reason, requests_needed=requests_needed))
            case Counted(leaning):
                decisions.append(replace(observed, verdict=leaning))
            case Tested():
                decisions.append(_decided(observed, claim, evidence, trial, next(among), len(adjusted)))
    return decisions


def overall(verdicts: list[Verdict]) -> Verdict | None:
    """The verdict of a run: the worst of its claims', None where it makes none."""
    for verdict in ("refuted", "inconclusive", "supported"):
        if verdict in verdicts:
            return verdict
    return None


def _observed(claim: Comparison, evidence: Evidence) -> Decision:
    """What was observed, with no decision yet."""
    subject, unit = observable(claim)
    observed = evidence.once(subject)
    ends: Interval | None = None
    resamples = evidence.resamples
    if resamples is not None and not is_counted(claim):
        if isinstance(subject, Call):
            ends = estimate(evidence.measured(subject), subject.function, resamples).ends
        else:
            ends = resamples.interval(evidence.evaluate(subject, resamples.counts), observed, logs=unit == "ratio")
    value, interval = rounded(observed, PER_UNIT[unit]), _ends_in_unit(ends, unit)
    return Decision("inconclusive", value, interval, unit, proves=proven(claim, evidence))


def _ends_in_unit(ends: Interval | None, unit: Unit) -> tuple[float | None, float | None] | None:
    """The interval in `unit`, an end beyond the time-out being None; None where there is none at all."""
    if ends is None:
        return None
    low, high = rounded_ends(ends, PER_UNIT[unit])
    return None if low is None and high is None else (low, high)


def _decided(
    seen: Decision, claim: Comparison, evidence: Evidence, trial: Tested, adjusted: float, tested: int
) -> Decision:
    """The decision on a claim that leans one way, `adjusted` being its p-value among all claims `tested`."""
    seen = replace(
        seen,
        p_value=_four_digits(trial.p_value),
        p_adjusted=_four_digits(adjusted),
        p_assumes=INDEPENDENCE if trial.assumes_independence else "",
        p_method=_BINOMIAL if trial.assumes_independence else f"Student's t on {evidence.rounds} blocks",
        p_floor=_four_digits(2.0 ** (1 - evidence.rounds)),
    )
    if adjusted > LEVEL:
        reason, level = _why_undecided(claim, trial), LEVEL
        if trial.p_value <= LEVEL:
            level = LEVEL * trial.p_value / adjusted
            reason = (
                f"alone it would be {trial.leaning} (by {seen.p_method}, p = {trial.p_value:.2g}), but {tested} "
                f"claims were judged together (Holm: p = {adjusted:.2g})"
            )
        needed = _requests(claim, evidence, _times(trial, level, evidence.rounds))
        return replace(seen, reason=_with_remedy(reason, needed), requests_needed=needed)
    if trial.unsteady is not None:
        differ = "" if math.isinf(trial.unsteady) else f" by {trial.unsteady:.0%} (standard deviation)"
        return replace(seen, reason=f"blocks differ{differ}, so that one more could lie beyond the bound")
    if trial.by_rank > LEVEL:
        return replace(seen, reason=_TOO_FEW_BEYOND.format(trial.by_rank))
    floor = floor_of(claim, evidence)
    if floor is not None:
        needed = _requests(claim, evidence, _square(floor.height, floor.margin)) if floor.shrinks else None
        return replace(seen, reason=_with_remedy(floor.reason, needed), requests_needed=needed)
    return replace(seen, verdict=trial.leaning)


def _why_undecided(claim: Comparison, trial: Tested) -> str:
    if claim.operator == "==" and trial.leaning == "supported":
        return "no sample shows that an estimated figure equals another; a margin would (~ … within 5%)"
    if trial.by_number > LEVEL and trial.all_alike:
        return _ALL_ALIKE
    if trial.by_number > LEVEL >= trial.by_rounds:
        return _TOO_FEW_EVENTS
    return _STRADDLES_MARGIN if claim.operator == "~" else _STRADDLES


def _times(trial: Tested, level: float, rounds: int) -> float:
    """How many times as many requests make both p-values of `trial` as small as `level`, if all stays as observed."""
    by_rounds = _square(critical(level, rounds), critical(min(1.0, trial.by_rounds), rounds))
    if trial.by_number <= level:
        return by_rounds
    # of what is all alike p falls as a power of the number of requests
    if not trial.all_alike:
        by_number = _square(float(-ndtri(level / 2)), float(-ndtri(min(0.5, trial.by_number / 2))))
    else:
        by_number = math.log(level / 2) / math.log(trial.by_number / 2) if trial.by_number < 2 else math.inf
    return max(by_rounds, by_number)


def _square(wanted: float, found: float) -> float:
    """How many times as many requests make `found` as large as `wanted`: noise shrinks with their number's root."""
    return (wanted / found) ** 2 if found else math.inf


def _requests(claim: Comparison, evidence: Evidence, times: float) -> int | None:
    """How many requests are `times` as many as there were; None where no practical run has so many."""
    now = max(int(evidence.measured(call).requests.sum()) for call in claim.calls())
    needed = now * max(1.1, times)
    if needed > _MOST_REQUESTS:
        return None
    unit = 10 ** max(0, math.floor(math.log10(needed)) - 1)
    return int(math.ceil(needed / unit) * unit)


def _with_remedy(reason: str, needed: int | None) -> str:
    return reason if needed is None else f"{reason}; about {needed:,} requests of each strategy would decide it"


def _four_digits(p_value: float) -> float:
    return float(f"{min(1.0, p_value):.4g}")
