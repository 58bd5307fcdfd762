"""When faults were on, and which requests they affected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hedgerow_node.units import NS_PER_MS
from orchestrator.analysis.faults import affected, windows
from orchestrator.plan.blocks import make_plan
from orchestrator.plan.faults import affected_ids, timeline
from support.arms_scenarios import ARMS
from support.run_folder_factory import data_of, experiment_from, finished_run

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.analysis.run_data import ArmData


@pytest.fixture(scope="module")
def arms(tmp_path_factory: pytest.TempPathFactory) -> dict[str | None, ArmData]:
    """A run of two arms with a pause each."""
    folder = tmp_path_factory.mktemp("arms")
    run = data_of(finished_run(folder / "results", experiment_from(folder, ARMS)))
    return {arm.name: arm for arm in run.arms}


def test_windows_are_when_faults_were_in_force(arms: dict[str | None, ArmData]) -> None:
    paused, lost = sorted(windows(arms["one-server-paused"], "kernel"), key=lambda window: window.fault)
    assert (paused.fault, paused.throughout) == (0, False)
    assert paused.start_ns == pytest.approx(100 * NS_PER_MS, abs=NS_PER_MS)
    assert paused.end_ns == pytest.approx(300 * NS_PER_MS, abs=NS_PER_MS)
    assert (lost.fault, lost.throughout) == (1, True)


def test_requests_due_in_a_window_are_those_that_the_plan_expects(
    arms: dict[str | None, ArmData], tmp_path: Path
) -> None:
    experiment = experiment_from(tmp_path, ARMS)
    arm = arms["one-server-paused"]
    records = [record for record in arm.faults if record.fault == "pause"]
    (pause,) = [occurrence for occurrence in timeline(arm.scenario) if occurrence.fault == 0]
    blocks = make_plan(experiment).of("kernel", "one-server-paused")
    planned = sum(len(affected_ids(arm.scenario, block, pause)) for block in blocks)
    assert planned == 5 * 100
    for strategy in arm.scenario.strategies:
        assert affected(arm, strategy, records).sum() == planned
