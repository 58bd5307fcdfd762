"""Every scenario can be reported as a page, a table and in JUnit: with arms or none, with a baseline or none."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from orchestrator.host.observe.provenance import provenance
from orchestrator.report.junit import as_junit
from orchestrator.report.markdown import as_markdown
from orchestrator.report.page import write_report
from orchestrator.runfolder.run import Run
from orchestrator.runfolder.summary import Summary
from orchestrator.scenario.load import load_experiment
from support.run_folder_factory import ROOT, finished_run
from support.summaries import printed

if TYPE_CHECKING:
    from pathlib import Path

SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml"))


@pytest.fixture(scope="module")
def surroundings() -> dict[str, object]:
    return asdict(provenance())


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.stem)
def test_the_quick_variant_can_be_reported_in_every_way(
    scenario: Path, tmp_path: Path, surroundings: dict[str, object]
) -> None:
    experiment = load_experiment(scenario, smoke=True)
    folder = finished_run(tmp_path, experiment)
    manifest = json.loads(folder.manifest.read_text())
    ran = {"started_at": "2026-11-23T23:00:00+00:00", "seeds": {"workload": 42, "design": 1}}
    folder.manifest.write_text(json.dumps({**manifest, **surroundings, **ran}))
    write_report(Run(folder))
    page = folder.report.read_text()
    summary = Summary.read(folder.summary)
    for arm in experiment.arms:
        for strategy in arm.scenario.strategies:
            assert strategy in page
    for text in (printed(summary), as_markdown(summary), as_junit(folder.name, summary)):
        assert experiment.name in text
