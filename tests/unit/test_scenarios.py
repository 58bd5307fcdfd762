"""The project's own scenarios: each is valid in both variants, and small enough to be run on the spot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hedgerow_node.units import NS_PER_S
from orchestrator.plan.blocks import make_plan
from orchestrator.plan.eta import run_eta_ns
from orchestrator.plan.sample_size import judgeable
from orchestrator.scenario.load import load_experiment
from support.experiments import experiment_of
from support.run_folder_factory import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FILES = sorted((ROOT / "scenarios").glob("*.yaml"))


@pytest.mark.parametrize("quick", [False, True], ids=["whole", "smoke"])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_scenario_of_ours_is_valid_and_can_be_written_out(file: Path, quick: bool) -> None:
    experiment = load_experiment(file, smoke=quick)
    assert experiment_of(experiment.dump()) == experiment
    assert experiment.name.replace("-", "_") == file.stem
    assert experiment.description


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_smoke_run_takes_less_than_twenty_seconds(file: Path) -> None:
    experiment = load_experiment(file, smoke=True)
    assert run_eta_ns(experiment, make_plan(experiment)) < 20 * NS_PER_S


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_whole_run_takes_minutes_and_its_sample_carries_its_claims(file: Path) -> None:
    experiment = load_experiment(file)
    plan = make_plan(experiment)
    # the published experiment is what was published
    limit_s = 240 if experiment.name == "paper" else 180
    assert run_eta_ns(experiment, plan) < limit_s * NS_PER_S
    assert [judgement for judgement in judgeable(experiment, plan) if judgement.shortfalls] == []
