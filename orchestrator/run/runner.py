"""A run from start to end: the host is changed, measured on, and given back as it was found, whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from orchestrator.collect.folder import RUN_NAME, RunFolder
from orchestrator.errors import HedgerowError, RunError
from orchestrator.host.audit import remaining
from orchestrator.host.journal import Journal
from orchestrator.host.live import LiveRun, clear_dead_runs
from orchestrator.plan.blocks import Plan
from orchestrator.run.block import run_block
from orchestrator.run.interrupts import Interrupted, Interrupts
from orchestrator.run.manifest import Manifest
from orchestrator.run.progress import Watcher
from orchestrator.scenario.checks import check_delay_line_capacity
from orchestrator.scenario.load import dump_scenario
from orchestrator.scenario.models import Scenario
from orchestrator.topology.base import HEDGER, Topology

#: Makes a backend's topology from the scenario, the run's live directory, its journal and its log file.
MakeTopology = Callable[[Scenario, LiveRun, Journal, Path], Topology]


class Run:
    """One run of a scenario: `measure`, then look at `leftovers`."""

    def __init__(self, scenario: Scenario, plan: Plan, folder: RunFolder, watcher: Watcher) -> None:
        self._scenario, self._plan, self._watcher = scenario, plan, watcher
        self.folder = folder
        name = RUN_NAME.fullmatch(folder.name)
        if name is None:
            raise RunError(f"{folder.name} is no name of a run folder")
        self.run_id: str = name["token"]
        #: What still bears the run's id after the end; empty as it should be.
        self.leftovers: list[str] = []

    def measure(self, make_topology: MakeTopology, backend: str) -> None:
        """Runs all blocks; raw records, journal, manifest and log are in the run folder afterwards.

        Raises Interrupted, RunError or PrerequisiteError; the host is cleaned up in each case.
        """
        cleared = clear_dead_runs()
        if cleared:
            self._watcher.say(f"cleaned up after runs that died: {', '.join(cleared)}")
        self.folder.scenario.write_text(dump_scenario(self._scenario))
        self.folder.log.touch()
        manifest = Manifest(self.folder, self._scenario, backend)
        journal = Journal(self.folder.journal)
        live = LiveRun(self.run_id)
        with Interrupts() as interrupts:
            topology = make_topology(self._scenario, live, journal, self.folder.log)
            try:
                live.open(self.folder.journal)
                topology.up()
                self._blocks(topology, manifest, journal)
                interrupts.shield()
                manifest.finish("complete")
            except Interrupted:
                manifest.finish("interrupted")
                raise
            except HedgerowError as error:
                interrupts.shield()
                manifest.finish(f"failed: {error.message}")
                raise
            finally:
                interrupts.shield()
                topology.down()
                live.close()
                self.leftovers = remaining(self.run_id)
                journal.note("end", leftovers=self.leftovers)
                journal.close()
                self.folder.give_to_owner()
            interrupts.raise_remembered()

    def _blocks(self, topology: Topology, manifest: Manifest, journal: Journal) -> None:
        hedger = topology.control(HEDGER)
        state = hedger.call("ping")
        check_delay_line_capacity(self._scenario, state["delay_line"])
        before = hedger.call("delay-line")["statistics"]
        manifest.set(engine=state["engine"], delay_line=state["delay_line"])
        self._watcher.say(f"engine {state['engine']}, delay line {state['delay_line']}")
        for block in self._plan:
            self._watcher.begin(block)
            journal.note("block", order=block.order, strategy=block.strategy, block=block.number)
            report = run_block(self._scenario, block, topology, self.folder)
            manifest.add_block(block, report)
            self._watcher.end(report.text())
        after = hedger.call("delay-line")["statistics"]
        manifest.set(delay_line_statistics={"before": before, "after": after})
