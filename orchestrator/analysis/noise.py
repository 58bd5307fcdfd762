"""The noise of a run: what its A/A control shows, and how late wake-ups of the host were before it.

The A/A control compares the baseline with itself, which must show no effect. In each block the baseline's requests
are split at random into two halves. Every strategy meets the same stalls, faults and service times at the same
requests, so the split pairs like with like: two requests of one replica that both stalled, or were due one after the
other in the same fault, or drew neighbouring service times, go to different halves by the toss of a coin. What the
halves then differ by is noise within blocks: a comparison with the baseline whose margin is smaller decides nothing,
however narrow its own interval. Differences between blocks affect both halves alike and do not show here; the
intervals of the claims contain them.

The probe before the run measures how late a plain wake-up is when nothing else runs. It sees what no comparison
within a run can: every latency ends with a wake-up, so that each may be longer than on a quiet host by the lateness
of a wake-up at that quantile, and never shorter. (`judge.noise_floors` computes what that can do to a claim.) It
matters because P50 overheads of 20 µs lie below the noise of most set-ups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hedgerow_node.draws import standard_normal
from hedgerow_node.units import NS_PER_US
from orchestrator.analysis.comparisons import Paired, paired
from orchestrator.analysis.faults import affected
from orchestrator.analysis.holm import holm
from orchestrator.analysis.measures import Measures
from orchestrator.analysis.statistics import LEVEL
from orchestrator.plan.faults import primary_of
from orchestrator.plan.sample_size import MIN_BLOCKS
from orchestrator.runfolder.summary import ControlFigure, ControlResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.analysis.run_data import ArmData
    from orchestrator.analysis.statistics import Bools, Floats, Ints, Resamples
    from orchestrator.runfolder.journal import FaultRecord
    from orchestrator.runfolder.observed import Lateness

CONTROL = "baseline"
FIGURES = ("p50", "p95", "p99", "mean")
#: The largest share of requests that each figure of the probe answers for.
_UP_TO = ((0.5, "p50"), (0.99, "p99"), (1.0, "max"))
_NAMES = {"p50": "P50", "p99": "P99", "max": "the latest", "mean": "on average"}

Halves = tuple[Measures, Measures]


def halves(arm: ArmData, rounds: Ints, seed: int) -> Halves | None:
    """The measures of the baseline's halves: latencies alone, since it has no hedges; None without a baseline."""
    samples = arm.samples.get(CONTROL)
    if samples is None or not len(samples["block"]):
        return None
    kinds, places = _kinds_and_places(arm)
    order = np.lexsort((places, kinds, samples["block"]))
    coins = np.random.default_rng(seed).integers(0, 2, (len(order) + 1) // 2).astype(bool)
    first = np.zeros(len(order), bool)
    first[order] = np.column_stack([coins, ~coins]).reshape(-1)[: len(order)]

    def half(chosen: Bools) -> Measures:
        return Measures({name: values[chosen] for name, values in samples.items()}, None, None, rounds)

    return half(first), half(~first)


def _kinds_and_places(arm: ArmData) -> tuple[Ints, Floats]:
    """For each baseline request its kind (replica, faults, stall) and its place among those: neighbours are alike."""
    samples = arm.samples[CONTROL]
    ids, stall, workload = samples["request_id"], arm.scenario.service.stall, arm.scenario.workload
    primaries = [primary_of(arm.scenario, int(id_)) for id_ in ids]
    by_occurrence: dict[str, list[FaultRecord]] = {}
    for record in arm.faults:
        by_occurrence.setdefault(record.key, []).append(record)
    conditions = [affected(arm, CONTROL, records) for records in by_occurrence.values()]
    in_fault = np.any(conditions, axis=0) if conditions else np.zeros(len(ids), bool)
    if stall is not None:
        conditions.append(np.array([stall.when.evaluate(int(id_)) for id_ in ids], bool))
    kinds = np.array(primaries, np.int64)
    for condition in conditions:
        kinds = np.unique(2 * kinds + condition, return_inverse=True)[1]
    draws = [
        standard_normal(workload.seed, int(id_), 1, replica) for id_, replica in zip(ids, primaries, strict=True)
    ]
    return kinds, np.where(in_fault, samples["intended_ns"].astype(np.float64), draws)


def controls(arms: Sequence[tuple[Halves | None, int]], resamples: Resamples | None) -> list[ControlResult | None]:
    """How far the halves of each arm are apart; None for an arm without halves. Time-outs are in ns.

    The figures of all arms are shown together, so they are judged together. p-values are adjusted by Holm, and each
    interval misses as often as the level allows for all of them divided by their number (Bonferroni). Holm's smallest
    p-value is Bonferroni's: an effect shows in some figure exactly where some interval of a ratio leaves 1 out.

    The p-value of an arm is the smallest of its figures; where there is none, there is a `reason`.
    """
    alone = [_compared(pair, resamples, timeout_ns, LEVEL) for pair, timeout_ns in arms]
    judged = [found for figures in alone for found in figures.values() if found.has_interval]
    level = LEVEL / max(1, len(judged))
    adjusted = iter(holm([1.0 if found.p_value is None else found.p_value for found in judged]))
    results = []
    for (pair, timeout_ns), figures in zip(arms, alone, strict=True):
        p_values = {name: next(adjusted) for name, found in figures.items() if found.has_interval}
        p_values = {name: p for name, p in p_values.items() if figures[name].p_value is not None}
        together = _compared(pair, resamples, timeout_ns, level) if judged else figures
        results.append(None if pair is None else _result(pair, together, p_values, len(judged), resamples))
    return results


def _compared(pair: Halves | None, resamples: Resamples | None, timeout_ns: int, level: float) -> dict[str, Paired]:
    """The halves' figures against each other; none where there are no halves."""
    if pair is None:
        return {}
    return {name: paired(*pair, name, resamples, timeout_ns, level) for name in FIGURES}


def _result(
    pair: Halves, figures: Mapping[str, Paired], adjusted: Mapping[str, float], together: int,
    resamples: Resamples | None,
) -> ControlResult:  # fmt: skip
    """The control of one arm, of which all arms have `together` figures with intervals."""
    smallest = min(adjusted.values(), default=None)
    return ControlResult(
        strategy=CONTROL,
        requests=(int(pair[0].requests.sum()), int(pair[1].requests.sum())),
        p_adjusted=None if smallest is None else round(smallest, 6),
        no_effect=None if smallest is None else smallest > LEVEL,
        figures={name: _figure(found, adjusted.get(name)) for name, found in figures.items()},
        intervals_together=together or None,
        level_of_each=round(1 - LEVEL / together, 6) if together else None,
        reason="" if adjusted else _why_none(pair, resamples),
    )


def _why_none(pair: Halves, resamples: Resamples | None) -> str:
    """Why no figure of the halves has a p-value."""
    if resamples is None:
        return f"fewer than {MIN_BLOCKS} blocks"
    requests = sum(int(half.requests.sum()) for half in pair)
    unanswered = requests - sum(int(half.answered.sum()) for half in pair)
    return f"{unanswered} of {requests} requests were not answered" if unanswered else "too few requests"


def _figure(found: Paired, adjusted: float | None) -> ControlFigure:
    return ControlFigure(
        **vars(found.rounded()),
        p_adjusted=None if adjusted is None else round(adjusted, 6),
        no_effect=None if adjusted is None else adjusted > LEVEL,
    )


@dataclass(frozen=True)
class HostNoise:
    """How late wake-ups were before the run, ns, by the figures' names in the manifest.

    A probe knows its P50, its P99, its maximum and its mean. A quantile takes the next one above it, and a mean the
    mean, or the P99 of probes without a mean: where in doubt the host is taken to be the noisier.
    """

    lateness_ns: Mapping[str, float]

    @classmethod
    def of(cls, lateness_us: Lateness) -> HostNoise:
        """From the probe's figures in the manifest."""
        figures_us: dict[str, float | None] = vars(lateness_us)
        return cls({name: value * NS_PER_US for name, value in figures_us.items() if value is not None})

    def floor_ns(self, quantile: float | None) -> float:
        """By how much a latency at `quantile` (0.99; None: the mean) may be too long, ns."""
        return self.lateness_ns[self._figure(quantile)]

    def format_floor(self, quantile: float | None) -> str:
        """The same in words."""
        name = self._figure(quantile)
        return f"{self.lateness_ns[name] / NS_PER_US:.0f} µs late ({_NAMES[name]})"

    def _figure(self, quantile: float | None) -> str:
        if quantile is None:
            return "mean" if "mean" in self.lateness_ns else "p99"
        return next(name for share, name in _UP_TO if quantile <= share)
