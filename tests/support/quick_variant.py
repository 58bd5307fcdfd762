"""A scenario of the project in its quick variant: it runs, and what it says goes wrong does go wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from hedgerow_node.strategies import strategy_named
from orchestrator.scenario.load import load_experiment
from support.scenario_files import finish, start_run

SCENARIOS = Path(__file__).parents[2] / "scenarios"


def parts(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """The arms of a summary, or all of it where there are none."""
    found: list[dict[str, Any]] = summary.get("arms", [summary])
    return found


def run_quick_variant(scenario: Path, results: Path, backend: str = "netns") -> None:
    """Runs it; fails where anything of it does not hold."""
    run = finish(start_run(scenario, results, "--smoke", "--json", "--no-report", backend=backend))
    assert run.code == 0, run.errors
    assert run.summary["backend"] == backend
    experiment = load_experiment(scenario, smoke=True)
    declared = sum(len(arm.scenario.faults) for arm in experiment.arms)
    assert bool(run.summary["faults"]) is bool(declared)
    for fault in run.summary["faults"]:
        assert fault["occurrences"] > 0, fault
        assert fault["proven"] == fault["occurrences"], fault
    for part in parts(run.summary):
        for strategy in part["strategies"].values():
            assert strategy["answered"] > 0
            assert strategy["requests"] == strategy["answered"] + strategy["timeouts"] + strategy["errors"]
        strategies = part["strategies"]
        hedged = {name: strategies[name] for name in strategies if strategy_named(name).hedges_in == "kernel"}
        assert hedged
        for name, strategy in hedged.items():
            assert strategy["duplicates_delivered"] == 0
            assert strategy["hedges"] > 0
            assert strategy["engine"] in ("clone", "queue")
            assert strategy_named(name).engine in (None, strategy["engine"])
    samples = pq.read_table(run.folder / "samples.parquet")
    assert samples.num_rows == sum(
        strategy["requests"] for part in parts(run.summary) for strategy in part["strategies"].values()
    )
