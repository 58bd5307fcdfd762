"""A series of blocks that are not run: what it told the hedger, and what it left."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from orchestrator.plan.blocks import Plan, make_plan
from orchestrator.plan.faults import plan_faults
from orchestrator.run import series as series_module
from orchestrator.run.block import Attempt, BlockReport
from orchestrator.run.faults.outcome import FaultOutcome, FaultResult, Proof
from orchestrator.run.series import Series
from orchestrator.runfolder.folder import RunFolder
from orchestrator.runfolder.journal import Journal
from orchestrator.runfolder.manifest import Manifest, ManifestFile
from support.fake_topology import FakeTopology

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from orchestrator.scenario.experiment import Experiment

START_NS = 10**12
RUN_ID = "0123ab"


class Told:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.ended = 0

    def say(self, text: str) -> None:
        self.said.append(text)

    def begin(self, _: object) -> None:
        """Nothing to remember."""

    def end(self, _: str) -> None:
        self.ended += 1

    def close(self) -> None:
        """Nothing is open."""


class Outcome:
    """What a series left: `blocks` are not run, each attempt gives what `proven` says of its serial."""

    def __init__(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        experiment: Experiment,
        unproven: set[int],
        **reported: Any,
    ) -> None:
        folder = RunFolder.create(tmp_path, "example")
        self.folder, self.attempts, self.watcher = folder, list[Attempt](), Told()

        monkeypatch.setattr(series_module, "BlockRun", self._begin)
        self._unproven, self._reported = unproven, reported
        self.topology = FakeTopology()
        hedger = self.topology.control("hedger")
        hedger.answers["configure"] = {"engine": "clone", "delay_line": "htb"}
        hedger.answers["delay-line"] = {"statistics": "qdisc"}
        manifest, journal = ManifestFile(folder.manifest, Manifest()), Journal(folder.journal)
        topology: Any = self.topology
        topology.servers = lambda: [("10.0.0.1", 9000), ("10.0.0.2", 9000), ("10.0.0.3", 9000)]
        self.series = Series(experiment, topology, folder, manifest, journal, self.watcher)

    def _begin(self, attempt: Attempt, *_: Any) -> Any:
        self.attempts.append(attempt)
        return SimpleNamespace(run=self._report)

    def _report(self) -> BlockReport:
        attempt = self.attempts[-1]
        self.folder.raw_samples(attempt.block).write_text(f"of {attempt.serial}")
        proof = Proof(attempt.serial not in self._unproven, "as it is told", FaultOutcome(evidence={"state": "T"}))
        faults = [FaultResult(each, proof) for each in plan_faults(attempt.scenario, attempt.block).planned]
        reported = {name: value(attempt.serial) for name, value in self._reported.items()}
        return BlockReport({"rows": attempt.block.count}, [], START_NS, {"requests": 100}, faults, **reported)

    def run(self, plan: Plan) -> None:
        self.series.run(plan, RUN_ID)

    @property
    def journal(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.folder.journal.read_text().splitlines()]

    @property
    def manifest(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.folder.manifest.read_text())
        return content

    def configured(self) -> list[dict[str, Any]]:
        return [fields for do, fields in self.topology.control("hedger").asked if do == "configure"]


def one_strategy(experiment: Experiment) -> Plan:
    """Two blocks."""
    return Plan(make_plan(experiment, ("baseline",)).blocks[:2])
