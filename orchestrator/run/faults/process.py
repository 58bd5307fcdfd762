"""Faults of processes: stopped, frozen, killed, restarted, or busy collecting garbage.

Stopping and killing is done by the node's own supervisor at the very time. Freezing stops the supervisor too, so the
orchestrator does it, a few milliseconds less exactly. A collection is done by the worker itself.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from hedgerow_node.units import NS_PER_MS
from orchestrator.run.faults.acts import LEAST_SHARE, Act, Proof
from orchestrator.scenario.faults import CLIENT

if TYPE_CHECKING:
    from orchestrator.run.faults.scene import Scene

_STOPPED = "T"


class Pause:
    """SIGSTOP and SIGCONT for the node's worker."""

    def apply(self, act: Act, scene: Scene) -> None:
        """Arranges it."""
        scene.strike(act)

    def undo(self, act: Act, scene: Scene) -> None:
        """Takes it back where it is still on."""
        scene.end_strikes(act.node)

    def proof(self, act: Act, scene: Scene) -> Proof:
        """The process was seen stopped (state T), its CPU time stood still meanwhile, and it was continued."""
        evidence = _told(act, scene)
        problem = act.shortfall(scene.start_ns, scene.finished_ns) or self._missing(act, evidence)
        return Proof(problem is None, problem or "seen stopped, CPU time stood still, continued", evidence)

    @staticmethod
    def _missing(act: Act, evidence: dict[str, Any]) -> str | None:
        """What the evidence lacks, None where it lacks nothing."""
        before_ns, after_ns = evidence.get("cpu_ns_before"), evidence.get("cpu_ns_after")
        if evidence.get("state") != _STOPPED or after_ns is None:
            return f"the worker was never seen stopped (its state was {evidence.get('state')})"
        if before_ns is None:
            return "the worker stopped too late to be timed: it was first seen so when the pause was over"
        if after_ns - before_ns > _may_compute_ns(act):
            return f"the worker computed for {after_ns - before_ns} ns while it was stopped"
        return "the worker is still stopped" if evidence.get("state_after") == _STOPPED else None


def _may_compute_ns(act: Act) -> int:
    """The processor time that a worker may yet use after it was seen stopped: it is called so (T) a moment before it
    leaves its processor, and a hypervisor may stop that very processor in between.
    """
    lasted_ns = (act.undone_ns or 0) - (act.applied_ns or 0)
    return min(NS_PER_MS, round((1 - LEAST_SHARE) * lasted_ns))


class Freeze:
    """The whole node stands still: its control group is frozen, its container paused."""

    def apply(self, act: Act, scene: Scene) -> None:
        """Arranges it; a freeze always ends."""
        scene.at(act.occurrence.offset_ns, lambda: self._freeze(act, scene))
        scene.at(act.occurrence.until_ns or 0, lambda: self.undo(act, scene))

    @staticmethod
    def _freeze(act: Act, scene: Scene) -> None:
        # Noted before it is done: an interrupt in between must find something to undo.
        act.applied_ns = time.monotonic_ns()
        scene.topology.freeze(act.node)
        act.applied_ns = time.monotonic_ns()
        act.evidence["frozen"] = scene.topology.frozen(act.node)

    def undo(self, act: Act, scene: Scene) -> None:
        """Thaws it where it is frozen."""
        if not act.is_on:
            return
        act.evidence["frozen_at_the_end"] = scene.topology.frozen(act.node)
        undone_ns = time.monotonic_ns()
        scene.topology.thaw(act.node)
        # Noted after it is done: an interrupt in between must find something to undo.
        act.undone_ns = undone_ns
        act.evidence["frozen_afterwards"] = scene.topology.frozen(act.node)

    def proof(self, act: Act, scene: Scene) -> Proof:
        """The host said that the node was frozen, from first to last, and then that it was not."""
        seen = (act.evidence.get("frozen"), act.evidence.get("frozen_at_the_end"))
        problem = act.shortfall(scene.start_ns, scene.finished_ns)
        if problem is None and seen != (True, True):
            problem = "the node was not seen frozen from first to last"
        elif problem is None and act.evidence.get("frozen_afterwards"):
            problem = "the node is still frozen"
        return Proof(problem is None, problem or "seen frozen from first to last, thawed", act.evidence)


class Kill:
    """SIGKILL for a server's worker, and a fresh one: at once (restart), after a while, or for the next block."""

    def apply(self, act: Act, scene: Scene) -> None:
        """Arranges it."""
        scene.strike(act)

    def undo(self, act: Act, scene: Scene) -> None:
        """Has a fresh worker where there is none."""
        scene.end_strikes(act.node)

    def proof(self, act: Act, scene: Scene) -> Proof:
        """The old worker ended by SIGKILL, and another process serves in its place."""
        evidence = _told(act, scene)
        problem = act.shortfall(scene.start_ns, scene.finished_ns)
        if problem is None and "SIGKILL" not in str(evidence.get("ended")):
            problem = f"the worker did not end by SIGKILL ({evidence.get('ended')})"
        elif problem is None and evidence.get("new_pid") in (None, evidence.get("old_pid")):
            problem = "no fresh worker came back"
        found = f"worker {evidence.get('old_pid')} killed, replaced by {evidence.get('new_pid')}"
        return Proof(problem is None, problem or found, evidence)


class Collection:
    """A collection of Python's garbage collector over a graph of objects that the node's worker carries."""

    def apply(self, act: Act, scene: Scene) -> None:
        """Arranges it: the client's worker knows the times in advance, a server's is told by its supervisor."""
        fault: Any = act.fault
        scene.carry(act, fault.objects)
        if act.node == CLIENT:
            scene.collect(act)
        else:
            scene.strike(act)

    def undo(self, act: Act, scene: Scene) -> None:
        """A collection that goes on ends by itself; none is begun any more."""
        scene.end_strikes(act.node)

    def proof(self, act: Act, scene: Scene) -> Proof:
        """The worker collected, and measured how long that took."""
        collections = self._of_client(act, scene) if act.node == CLIENT else _told(act, scene).get("collections", [])
        if not collections:
            return Proof(False, "the worker did not collect", {"collections": []})
        first = collections[0]
        act.applied_ns, act.undone_ns = first["start_ns"], first["end_ns"]
        taken_ms = (first["end_ns"] - first["start_ns"]) / NS_PER_MS
        return Proof(taken_ms > 0, f"collected for {taken_ms:.1f} ms", {"collections": collections})

    @staticmethod
    def _of_client(act: Act, scene: Scene) -> list[dict[str, Any]]:
        """The client collects in order, one after the other: the n-th that was due is the n-th that it tells of."""
        number = scene.client_collections.index(act.occurrence.offset_ns)
        return scene.collections[number : number + 1]


def _told(act: Act, scene: Scene) -> dict[str, Any]:
    """The proof that the node's supervisor gave, its times taken over."""
    told = scene.told(act)
    if told is None:
        return {}
    act.applied_ns, act.undone_ns = told["applied_ns"], told["undone_ns"]
    evidence: dict[str, Any] = told["proof"]
    return evidence
