"""One block with faults on a topology that only remembers, and a clock that only sleeping moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hedgerow_node.protocol.server import CollectionTimes, ServerReport
from hedgerow_node.units import NS_PER_MS, NS_PER_S
from orchestrator.runfolder.folder import RunFolder
from support.experiments import faulty
from support.fake_topology import FakeTopology, first_block, session_of

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.plan.faults import PlannedFault
    from orchestrator.run.faults.outcome import FaultOutcome, Proof

START_NS = 1_000 * NS_PER_S
PAUSE = "{fault: pause, target: server-0, at: 200ms, duration: 100ms}"


class FaultHarness:
    """One block with faults, begun at `START_NS` and finished a second later."""

    def __init__(self, tmp_path: Path, *faults: str, stubborn: bool = False, overrides: tuple[str, ...] = ()) -> None:
        self.topology = FakeTopology(stubborn)
        self.folder = RunFolder.create(tmp_path, "example")
        experiment = faulty(*faults, overrides=overrides)
        self.scenario, self.block = experiment.scenario, first_block(experiment)
        self.session = session_of(experiment, self.topology, self.folder)
        self.finished_ns = START_NS + NS_PER_S
        self.servers: dict[str, ServerReport] = {
            f"server-{replica}": ServerReport(0, 0) for replica in range(self.scenario.topology.replicas)
        }
        self.client_gc_runs: list[CollectionTimes] = []

    @property
    def planned(self) -> PlannedFault:
        """The first fault."""
        return self.session.planned[0]

    @property
    def outcome(self) -> FaultOutcome:
        """What has become of it so far."""
        return self.session.outcomes.of(self.planned)

    def begin(self) -> None:
        self.session.prepare()
        self.session.begin(START_NS)

    def reports(self, node: str, **answer: Any) -> None:
        """Lets the node's supervisor report this of its first fault."""
        report = {"key": "0.0", "fault": "any", "at_ns": 0, "proof": {}, **answer}
        self.topology.control(node).answers["faults-done"] = {"faults": [report]}

    def give_back(self) -> None:
        assert self.session.give_back() == []

    def proofs(self) -> list[Proof]:
        results = self.session.prove(self.servers, self.client_gc_runs, self.finished_ns)
        assert tuple(result.planned for result in results) == self.session.planned
        return [result.proof for result in results]

    def proof(self) -> Proof:
        """That of the first fault."""
        return self.proofs()[0]


def at_ms(from_ms: float, to_ms: float) -> dict[str, int]:
    """Applied and undone at these times after the start."""
    return {
        "applied_ns": START_NS + round(from_ms * NS_PER_MS),
        "undone_ns": START_NS + round(to_ms * NS_PER_MS),
    }


class Clock:
    """Time that passes when told to."""

    now_ns = START_NS

    def live(self, harness: FaultHarness) -> FaultHarness:
        """Begins the block now; everything that falls due in the next 60 ms is done."""
        harness.session.prepare()
        harness.session.begin(self.now_ns)
        for _ in range(60):
            self.now_ns += NS_PER_MS
            harness.session.do_what_is_due()
        harness.finished_ns = self.now_ns
        return harness
