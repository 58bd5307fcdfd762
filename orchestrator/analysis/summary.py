"""summary.json: every figure of a run with its interval, and the verdict on every claim.

Works from the run folder alone: scenario.yaml says what was claimed, the tables what happened, manifest.json on what,
and journal.jsonl what was done to whom meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orchestrator.analysis.comparisons import comparisons
from orchestrator.analysis.judge.evidence import Evidence
from orchestrator.analysis.judge.verdicts import judge_all, overall
from orchestrator.analysis.noise import HostNoise, controls, halves
from orchestrator.analysis.run_data import ArmData, RunData, read_run
from orchestrator.analysis.statistics import Weights, estimate, order_interval, plain
from orchestrator.analysis.windows import affected
from orchestrator.claims.functions import FUNCTIONS
from orchestrator.runfolder.format_versions import read_json
from orchestrator.runfolder.summary import (
    ArmSummary,
    ClaimVerdict,
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
    from orchestrator.runfolder.folder import RunFolder
    from orchestrator.runfolder.summary import ControlResult, Quantiles
    from orchestrator.scenario.models import Scenario, Strategy

_LATENCIES = ("p50", "p90", "p95", "p99", "p999", "max", "mean")
_LATENESSES = {"p50": "lateness_p50", "p99": "lateness_p99", "max": "lateness_max"}
_NS_PER_MS, _NS_PER_US = 1e6, 1e3
_ACROSS = "*"  #: no arm can be called that


def summarise(folder: RunFolder) -> Summary:
    """What summary.json is to hold, computed from manifest, scenario, tables and journal of `folder`.

    The same folder always gives the same summary. Raises RunError where the folder lacks something, ScenarioError
    where its scenario cannot be read.
    """
    manifest = read_json(folder.manifest, "is this the folder of a finished run?")
    run = read_run(folder)
    probe = manifest.get("noise")
    noise = None if probe is None else HostNoise.of(probe["lateness_us"])
    evidence = {arm.name: _evidence(arm, run, noise) for arm in run.arms}
    judged = _judged(run, evidence)
    against_itself = controls([(one.halves, one.timeout_ns) for one in evidence.values()], run.resamples)
    modes = {arm.scenario.workload.arrivals.mode for arm in run.arms}
    return Summary(
        scenario=run.experiment.name,
        run=folder.name,
        backend=manifest.get("backend"),
        engine=manifest.get("engine"),
        delay_line=manifest.get("delay_line"),
        arrivals=modes.pop() if len(modes) == 1 else "mixed",
        blocks=run.rounds,
        verdict=overall([claim.verdict for claims in judged.values() for claim in claims]),
        matrix=dict(run.experiment.matrix),
        arms=tuple(
            _arm(arm, run, control, judged[arm.name]) for arm, control in zip(run.arms, against_itself, strict=True)
        ),
        claims_across_arms=tuple(judged.get(_ACROSS, [])),
        faults=tuple(fault for arm in run.arms for fault in _faults(arm)),
        discarded=tuple(
            DiscardedBlock(arm=block.arm, strategy=block.strategy, block=block.block, reasons=block.reasons)
            for block in run.discarded
        ),
    )


def _arm(arm: ArmData, run: RunData, control: ControlResult | None, claims: list[ClaimVerdict]) -> ArmSummary:
    timeout_ns = arm.scenario.workload.timeout_ns
    return ArmSummary(
        name=arm.name,
        set=dict(run.experiment.arm(arm.name).set),
        arrivals=arm.scenario.workload.arrivals.mode,
        verdict=overall([claim.verdict for claim in claims]),
        strategies={
            strategy: _strategy(arm.scenario, strategy, measures, run.resamples)
            for strategy, measures in zip(arm.scenario.strategies, arm.measures.values(), strict=True)
        },
        comparisons=tuple(comparisons(arm.scenario.strategies, arm.measures, run.resamples, timeout_ns)),
        control=control,
        claims=tuple(claims),
    )


def _evidence(arm: ArmData, run: RunData, noise: HostNoise | None) -> Evidence:
    seed, timeout_ns = run.experiment.scenario.design.seed, arm.scenario.workload.timeout_ns
    return Evidence(arm.measures, run.resamples, timeout_ns, halves(arm, run.round_numbers, seed), noise)


def _judged(run: RunData, evidence: dict[str | None, Evidence]) -> dict[str | None, list[ClaimVerdict]]:
    """The verdicts on all claims by arm, those across arms under `_ACROSS`; all are judged together."""
    claims = [(arm.name, claim, evidence[arm.name]) for arm in run.arms for claim in arm.scenario.claims]
    claims += [(_ACROSS, claim, Evidence.across(evidence)) for claim in run.experiment.claims]
    findings = judge_all([(claim.expect, where) for _, claim, where in claims])
    verdicts: dict[str | None, list[ClaimVerdict]] = {arm.name: [] for arm in run.arms}
    for (arm, claim, _), finding in zip(claims, findings, strict=True):
        verdicts.setdefault(arm, []).append(
            ClaimVerdict(id=claim.id, text=claim.text, expect=claim.expect.text, **vars(finding))
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


def _strategy(
    scenario: Scenario, strategy: Strategy, measures: Measures, resamples: Weights | None
) -> StrategySummary:
    once = plain(measures.rounds)
    latencies = {name: measures.evaluate(name, once)[0] for name in _LATENCIES}
    latenesses = {name: measures.evaluate(function, once)[0] for name, function in _LATENESSES.items()}
    published = scenario.published.get(strategy)
    return StrategySummary(
        requests=int(measures.requests.sum()),
        answered=int(measures.answered.sum()),
        timeouts=int(measures.timeouts.sum()),
        errors=int(measures.errors.sum()),
        duplicates_delivered=int(measures.duplicates.sum()),
        hedges=int(measures.hedges.sum()),
        hedges_won=int(measures.hedges_won.sum()),
        hedges_won_unknown=int(measures.hedges_won_unknown.sum()),
        hedge_rate=_rounded(measures.evaluate("rate", once)[0]),
        win_rate=_rounded(measures.evaluate("win_rate", once)[0]),
        extra_load=_rounded(measures.evaluate("extra_load", once)[0]),
        wasted=_rounded(measures.evaluate("wasted", once)[0]),
        stalled=int(measures.stalled.sum()) if measures.copies is not None else None,
        stalled_hedged=int(measures.stalled_hedged.sum()) if measures.copies is not None else None,
        latency_ms={name: _rounded(value, _NS_PER_MS) for name, value in latencies.items()},
        hedged_mean_ms=_rounded(measures.evaluate("hedged_mean", once)[0], _NS_PER_MS),
        ci95_ms={name: _interval(measures, name, resamples, _NS_PER_MS) for name in _LATENCIES if name != "max"},
        order_ci95_ms=dict(_order_intervals(measures)),
        lateness_us={name: _rounded(value, _NS_PER_US) for name, value in latenesses.items()},
        lateness_ci95_us={
            name: _interval(measures, function, resamples, _NS_PER_US)
            for name, function in _LATENESSES.items()
            if name != "max"
        },
        send_lateness_us=_send_lateness(measures),
        buffered_ms={
            name: _rounded(measures.evaluate(f"buffered_{name}", once)[0], _NS_PER_MS) for name in ("p50", "p99")
        },
        censored=tuple(name for name, value in latencies.items() if np.isinf(value)),
        published_ms=None if published is None else published.model_dump(exclude_none=True),
    )


def _send_lateness(measures: Measures) -> Quantiles | None:
    """How late requests were sent; None where there was no schedule to be late against."""
    if not len(measures.send_lateness):
        return None
    once = plain(measures.rounds)
    quantiles = {name: measures.evaluate(f"send_lateness_{name}", once)[0] for name in ("p50", "p99")}
    figures = {**quantiles, "max": measures.send_lateness.maximum(once)[0]}
    return {name: _rounded(value, _NS_PER_US) for name, value in figures.items()}


def _interval(measures: Measures, function: str, resamples: Weights | None, ns_per_unit: float) -> Interval | None:
    """The 95 % interval of `function` by blocks; None for a small sample."""
    found = estimate(measures, function, resamples)
    return None if found.low is None or found.high is None else _ends((found.low, found.high), ns_per_unit)


def _order_intervals(measures: Measures) -> Iterator[tuple[str, Interval | None]]:
    """The exact 95 % interval of each latency quantile, ms, were requests independent; None for a small sample."""
    for name in _LATENCIES:
        quantile = FUNCTIONS[name].quantile
        if quantile is not None:
            found = order_interval(measures.latency.merged, quantile)
            beyond = found is None or np.isinf(found[0])
            yield name, None if found is None or beyond else _ends(found, _NS_PER_MS)


def _ends(ends: tuple[float, float], ns_per_unit: float) -> Interval:
    """An end beyond the time-out is None."""
    return _rounded(ends[0], ns_per_unit), _rounded(ends[1], ns_per_unit)


def _rounded(value: float, ns_per_unit: float = 1.0) -> float | None:
    return round(float(value) / ns_per_unit, 6) if np.isfinite(value) else None
