"""The noise of a run: what its A/A control shows, and how late wake-ups of the host were before it.

The A/A control compares the baseline with itself, which must show no effect. The baseline's requests are dealt into
two halves, in each block independently. Every strategy meets the same stalls, faults and service times at the same
requests, so the halves have to meet alike ones: two requests of one replica that both stall, or were due in the same
fault one after the other, or drew neighbouring service times, are parted by the toss of a coin. What the halves then
differ by is noise within blocks: a comparison with the baseline that has less to spare decides nothing, however
narrow its own interval. What differs from block to block affects both halves alike and is not in it; that is in the
intervals of the claims themselves.

The probe before the run says how late a plain wake-up is when nothing else runs. It sees what no comparison inside a
run can: every latency ends with a wake-up, so each may be longer than it would be on a quiet host by what a wake-up
is late at that quantile, and never shorter. (`judge.noise_floors` computes what that can do to a claim.) That P50
overheads of 20 µs lie below the noise of most set-ups is the reason to ask at all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hedgerow_node.draws import standard_normal
from hedgerow_node.units import NS_PER_US
from orchestrator.analysis.comparisons import Paired, paired
from orchestrator.analysis.faults import affected
from orchestrator.analysis.measures import Measures
from orchestrator.analysis.statistics import holm
from orchestrator.plan.faults import primary_of
from orchestrator.plan.sample_size import MIN_BLOCKS, TAIL
from orchestrator.runfolder.summary import ControlFigure, ControlResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.analysis.run_data import ArmData
    from orchestrator.analysis.statistics import Bools, Floats, Ints, Weights
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
    kinds, places = _likeness(arm)
    order = np.lexsort((places, kinds, samples["block"]))
    coins = np.random.default_rng(seed).integers(0, 2, (len(order) + 1) // 2).astype(bool)
    first = np.zeros(len(order), bool)
    first[order] = np.column_stack([coins, ~coins]).reshape(-1)[: len(order)]

    def half(chosen: Bools) -> Measures:
        return Measures({name: values[chosen] for name, values in samples.items()}, None, None, rounds)

    return half(first), half(~first)


def _likeness(arm: ArmData) -> tuple[Ints, Floats]:
    """For each baseline request its kind, and its place among these: the nearer, the more alike is what they met."""
    samples = arm.samples[CONTROL]
    ids, stall, workload = samples["request_id"], arm.scenario.service.stall, arm.scenario.workload
    asked = [primary_of(arm.scenario, int(id_)) for id_ in ids]
    by_occurrence: dict[str, list[FaultRecord]] = {}
    for record in arm.faults:
        by_occurrence.setdefault(record.key, []).append(record)
    troubles = [affected(arm, CONTROL, records) for records in by_occurrence.values()]
    in_a_fault = np.any(troubles, axis=0) if troubles else np.zeros(len(ids), bool)
    if stall is not None:
        troubles.append(np.array([stall.when.evaluate(int(id_)) for id_ in ids], bool))
    kinds = np.array(asked, np.int64)
    for trouble in troubles:
        kinds = np.unique(2 * kinds + trouble, return_inverse=True)[1]
    draws = [standard_normal(workload.seed, int(id_), 1, replica) for id_, replica in zip(ids, asked, strict=True)]
    return kinds, np.where(in_a_fault, samples["intended_ns"].astype(np.float64), draws)


def controls(arms: Sequence[tuple[Halves | None, int]], resamples: Weights | None) -> list[ControlResult | None]:
    """How far the halves of each arm are apart, for the summary; with each arm's time-out in ns, None without halves.

    `figures` holds for each the ratio of the halves and their difference with 95 % intervals, the p-value of no
    effect adjusted for the number of figures, and `null`: whether none shows, as it must be. `null` on top says so of
    all figures by their smallest p-value, adjusted for the number of arms too; it is null itself where there is no
    p-value, for which there is a `reason`.
    """
    found = [None if pair is None else _control(pair, resamples, timeout_ns) for pair, timeout_ns in arms]
    smallest = [one.p_adjusted for one in found if one is not None and one.p_adjusted is not None]
    adjusted = iter(holm(smallest))
    return [one if one is None or one.p_adjusted is None else _judged(one, next(adjusted)) for one in found]


def _judged(control: ControlResult, adjusted: float) -> ControlResult:
    return replace(control, p_adjusted=round(adjusted, 6), no_effect=adjusted > 2 * TAIL)


def _control(pair: Halves, resamples: Weights | None, timeout_ns: int) -> ControlResult:
    """The entry of one arm as if there were no other."""
    figures = {name: paired(*pair, name, resamples, timeout_ns) for name in FIGURES}
    judged = {name: found.p_value for name, found in figures.items() if found.p_value is not None}
    adjusted = dict(zip(judged, holm(list(judged.values())), strict=True))
    return ControlResult(
        strategy=CONTROL,
        requests=(int(pair[0].requests.sum()), int(pair[1].requests.sum())),
        p_adjusted=min(adjusted.values(), default=None),
        no_effect=None,
        figures={name: _figure(found, adjusted.get(name)) for name, found in figures.items()},
        reason="" if judged else _why_none(pair, resamples),
    )


def _why_none(pair: Halves, resamples: Weights | None) -> str:
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
        no_effect=None if adjusted is None else adjusted > 2 * TAIL,
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
