"""A run from start to end: the host is changed, measured on, and given back as it was found, whatever happens."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hedgerow_node.control import ControlError
from hedgerow_node.protocol.hedger import InterfaceState
from hedgerow_node.protocol.limits import HEDGER
from orchestrator.errors import RunError
from orchestrator.host.audit import remaining
from orchestrator.host.live import LiveRun, clear_dead_runs
from orchestrator.host.observe.activity import activity, differences
from orchestrator.host.observe.noise import probe, probe_length
from orchestrator.host.observe.provenance import provenance
from orchestrator.plan.eta import run_eta_ns
from orchestrator.run.ending import Ending
from orchestrator.run.interrupts import Interrupts
from orchestrator.run.series import Series
from orchestrator.runfolder.codec import encode_object
from orchestrator.runfolder.folder import RUN_NAME, RunFolder
from orchestrator.runfolder.integrity import scenario_hash, stated_claims
from orchestrator.runfolder.journal import End, Journal
from orchestrator.runfolder.manifest import Environment, Manifest, ManifestFile
from orchestrator.runfolder.safe_files import replace_text
from orchestrator.scenario.faults import CpuQuota, Freeze
from orchestrator.topology.base import Layout, Topology

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.plan.blocks import Plan
    from orchestrator.run.progress import Watcher
    from orchestrator.scenario.experiment import Experiment
    from orchestrator.topology.base import MakeTopology


def layout_of(experiment: Experiment) -> Layout:
    """What all arms together need: as many servers as the one with most, and means for what their faults do."""
    faults = [fault for arm in experiment.arms for fault in arm.scenario.faults]
    return Layout(
        port=experiment.scenario.service.port,
        replicas=max(arm.scenario.topology.replicas for arm in experiment.arms),
        freezes=any(isinstance(fault, Freeze) for fault in faults),
        limits=any(isinstance(fault, CpuQuota) for fault in faults),
    )


@contextmanager
def observed(manifest: ManifestFile, topology: Topology) -> Iterator[None]:
    """Observes host and client's interface before and after what is measured inside, for the manifest.

    The topology is up by then, so the differences are those of the measuring; a run that fails or is interrupted has
    no `after`. RunError where the interface cannot be read.
    """
    before = activity(_interface(topology))
    manifest.write(replace(manifest.content, environment=Environment(before)))
    yield
    after = activity(_interface(topology))
    whole = Environment(before, after, differences(before, after))
    manifest.write(replace(manifest.content, environment=whole))


def _interface(topology: Topology) -> InterfaceState:
    """The client's, in whose network namespace the hedger is."""
    server, _ = topology.servers()[0]
    try:
        state = topology.control(HEDGER).call("interface", towards=server)["state"]
    except ControlError as error:
        topology.check()
        raise RunError(f"hedger: {error}", "see the run's log.txt") from error
    return InterfaceState.from_json(state)


class Runner:
    """Carries out one run of an experiment: `measure`, then look at `leftovers`.

    `smoke` keeps the noise probe short; after `limit_ns` of measuring, the run ends with RunError.
    """

    def __init__(
        self,
        experiment: Experiment,
        plan: Plan,
        folder: RunFolder,
        watcher: Watcher,
        smoke: bool = False,
        limit_ns: int | None = None,
    ) -> None:
        self._experiment, self._plan, self._watcher, self._smoke = experiment, plan, watcher, smoke
        self._limit_ns = limit_ns
        self._scenario_sha256 = ""  #: of scenario.yaml, once that is written
        self.folder = folder
        name = RUN_NAME.fullmatch(folder.name)
        if name is None:
            raise RunError(f"{folder.name} is not a valid name of a run folder")
        self.run_id: str = name["token"]
        #: What still has the run's id after the end; empty as it should be.
        self.leftovers: list[str] = []

    def measure(self, make_topology: MakeTopology, backend: str) -> None:
        """Runs all blocks; raw records, journal, manifest and log are in the run folder afterwards.

        Raises Interrupted, LeftoversError, RunError, PrerequisiteError, or an unexpected exception; the host is
        given back in each case. What could not be given back is in the error's message, and for `orchestrator down`.
        """
        self._clear_dead_runs()
        text = self._experiment.dump()
        self._scenario_sha256 = scenario_hash(text)
        with self.folder.removed_on_error():
            replace_text(self.folder.scenario, text)
            self.folder.log.touch()
            manifest = ManifestFile(self.folder.manifest, self._begun(backend))
            journal = Journal(self.folder.journal, self._scenario_sha256)
        self._watcher.say(f"fixed before the run: scenario sha256 {self._scenario_sha256}")
        live = LiveRun(self.run_id)
        ending = Ending(self._watcher)
        with Interrupts(self._limit_ns) as interrupts:
            topology = make_topology(layout_of(self._experiment), live, journal, self.folder)
            with ending.step(), interrupts.shielded_after():
                live.open(self.folder.journal)
                self._probe_noise(manifest)
                self._stand_up(topology, manifest)
                series = Series(self._experiment, topology, self.folder, manifest, journal, self._watcher)
                with observed(manifest, topology):
                    series.run(self._plan, self.run_id)
            with ending.step():
                manifest.write(
                    replace(manifest.content, status=self._without_folder(ending.status), finished_at=_now())
                )
            with ending.step():
                self._take_down(topology, manifest)
            ending.audited(remaining(self.run_id))
            self.leftovers = ending.leftovers
            with ending.step():
                # what is left is found, and undone, by what is in the directory
                (live.release if self.leftovers else live.close)()
            with ending.step():
                journal.note(End(tuple(self.leftovers)))
                journal.close()
            with ending.step():
                self.folder.give_to_owner()
            ending.conclude(interrupts.remembered)

    def _begun(self, backend: str) -> Manifest:
        """What is known when the run begins."""
        scenario, made_by = self._experiment.scenario, provenance()
        return Manifest(
            run=self.folder.name,
            scenario=self._experiment.name,
            backend=backend,
            status="unfinished",
            started_at=_now(),
            seeds={"workload": scenario.workload.seed, "design": scenario.design.seed},
            scenario_sha256=self._scenario_sha256,
            claims=stated_claims(self._experiment),
            host=encode_object(made_by.host),
            versions={**made_by.versions},
            git=made_by.git,
            command=made_by.command,
        )

    def _clear_dead_runs(self) -> None:
        cleared = clear_dead_runs()
        if cleared.runs:
            self._watcher.say(f"cleaned up after runs that died: {', '.join(cleared.runs)}")
        for line in cleared.failures():
            self._watcher.say(f"warning: {line}; orchestrator down tries again")

    def _probe_noise(self, manifest: ManifestFile) -> None:
        """While nothing of the run is there yet."""
        noise = probe(*probe_length(run_eta_ns(self._experiment, self._plan), self._smoke))
        manifest.write(replace(manifest.content, noise=noise))
        self._watcher.say(noise.text())

    def _stand_up(self, topology: Topology, manifest: ManifestFile) -> None:
        taken_s = self._timed("up", topology.up)
        manifest.write(replace(manifest.content, topology_up_s=taken_s))
        containers = topology.describe()
        if containers is not None:
            engine = encode_object(containers.container_engine)
            images = {name: encode_object(image) for name, image in containers.images.items()}
            manifest.write(replace(manifest.content, container_engine=engine, images={**images}))

    def _without_folder(self, words: str) -> str:
        """The words of an error for the manifest, which may be published: no path of this machine."""
        for path in (self.folder.path, self.folder.path.resolve()):
            words = words.replace(f"{path}/", "")
        return words

    def _take_down(self, topology: Topology, manifest: ManifestFile) -> None:
        taken_s = self._timed("down", topology.down)
        manifest.write(replace(manifest.content, topology_down_s=taken_s))

    def _timed(self, what: str, step: Callable[[], None]) -> float:
        """Takes `step`, and returns the seconds that it took."""
        started_s = time.monotonic()
        step()
        taken_s = round(time.monotonic() - started_s, 3)
        self._watcher.say(f"topology {what} in {taken_s:.1f} s")
        return taken_s


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
