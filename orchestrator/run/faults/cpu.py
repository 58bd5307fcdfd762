"""Faults of the processor: others compete for it, or a node may use only a share of it."""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING, Any

from orchestrator.host.observe.facts import Tree, cpu_quota_percent
from orchestrator.run.faults.acts import Act, Proof, overlap
from orchestrator.scenario.faults import CpuQuota, CpuStress, Fault

if TYPE_CHECKING:
    from orchestrator.run.faults.scene import Scene

#: Burners must have got this share of what they could at most have got, others' burners taken into account. It is
#: small because a host that is busy with something else leaves them little, and is no less short of time for that.
LEAST_BURNT = 0.05

UNUSED = "the node never used up its share"


def processors(backend: str) -> float:
    """The processors that nodes have: those that this process may use, or as much of them as a quota leaves.

    A quota of our control groups holds for the nodes in network namespaces too, which this process starts; but not
    for containers, which an engine starts, and whose own host's quota nobody inside can see.
    """
    allowed = len(os.sched_getaffinity(0))
    quota = cpu_quota_percent(Tree()) if backend == "netns" else None
    return allowed if quota is None else min(allowed, quota / 100)


def burners_of(stress: Fault, available: float) -> int:
    """How many processes burn on each node that `stress` strikes, given the processors; none for other faults.

    Under a quota they are as many as on a host with so many cores. One on each core that the quota spreads over would
    use it up in a moment, and then everybody would stand still for the rest of each period, which is another fault.
    """
    return stress.per_core * max(1, math.ceil(available)) if isinstance(stress, CpuStress) else 0


class Stress:
    """Processes on the node that do nothing but compute."""

    def apply(self, act: Act, scene: Scene) -> None:
        """Arranges it."""
        scene.strike(act, burners=burners_of(act.fault, processors(scene.topology.backend)))

    def undo(self, act: Act, scene: Scene) -> None:
        """Ends them."""
        scene.end_strikes(act.node)

    def proof(self, act: Act, scene: Scene) -> Proof:
        """The burners got processor time: at least a small share of what they could have got."""
        told = scene.told(act)
        evidence = {} if told is None else told["proof"]
        if told is not None:
            act.applied_ns, act.undone_ns = told["applied_ns"], told["undone_ns"]
        problem = act.shortfall(scene.start_ns, scene.finished_ns)
        if problem is not None:
            return Proof(False, problem, evidence)
        at_most_ns = self.at_most_ns(act, scene)
        share = (evidence.get("cpu_ns") or 0) / at_most_ns
        words = f"burners got {share:.0%} of the processor time that they could have got"
        return Proof(share >= LEAST_BURNT, words, {**evidence, "at_most_ns": at_most_ns})

    @staticmethod
    def at_most_ns(act: Act, scene: Scene) -> int:
        """The processor time that the act's burners can have got beside those of other acts of the block."""
        available = processors(scene.topology.backend)
        burners = burners_of(act.fault, available)
        others = sum(
            burners_of(other.fault, available) for other in scene.acts if other is not act and overlap(act, other)
        )
        share = min(burners, available * burners / (burners + others))
        quotas = [
            other.fault.percent / 100
            for other in scene.acts
            if isinstance(other.fault, CpuQuota) and other.node == act.node and overlap(act, other)
        ]
        return max(1, round(min(share, *quotas, available) * ((act.undone_ns or 0) - (act.applied_ns or 0))))


class Quota:
    """The node's control group gets a share of one processor and no more."""

    def apply(self, act: Act, scene: Scene) -> None:
        """Arranges it."""
        scene.at(act.occurrence.offset_ns, lambda: self._limit(act, scene), early=True)
        if act.occurrence.until_ns is not None:
            scene.at(act.occurrence.until_ns, lambda: self.undo(act, scene))

    @staticmethod
    def _limit(act: Act, scene: Scene) -> None:
        fault: Any = act.fault
        act.applied_ns = time.monotonic_ns()
        scene.topology.limit_cpu(act.node, fault.percent)
        # Asking an engine takes a while, and others may be due: so afterwards, at the price of a period or two.
        act.evidence["nr_throttled_before"] = scene.topology.throttled(act.node)

    def undo(self, act: Act, scene: Scene) -> None:
        """Lifts it where it is on."""
        if act.is_on:
            undone_ns = time.monotonic_ns()
            scene.topology.limit_cpu(act.node, None)
            # Noted after it is done: an interrupt in between must find something to undo.
            act.undone_ns = undone_ns
            act.evidence["nr_throttled_after"] = scene.topology.throttled(act.node)

    def proof(self, act: Act, scene: Scene) -> Proof:
        """The node had to wait in some periods, for its share was used up."""
        problem = act.shortfall(scene.start_ns, scene.finished_ns)
        if problem is not None:
            return Proof(False, problem, act.evidence)
        periods = act.evidence["nr_throttled_after"] - act.evidence["nr_throttled_before"]
        if periods == 0:
            return Proof(False, f"{UNUSED}; lower percent, or add cpu-stress to the same node", act.evidence)
        return Proof(True, f"throttled in {periods} periods", act.evidence)
