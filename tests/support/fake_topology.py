"""A topology that only remembers: what its nodes were told, and what they are made to answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.plan.blocks import Block, make_plan
from orchestrator.run.faults.session import FaultSession

if TYPE_CHECKING:
    from orchestrator.runfolder.folder import RunFolder
    from orchestrator.scenario.experiment import Experiment


class FakeControl:
    """The control channel of one node."""

    def __init__(self, answers: dict[str, dict[str, Any]]) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answers = answers

    def call(self, do: str, **fields: Any) -> dict[str, Any]:
        self.asked.append((do, fields))
        return self.answers.get(do, {})


class FakeTopology:
    """Nodes that do as they are told, unless `stubborn`."""

    backend = "netns"

    def __init__(self, stubborn: bool = False) -> None:
        self.stubborn = stubborn
        self.controls: dict[str, FakeControl] = {}
        self.frozen_nodes: set[str] = set()
        self.limits: dict[str, float | None] = {}
        self.periods = 7

    def control(self, node: str) -> FakeControl:
        return self.controls.setdefault(node, FakeControl({}))

    def freeze(self, node: str) -> None:
        if not self.stubborn:
            self.frozen_nodes.add(node)

    def thaw(self, node: str) -> None:
        self.frozen_nodes.discard(node)

    def frozen(self, node: str) -> bool:
        return node in self.frozen_nodes

    def limit_cpu(self, node: str, percent: float | None) -> None:
        if percent is None and self.limits.get(node) is not None and not self.stubborn:
            self.periods += 3
        self.limits[node] = percent

    def throttled(self, _: str) -> int:
        return self.periods


def first_block(experiment: Experiment) -> Block:
    """The first block of its plan."""
    return next(iter(make_plan(experiment)))


def session_of(experiment: Experiment, topology: Any, folder: RunFolder) -> FaultSession:
    """That of the first block, nothing begun."""
    block = first_block(experiment)
    return FaultSession(experiment.arm(block.arm).scenario, block, topology, folder)
