"""Faults of whole nodes that the orchestrator injects from outside: freeze and cpu-quota.

No program on a node can freeze itself, its supervisor included, and thaw again; so these come a few milliseconds less
exactly than a supervisor's.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from orchestrator.run.faults.carriers.base import Carrier, Step, steps_of
from orchestrator.run.faults.outcome import FaultOutcome, Proof, proof_unless
from orchestrator.scenario.faults import CpuQuota, Freeze

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.plan.faults import PlannedFault
    from orchestrator.run.faults.outcome import Observed

UNUSED = "the node never used up its share"


def orders(planned: Iterable[PlannedFault]) -> tuple[Step, ...]:
    """What is to be done when. A quota may be there early, a frozen node could not get ready."""
    return tuple(step for each in planned for step in steps_of(each, early=isinstance(each.fault, CpuQuota)))


def prove(planned: PlannedFault, outcome: FaultOutcome, observed: Observed) -> Proof:
    """Whether it happened, by what the host said of the node."""
    problem, evidence = observed.shortfall(planned, outcome), outcome.evidence
    if isinstance(planned.fault, Freeze):
        if problem is None and (evidence.get("frozen"), evidence.get("frozen_at_the_end")) != (True, True):
            problem = "the node was not seen frozen from first to last"
        elif problem is None and evidence.get("frozen_afterwards"):
            problem = "the node is still frozen"
        return proof_unless(problem, "seen frozen from first to last, thawed", outcome)
    if problem is not None:
        return Proof(False, problem, outcome)
    before, after = evidence.get("nr_throttled_before"), evidence.get("nr_throttled_after")
    periods = after - before if isinstance(before, int) and isinstance(after, int) else 0
    if periods == 0:
        return Proof(False, f"{UNUSED}; lower percent, or add cpu-stress to the same node", outcome)
    return Proof(True, f"throttled in {periods} periods", outcome)


class Orchestrator(Carrier):
    """Does it, by the topology."""

    keeps_times = True

    def steps(self) -> tuple[Step, ...]:
        return orders(self.planned)

    def take(self, step: Step) -> None:
        if step.begins:
            self._inject(step.planned)
        else:
            self.give_back(step.planned)

    def _inject(self, planned: PlannedFault) -> None:
        topology, note = self.context.topology, self.context.outcomes.note
        # Noted before it is done: an interrupt in between must find something to undo.
        note(planned, applied_ns=time.monotonic_ns())
        match planned.fault:
            case Freeze():
                topology.freeze(planned.node)
                note(planned, applied_ns=time.monotonic_ns())
                note(planned, frozen=topology.frozen(planned.node))
            case CpuQuota(percent=percent):
                topology.limit_cpu(planned.node, percent)
                # Asking an engine takes a while, and others may be due: so afterwards, at the price of a period.
                note(planned, nr_throttled_before=topology.throttled(planned.node))

    def give_back(self, planned: PlannedFault) -> None:
        if not self.context.outcomes.of(planned).is_on:
            return
        topology, note = self.context.topology, self.context.outcomes.note
        # When it was undone is noted after it is done: an interrupt in between must find something to undo.
        match planned.fault:
            case Freeze():
                note(planned, frozen_at_the_end=topology.frozen(planned.node))
                undone_ns = time.monotonic_ns()
                topology.thaw(planned.node)
                note(planned, undone_ns=undone_ns)
                note(planned, frozen_afterwards=topology.frozen(planned.node))
            case CpuQuota():
                undone_ns = time.monotonic_ns()
                topology.limit_cpu(planned.node, None)
                note(planned, undone_ns=undone_ns)
                note(planned, nr_throttled_after=topology.throttled(planned.node))

    def proof(self, planned: PlannedFault, observed: Observed) -> Proof:
        return prove(planned, self.context.outcomes.of(planned), observed)
