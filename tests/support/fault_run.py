"""Runs of scenarios with faults, watched from outside while they last and looked through afterwards."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from orchestrator.plan.blocks import Block, make_plan
from orchestrator.plan.faults import PlannedFault, plan_faults
from orchestrator.scenario.load import load_experiment
from support.observer import Observer
from support.scenario_files import PATIENCE_S, Finished, finish, start_run, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.scenario.experiment import Experiment

REPLICAS = 3
NODES = ("client", *(f"server-{replica}" for replica in range(REPLICAS)))
SCENARIO = """\
version: 1
name: {name}
topology: {{replicas: 3}}
service: {{service_time: 1ms}}
workload:
  requests: {requests}
  warmup: 10
  arrivals: {{mode: open, rate: 200/s}}
  timeout: {timeout}
  spread: round-robin
  seed: {seed}
hedging: {{delay: 20ms, target: other, copy_id: {{offset: 4, length: 2}}}}
strategies: [{strategies}]
design: {{blocks: 1}}
faults:
{faults}
"""


def write_fault_scenario(directory: Path, *faults: str, name: str = "faulty", **changes: Any) -> Path:
    """A scenario of open arrivals with these faults (YAML's flow style without the braces)."""
    values = {"requests": 400, "timeout": "800ms", "seed": 42, "strategies": "baseline", **changes}
    path = directory / f"{name}.yaml"
    path.write_text(SCENARIO.format(name=name, faults="\n".join(f"  - {{{fault}}}" for fault in faults), **values))
    return path


@dataclass(frozen=True)
class FaultRun:
    """A finished run of one block a strategy: what its tables hold, beside what an observer saw."""

    run: Finished
    observer: Observer | None
    samples: list[dict[str, Any]]
    copies: list[dict[str, Any]]
    experiment: Experiment

    def record(self, fault: str, target: str, strategy: str = "baseline") -> dict[str, Any]:
        """The journal's record of the only fault of its kind at that node."""
        (found,) = [r for r in self.records(strategy) if (r["fault"], r["target"]) == (fault, target)]
        return found

    def records(self, strategy: str = "baseline") -> list[dict[str, Any]]:
        """All of the strategy's block: of the attempt that counts, where a busy host took more than one."""
        discarded = {entry["serial"] for entry in self.run.manifest["discarded"]}
        return [
            record
            for record in self.run.journal
            if record["event"] == "fault" and record["strategy"] == strategy and record["serial"] not in discarded
        ]

    def planned(self, fault: str, target: str, strategy: str = "baseline") -> PlannedFault:
        """The plan of the only fault of its kind at that node, computed here from the scenario."""
        (found,) = [each for each in self.all_planned(strategy) if (each.fault.fault, each.node) == (fault, target)]
        return found

    def all_planned(self, strategy: str = "baseline") -> tuple[PlannedFault, ...]:
        """The plan of all faults."""
        return plan_faults(self.experiment.scenario, self.block(strategy)).planned

    def block(self, strategy: str) -> Block:
        """The strategy's only block."""
        (block,) = make_plan(self.experiment).of(strategy)
        return block

    def sent_to_target(self, planned: PlannedFault) -> list[int]:
        """The ids whose primaries went to the fault's server while it was on."""
        return [id_ for id_ in planned.affected_ids if id_ % REPLICAS == planned.replica]

    def sample(self, id_: int, strategy: str = "baseline") -> dict[str, Any]:
        """What became of a request."""
        (found,) = [row for row in self.samples if (row["request_id"], row["strategy"]) == (id_, strategy)]
        return found

    def received(self, id_: int, replica: int, strategy: str = "baseline") -> list[dict[str, Any]]:
        """The copies of a request that a server received."""
        return [
            row
            for row in self.copies
            if (row["request_id"], row["replica"], row["strategy"]) == (id_, replica, strategy)
        ]


def run_with_faults(scenario: Path, results: Path, watched: bool = False, backend: str = "netns") -> FaultRun:
    """Runs it to its end, which must be a good one."""
    process = start_run(scenario, results, "--no-report", "--json", backend=backend)
    observer = None
    with no_longer_than_this(process):
        if watched:
            wait_for(lambda: results.exists() and any(results.iterdir()), "a run folder", process)
            (folder,) = results.iterdir()
            observer = Observer(folder.name.rsplit("-", 1)[1], NODES)
            observer.start()
        try:
            finished = finish(process)
        finally:
            if observer is not None:
                observer.finish()
    assert finished.code in (0, 3), finished.errors
    samples = pq.read_table(finished.folder / "samples.parquet").to_pylist()
    copies = pq.read_table(finished.folder / "server.parquet").to_pylist()
    return FaultRun(finished, observer, samples, copies, load_experiment(scenario))


@contextmanager
def no_longer_than_this(process: subprocess.Popen[str]) -> Iterator[None]:
    """A run that is still at work afterwards, since a test failed, is interrupted, so that it disturbs no other."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


@contextmanager
def temporary_run(*faults: str, watched: bool = False, **changes: Any) -> Iterator[FaultRun]:
    """The same for a scenario of these faults, for as long as its folder is needed."""
    with tempfile.TemporaryDirectory() as directory:
        scenario = write_fault_scenario(Path(directory), *faults, **changes)
        yield run_with_faults(scenario, Path(directory) / "results", watched)
