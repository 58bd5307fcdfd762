"""summary.json: every figure of a run with its interval, and the verdict on every claim.

Works from the run folder alone: scenario.yaml says what was claimed, the tables what happened, manifest.json on what.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from orchestrator.analysis.bootstrap import interval, resample
from orchestrator.analysis.measures import Measures
from orchestrator.analysis.quantiles import Weights, plain
from orchestrator.analysis.verdicts import Evidence, Finding, judge, overall
from orchestrator.collect.folder import RunFolder
from orchestrator.collect.tables import read_hedges, read_samples, read_server
from orchestrator.errors import RunError
from orchestrator.plan.sample_size import samples_needed
from orchestrator.scenario.claim_grammar import FUNCTIONS, parse_claim
from orchestrator.scenario.load import load_scenario
from orchestrator.scenario.models import Claim, Scenario, Strategy

SCHEMA = 1

_LATENCIES = ("p50", "p90", "p95", "p99", "p999", "max", "mean")
_LATENESSES = {"p50": "lateness_p50", "p99": "lateness_p99", "max": "lateness_max"}
_MANIFEST_KEYS = ("backend", "engine", "delay_line")
_NS_PER_MS, _NS_PER_US = 1e6, 1e3


def summarise(folder: RunFolder) -> dict[str, Any]:
    """The content of summary.json, computed from the manifest, the scenario and the tables of `folder`.

    The same folder always gives the same summary. Raises RunError where the folder lacks something, ScenarioError
    where its scenario cannot be read.
    """
    scenario = load_scenario(folder.scenario)
    manifest = _manifest(folder)
    measures = read_measures(folder, scenario)
    rounds = next(iter(measures.values())).rounds
    resamples = resample(rounds, scenario.design.seed)
    evidence = Evidence(measures, resamples, scenario.workload.timeout_ns)
    findings = [(claim, judge(parse_claim(claim.expect), evidence)) for claim in scenario.claims]
    return {
        "schema": SCHEMA,
        "scenario": scenario.name,
        "run": folder.name,
        **{key: manifest.get(key) for key in _MANIFEST_KEYS},
        "arrivals": scenario.workload.arrivals.mode,
        "blocks": rounds,
        "verdict": overall([finding.verdict for _, finding in findings]),
        "strategies": {
            strategy: {
                **_strategy(measures[strategy], resamples),
                **_published(scenario, strategy),
            }
            for strategy in scenario.strategies
        },
        "claims": [_claim(claim, finding) for claim, finding in findings],
    }


def write_summary(folder: RunFolder, summary: dict[str, Any]) -> None:
    """Write `summary` as summary.json, and give it to the owner of the results folder."""
    folder.summary.write_text(json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    folder.give_to_owner()


def read_measures(folder: RunFolder, scenario: Scenario) -> dict[str, Measures]:
    """The figures of each strategy of `scenario`; RunError where one has no samples."""
    samples, hedges, server = read_samples(folder), read_hedges(folder), read_server(folder)
    missing = [strategy for strategy in scenario.strategies if strategy not in samples]
    if missing:
        raise RunError(f"{folder.name} holds no samples of {', '.join(missing)}", "run the scenario again")
    numbers = np.unique(np.concatenate([columns["block"] for columns in samples.values()]))
    return {
        strategy: Measures(samples[strategy], hedges.get(strategy), server.get(strategy), numbers)
        for strategy in scenario.strategies
    }


def _manifest(folder: RunFolder) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads(folder.manifest.read_text())
    except (OSError, ValueError) as error:
        raise RunError(
            f"{folder.manifest} cannot be read: {error}", "is this the folder of a finished run?"
        ) from error
    return manifest


def _strategy(measures: Measures, resamples: Weights | None) -> dict[str, Any]:
    once = plain(measures.rounds)
    latencies = {name: measures.evaluate(name, once)[0] for name in _LATENCIES}
    latenesses = {name: measures.evaluate(function, once)[0] for name, function in _LATENESSES.items()}
    summary: dict[str, Any] = {
        "requests": int(measures.requests.sum()),
        "answered": int(measures.answered.sum()),
        "timeouts": int(measures.timeouts.sum()),
        "errors": int(measures.errors.sum()),
        "duplicates_delivered": int(measures.duplicates.sum()),
        "hedges": int(measures.hedges.sum()),
        "hedges_won": int(measures.hedges_won.sum()),
        "hedges_won_unknown": int(measures.hedges_won_unknown.sum()),
        "hedge_rate": _rounded(measures.evaluate("rate", once)[0]),
        "extra_load": _rounded(measures.evaluate("extra_load", once)[0]),
        "stalled": int(measures.stalled.sum()) if measures.copies is not None else None,
        "stalled_hedged": int(measures.stalled_hedged.sum()) if measures.copies is not None else None,
        "latency_ms": {name: _rounded(value, _NS_PER_MS) for name, value in latencies.items()},
        "ci95_ms": {name: _interval(measures, name, resamples, _NS_PER_MS) for name in _LATENCIES if name != "max"},
        "lateness_us": {name: _rounded(value, _NS_PER_US) for name, value in latenesses.items()},
        "lateness_ci95_us": {
            name: _interval(measures, function, resamples, _NS_PER_US)
            for name, function in _LATENESSES.items()
            if name != "max"
        },
    }
    censored = [name for name, value in latencies.items() if np.isinf(value)]
    return {**summary, "censored": censored} if censored else summary


def _interval(
    measures: Measures, function: str, resamples: Weights | None, ns_per_unit: float
) -> list[float | None] | None:
    """The 95 % interval of `function`; an end beyond the time-out is null, as is all of it for a small sample."""
    quantile = FUNCTIONS[function].quantile
    if resamples is None or (quantile is not None and measures.values_behind(function) < samples_needed(quantile)):
        return None
    ends = interval(measures.evaluate(function, resamples))
    if ends is None or np.isinf(ends[0]):
        return None
    return [_rounded(end, ns_per_unit) for end in ends]


def _published(scenario: Scenario, strategy: Strategy) -> dict[str, Any]:
    figures = scenario.published.get(strategy)
    return {"published_ms": figures.model_dump(exclude_none=True)} if figures else {}


def _claim(claim: Claim, finding: Finding) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": claim.id,
        "text": claim.text,
        "verdict": finding.verdict,
        "observed": finding.observed,
        "ci95": None if finding.ci95 is None else list(finding.ci95),
        "unit": finding.unit,
        "expect": claim.expect,
    }
    return {**entry, "reason": finding.reason} if finding.reason else entry


def _rounded(value: float, ns_per_unit: float = 1.0) -> float | None:
    return round(float(value) / ns_per_unit, 6) if np.isfinite(value) else None
