"""A run from start to end: the host is changed, measured on, and given back as it was found, whatever happens."""

from __future__ import annotations

import time
from collections.abc import Callable

from hedgerow_node.control import ControlError
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
from orchestrator.topology.programs import hedger_assignment

#: Makes a backend's topology from the scenario, the run's live directory, its journal and its folder.
MakeTopology = Callable[[Scenario, LiveRun, Journal, RunFolder], Topology]


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
            topology = make_topology(self._scenario, live, journal, self.folder)
            try:
                live.open(self.folder.journal)
                self._stand_up(topology, manifest)
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
                self._take_down(topology, manifest)
                live.close()
                self.leftovers = remaining(self.run_id)
                journal.note("end", leftovers=self.leftovers)
                journal.close()
                self.folder.give_to_owner()
            interrupts.raise_remembered()

    def _stand_up(self, topology: Topology, manifest: Manifest) -> None:
        started_s = time.monotonic()
        topology.up()
        self._tell_time("up", started_s, manifest)
        manifest.set(**topology.describe())

    def _take_down(self, topology: Topology, manifest: Manifest) -> None:
        started_s = time.monotonic()
        topology.down()
        self._tell_time("down", started_s, manifest)

    def _tell_time(self, what: str, started_s: float, manifest: Manifest) -> None:
        taken_s = round(time.monotonic() - started_s, 3)
        self._watcher.say(f"topology {what} in {taken_s:.1f} s")
        manifest.set(**{f"topology_{what}_s": taken_s})

    def _blocks(self, topology: Topology, manifest: Manifest, journal: Journal) -> None:
        hedger = topology.control(HEDGER)
        assignment = hedger_assignment(self._scenario, topology.servers(), self.run_id)
        try:
            state = hedger.call("configure", **assignment)
        except ControlError as error:
            topology.check()
            raise RunError(f"hedger: {error}", "orchestrator doctor says what is missing") from error
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
