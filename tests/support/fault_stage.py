"""One block with faults on a topology that only remembers, and a clock that only sleeping moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hedgerow_node.units import NS_PER_MS, NS_PER_S
from orchestrator.run.faults.registry import handler
from orchestrator.runfolder.folder import RunFolder
from support.experiments import faulty
from support.fake_topology import FakeTopology, scene_of

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.run.faults.acts import Act, Proof

START_NS = 1_000 * NS_PER_S
PAUSE = "{fault: pause, target: server-0, at: 200ms, duration: 100ms}"


class Stage:
    """One block with faults, begun at `START_NS` and finished a second later."""

    def __init__(self, tmp_path: Path, *faults: str, stubborn: bool = False, overrides: tuple[str, ...] = ()) -> None:
        self.topology = FakeTopology(stubborn)
        self.folder = RunFolder.create(tmp_path, "example")
        self.scene = scene_of(faulty(*faults, overrides=overrides), self.topology, self.folder)
        self.scene.finished_ns = START_NS + NS_PER_S

    @property
    def act(self) -> Act:
        return self.scene.acts[0]

    def begin(self) -> None:
        self.scene.prepare()
        self.scene.begin(START_NS)

    def told(self, node: str, **answer: Any) -> None:
        """Lets the node's supervisor say this of its first strike."""
        strike = {"key": "0.0", "applied_ns": None, "undone_ns": None, "proof": {}, **answer}
        self.topology.control(node).answers["strikes-done"] = {"strikes": [strike]}

    def undo(self) -> None:
        for act in self.scene.acts:
            handler(act.fault).undo(act, self.scene)

    def proof(self, act: Act | None = None) -> Proof:
        act = act or self.act
        return handler(act.fault).proof(act, self.scene)


def at_ms(from_ms: float, to_ms: float) -> dict[str, int]:
    """Applied and undone at these times after the start."""
    return {
        "applied_ns": START_NS + round(from_ms * NS_PER_MS),
        "undone_ns": START_NS + round(to_ms * NS_PER_MS),
    }


class Clock:
    """Time that passes when told to."""

    now_ns = START_NS

    def live(self, stage: Stage) -> Stage:
        """Begins the block now; everything that falls due in the next 60 ms is done."""
        stage.scene.prepare()
        stage.scene.begin(self.now_ns)
        for _ in range(60):
            self.now_ns += NS_PER_MS
            stage.scene.act()
        stage.scene.finished_ns = self.now_ns
        return stage
