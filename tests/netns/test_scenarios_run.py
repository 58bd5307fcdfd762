"""Every scenario of the project runs, in its quick variant, and what it says goes wrong does go wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from netns.host_state import assert_as_before, host_state
from netns.scenario_files import finish, start_run
from orchestrator.scenario.load import load_experiment

pytestmark = pytest.mark.root

SCENARIOS = sorted((Path(__file__).parents[2] / "scenarios").glob("*.yaml"))


def parts(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """The arms of a summary, or all of it where there are none."""
    found: list[dict[str, Any]] = summary.get("arms", [summary])
    return found


@pytest.mark.parametrize("scenario", [path for path in SCENARIOS if path.stem != "smoke"], ids=lambda path: path.stem)
def test_its_quick_variant_runs_and_proves_its_faults(scenario: Path, tmp_path: Path) -> None:
    before = host_state()
    run = finish(start_run(scenario, tmp_path, "--smoke", "--json", "--no-report"))
    assert run.code == 0, run.errors
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
        kernel = part["strategies"]["kernel"]
        assert kernel["duplicates_delivered"] == 0
        assert kernel["hedges"] > 0
    samples = pq.read_table(run.folder / "samples.parquet")
    assert samples.num_rows == sum(
        strategy["requests"] for part in parts(run.summary) for strategy in part["strategies"].values()
    )
    assert_as_before(before)
