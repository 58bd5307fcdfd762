"""summary.json: every figure of a run with its interval, and the verdict on every claim.

Works from the run folder alone: scenario.yaml has the claims, the tables what happened, manifest.json the host and
the backend, and journal.jsonl which faults were injected where.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hedgerow_node.strategies import strategy_named
from hedgerow_node.units import NS_PER_MS
from orchestrator.analysis.comparisons import comparisons
from orchestrator.analysis.disturbed_blocks import disturbed_blocks
from orchestrator.analysis.faults import affected
from orchestrator.analysis.judge.evidence import Evidence
from orchestrator.analysis.judge.verdicts import judge_all, overall
from orchestrator.analysis.noise import HostNoise, controls, halves
from orchestrator.analysis.statistics import (
    Resamples,
    estimate,
    monotone,
    order_interval,
    plain,
    rounded,
    rounded_ends,
)
from orchestrator.claims.functions import (
    BUFFERED,
    FUNCTIONS,
    LATENCY,
    LATENESS,
    LATENESS_FROM_INTENDED,
    PER_UNIT,
    SEND_LATENESS,
    Function,
    Measure,
    functions_of,
)
from orchestrator.runfolder.summary import (
    ArmSummary,
    ClaimVerdict,
    ClockSetBlock,
    DiscardedBlock,
    FaultSummary,
    Interval,
    StrategySummary,
    Summary,
)
from orchestrator.scenario.faults import targets_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.analysis.measures import Measures
    from orchestrator.analysis.run_data import ArmData, RunData
    from orchestrator.runfolder.summary import ControlResult, Intervals, Quantiles
    from orchestrator.scenario.models import Strategy

_ACROSS = "*"  #: no arm can be called that


def summarise(data: RunData) -> Summary:
    """What summary.json is to hold; the same run always gives the same. RunError where it has no manifest."""
    manifest = data.run.manifest
    noise = None if manifest.noise is None else HostNoise.of(manifest.noise.lateness_us)
    evidence = {arm.name: _evidence(arm, data, noise) for arm in data.arms}
    judged = _judged(data, evidence)
    against_itself = controls([(one.halves, one.timeout_ns) for one in evidence.values()], data.resamples)
    modes = {arm.scenario.workload.arrivals.mode for arm in data.arms}
    return Summary(
        scenario=data.experiment.name,
        run=data.run.name,
        backend=manifest.backend,
        engine=manifest.engine,
        delay_line=manifest.delay_line,
        arrivals=modes.pop() if len(modes) == 1 else "mixed",
        blocks=data.rounds,
        verdict=overall([claim.verdict for claims in judged.values() for claim in claims]),
        matrix=dict(data.experiment.matrix),
        arms=tuple(
            _arm(arm, data, control, judged[arm.name]) for arm, control in zip(data.arms, against_itself, strict=True)
        ),
        claims_across_arms=tuple(judged.get(_ACROSS, [])),
        faults=tuple(fault for arm in data.arms for fault in _faults(arm)),
        discarded=tuple(
            DiscardedBlock(arm=block.arm, strategy=block.strategy, block=block.block, reasons=block.reasons)
            for block in data.run.fault_log.discarded
        ),
        disturbed=disturbed_blocks(manifest.blocks),
        clock_set=tuple(
            ClockSetBlock(
                arm=block.arm,
                strategy=block.strategy,
                block=block.block,
                by_ms=round(block.clock_set_ns / NS_PER_MS, 3),
            )
            for block in manifest.blocks
            if block.clock_set_ns is not None
        ),
    )


def _arm(arm: ArmData, data: RunData, control: ControlResult | None, claims: list[ClaimVerdict]) -> ArmSummary:
    timeout_ns = arm.scenario.workload.timeout_ns
    return ArmSummary(
        name=arm.name,
        set=dict(data.experiment.arm(arm.name).set),
        arrivals=arm.scenario.workload.arrivals.mode,
        verdict=overall([claim.verdict for claim in claims]),
        strategies={
            strategy: _strategy(arm, strategy, measures, data)
            for strategy, measures in zip(arm.scenario.strategies, arm.measures.values(), strict=True)
        },
        comparisons=tuple(comparisons(arm.scenario.strategies, arm.measures, data.resamples, timeout_ns)),
        control=control,
        claims=tuple(claims),
    )


def _evidence(arm: ArmData, data: RunData, noise: HostNoise | None) -> Evidence:
    seed, timeout_ns = data.experiment.scenario.design.seed, arm.scenario.workload.timeout_ns
    return Evidence(arm.measures, data.resamples, timeout_ns, halves(arm, data.round_numbers, seed), noise)


def _judged(data: RunData, evidence: dict[str | None, Evidence]) -> dict[str | None, list[ClaimVerdict]]:
    """The verdicts on all claims by arm, those across arms under `_ACROSS`; all are judged together."""
    claims = [(arm.name, claim, evidence[arm.name]) for arm in data.arms for claim in arm.scenario.claims]
    claims += [(_ACROSS, claim, Evidence.across(evidence)) for claim in data.experiment.claims]
    findings = judge_all([(claim.expect, where) for _, claim, where in claims])
    verdicts: dict[str | None, list[ClaimVerdict]] = {arm.name: [] for arm in data.arms}
    for (arm, claim, _), finding in zip(claims, findings, strict=True):
        verdicts.setdefault(arm, []).append(
            ClaimVerdict(id=claim.id, text=claim.text, expect=claim.expect.text, **vars(finding.printed()))
        )
    return verdicts


def _faults(arm: ArmData) -> Iterator[FaultSummary]:
    """What became of each of the arm's faults on each node that it affects, one that never came included."""
    for index, fault in enumerate(arm.scenario.faults):
        for target in targets_of(fault, arm.scenario.topology.replicas):
            records = [record for record in arm.faults if (record.declared, record.target) == (index, target)]
            yield FaultSummary(
                arm=arm.name,
                fault=fault.fault,
                target=target,
                occurrences=len(records),
                proven=sum(record.proven for record in records),
                requests={name: int(affected(arm, name, records).sum()) for name in arm.scenario.strategies},
            )


def _strategy(arm: ArmData, strategy: Strategy, measures: Measures, data: RunData) -> StrategySummary:
    published, resamples = arm.scenario.published.get(strategy), data.resamples
    hedged = strategy_named(strategy).hedges_in == "kernel"
    engine, delay_line = data.run.manifest.engine_of(arm.name, strategy) if hedged else (None, None)
    return StrategySummary(
        requests=int(measures.requests.sum()),
        answered=int(measures.answered.sum()),
        timeouts=int(measures.timeouts.sum()),
        errors=int(measures.errors.sum()),
        duplicates_delivered=int(measures.duplicates.sum()),
        hedges=int(measures.hedges.sum()),
        hedges_won=int(measures.hedges_won.sum()),
        hedges_won_unknown=int(measures.hedges_won_unknown.sum()),
        hedge_rate=_figure(measures, FUNCTIONS["rate"]),
        win_rate=_figure(measures, FUNCTIONS["win_rate"]),
        copies_sent=int(measures.copies_sent.sum()),
        extra_copies_sent=_beyond_one(int(measures.copies_sent.sum()), int(measures.requests.sum())),
        extra_load=_figure(measures, FUNCTIONS["extra_load"]),
        wasted=_figure(measures, FUNCTIONS["wasted"]),
        stalled=int(measures.stalled.sum()) if measures.copies is not None else None,
        stalled_hedged=int(measures.stalled_hedged.sum()) if measures.copies is not None else None,
        latency_ms=_figures(measures, LATENCY),
        hedged_mean_ms=_figure(measures, FUNCTIONS["hedged_mean"]),
        ci95_ms=_intervals(measures, LATENCY, resamples),
        order_ci95_ms=dict(_order_intervals(measures)),
        lateness_us=_figures(measures, LATENESS),
        lateness_ci95_us=_intervals(measures, LATENESS, resamples),
        lateness_from_intended_us=_figures(measures, LATENESS_FROM_INTENDED),
        send_lateness_us=_send_lateness(measures),
        buffered_ms=_figures(measures, BUFFERED),
        censored=tuple(each.label for each in functions_of(LATENCY) if np.isinf(_value(measures, each))),
        published_ms=None if published is None else published.model_dump(exclude_none=True),
        engine=engine,
        delay_line=delay_line,
    )


def _value(measures: Measures, function: Function) -> float:
    """`function` over all rounds, in ns where it is a time."""
    return float(measures.evaluate(function.name, plain(measures.rounds))[0])


def _figure(measures: Measures, function: Function) -> float | None:
    """`function` over all rounds, in its unit."""
    return rounded(_value(measures, function), PER_UNIT[function.measure.unit])


def _beyond_one(copies: int, requests: int) -> float | None:
    """How many `copies` there are beyond one a request, per request."""
    return rounded(copies / requests - 1) if requests else None


def _figures(measures: Measures, measure: Measure) -> Quantiles:
    """Every function that claims may name of `measure`."""
    return {function.label: _figure(measures, function) for function in functions_of(measure)}


def _intervals(measures: Measures, measure: Measure, resamples: Resamples | None) -> Intervals:
    """Their 95 % intervals by blocks, but for maxima, which have none; None for a small sample."""
    estimated = [function for function in functions_of(measure) if not function.counted]
    ends = {function.label: estimate(measures, function.name, resamples).ends for function in estimated}
    quantiles = sorted((each for each in estimated if each.quantile is not None), key=lambda each: each.quantile or 0)
    ends |= zip((each.label for each in quantiles), monotone([ends[each.label] for each in quantiles]), strict=True)
    per_unit = PER_UNIT[measure.unit]
    return {label: None if pair is None else rounded_ends(pair, per_unit) for label, pair in ends.items()}


def _send_lateness(measures: Measures) -> Quantiles | None:
    """How late requests were sent; None where there was no schedule to be late against."""
    if not len(measures.send_lateness):
        return None
    latest = float(measures.send_lateness.maximum(plain(measures.rounds))[0])
    return {**_figures(measures, SEND_LATENESS), "max": rounded(latest, PER_UNIT[SEND_LATENESS.unit])}


def _order_intervals(measures: Measures) -> Iterator[tuple[str, Interval | None]]:
    """The exact 95 % interval of each latency quantile, ms, were requests independent; None for a small sample."""
    for function in functions_of(LATENCY):
        if function.quantile is not None:
            found = order_interval(measures.latency.merged, function.quantile)
            beyond = found is None or np.isinf(found[0])
            yield function.label, None if found is None or beyond else rounded_ends(found, PER_UNIT[LATENCY.unit])
