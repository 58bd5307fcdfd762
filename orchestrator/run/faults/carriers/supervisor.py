"""Faults of a node's processes, injected by its own supervisor on time: pause, kill, restart, gc, cpu-stress."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from hedgerow_node.protocol.process import ProcessFault, ProcessFaultReports, ProcessFaults
from hedgerow_node.protocol.server import ObjectGraph
from hedgerow_node.units import NS_PER_MS
from orchestrator.host.observe.facts import Tree, cpu_quota_percent
from orchestrator.run.faults.carriers.base import Carrier
from orchestrator.run.faults.outcome import LEAST_SHARE, FaultOutcome, Proof, proof_unless
from orchestrator.scenario.faults import CpuQuota, CpuStress, Fault, Gc, Kill, Pause, Restart

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator.plan.faults import PlannedFault
    from orchestrator.run.faults.carriers.base import Context
    from orchestrator.run.faults.outcome import Observed

_STOPPED = "T"
#: Burners must have got this share of what they could at most have got, others' burners taken into account. It is
#: small because a host that is busy with something else leaves them little, and its processors are as scarce then.
LEAST_BURNT = 0.05


def orders(planned: Iterable[PlannedFault], start_ns: int, processors: float) -> tuple[ProcessFault, ...]:
    """The faults for the supervisor of a node, where `start_ns` is the block's first measured send."""
    return tuple(_order(each, start_ns, processors) for each in planned)


def object_graph(planned: Iterable[PlannedFault]) -> ObjectGraph | None:
    """What a server's worker keeps for the collections among its faults to visit; None where there are none."""
    objects = [each.fault.objects for each in planned if isinstance(each.fault, Gc)]
    return ObjectGraph(max(objects)) if objects else None


def prove(planned: PlannedFault, outcome: FaultOutcome, observed: Observed, processors: float) -> Proof:
    """Whether it happened, by what the supervisor reported."""
    problem = observed.shortfall(planned, outcome)
    match planned.fault:
        case Pause():
            found = "seen stopped, CPU time stood still, continued"
            return proof_unless(problem or _missing_from_pause(outcome), found, outcome)
        case Kill() | Restart():
            old, new = outcome.evidence.get("old_pid"), outcome.evidence.get("new_pid")
            found = f"worker {old} killed, replaced by {new}"
            return proof_unless(problem or _missing_from_kill(outcome.evidence), found, outcome)
        case CpuStress():
            if problem is not None:
                return Proof(False, problem, outcome)
            at_most_ns = at_most_cpu_ns(planned, outcome, observed.planned, processors)
            share = (_number(outcome.evidence, "cpu_ns") or 0) / at_most_ns
            words = f"burners got {share:.0%} of the processor time that they could have got"
            return proof_unless(None if share >= LEAST_BURNT else words, words, outcome, at_most_ns=at_most_ns)
        case Gc():
            return _prove_gc(outcome)
    raise TypeError(f"{planned.fault.fault}: nothing is known of what proves it")


def processors_of(backend: str) -> float:
    """The processors that nodes have: those that this process may use, or as much of them as a quota leaves.

    A quota of our control groups holds for the nodes in network namespaces too, which this process starts; but not
    for containers, which an engine starts, and whose own host's quota nothing inside can see.
    """
    allowed = len(os.sched_getaffinity(0))
    quota = cpu_quota_percent(Tree()) if backend == "netns" else None
    return allowed if quota is None else min(allowed, quota / 100)


def burners_of(fault: Fault, processors: float) -> int:
    """How many processes burn on each node of `fault`, given the processors; none for faults that do not burn.

    Under a quota they are as many as on a host with so many cores. One on each core that the quota spreads over would
    use it up in a moment, and then everything would stand still for the rest of each period, which is another fault.
    """
    return fault.per_core * max(1, math.ceil(processors)) if isinstance(fault, CpuStress) else 0


def at_most_cpu_ns(
    planned: PlannedFault, outcome: FaultOutcome, of_block: Iterable[PlannedFault], processors: float
) -> int:
    """The processor time that its burners can have got beside those of the block's other faults, ns."""
    beside = [other for other in of_block if other is not planned and planned.overlaps(other)]
    burners = burners_of(planned.fault, processors)
    others = sum(burners_of(other.fault, processors) for other in beside)
    share = min(burners, processors * burners / (burners + others))
    quotas = [
        other.fault.percent / 100
        for other in beside
        if isinstance(other.fault, CpuQuota) and other.node == planned.node
    ]
    return max(1, round(min(share, *quotas, processors) * outcome.lasted_ns))


class Supervisor(Carrier):
    """Hands the times over when they are known, and asks what became of them."""

    keeps_times = True

    def __init__(self, planned: tuple[PlannedFault, ...], context: Context) -> None:
        super().__init__(planned, context)
        self._processors = processors_of(context.topology.backend)
        self._in_charge: set[str] = set()  #: nodes whose supervisors have faults of ours

    def begin(self, start_ns: int) -> None:
        for node in dict.fromkeys(each.node for each in self.planned):
            faults = orders((each for each in self.planned if each.node == node), start_ns, self._processors)
            # Noted before it is done: an interrupt in between must find something to undo.
            self._in_charge.add(node)
            self.context.topology.control(node).call("inject", **ProcessFaults(faults).to_json())

    def give_back(self, planned: PlannedFault) -> None:
        """All faults of a node are given back at once."""
        if planned.node not in self._in_charge:
            return
        self._in_charge.remove(planned.node)
        answer = self.context.topology.control(planned.node).call("faults-done")
        reports = {report.key: report for report in ProcessFaultReports.from_json(answer).reports}
        for each in self.planned:
            report = reports.get(each.key)
            if each.node == planned.node and report is not None:
                outcome = FaultOutcome(report.applied_ns, report.undone_ns, report.evidence)
                self.context.outcomes.put(each, outcome)

    def proof(self, planned: PlannedFault, observed: Observed) -> Proof:
        return prove(planned, self.context.outcomes.of(planned), observed, self._processors)


def _order(planned: PlannedFault, start_ns: int, processors: float) -> ProcessFault:
    span = planned.span_from(start_ns)
    until_ns = None if planned.fault.is_instant else span.until_ns
    burners = burners_of(planned.fault, processors) or None
    return ProcessFault(planned.key, planned.fault.fault, span.from_ns, until_ns, burners)


def _missing_from_pause(outcome: FaultOutcome) -> str | None:
    """What the evidence of a pause lacks: seen stopped (state T), CPU time that stood still, continued."""
    state, state_after = outcome.evidence.get("state"), outcome.evidence.get("state_after")
    before_ns, after_ns = _number(outcome.evidence, "cpu_ns_before"), _number(outcome.evidence, "cpu_ns_after")
    if state != _STOPPED or after_ns is None:
        return f"the worker was never seen stopped (its state was {state})"
    if before_ns is None:
        return "the worker stopped too late to be timed: it was first seen so when the pause was over"
    # A process is called stopped a moment before it leaves its processor, which a hypervisor may stop in between.
    if after_ns - before_ns > min(NS_PER_MS, round((1 - LEAST_SHARE) * outcome.lasted_ns)):
        return f"the worker computed for {after_ns - before_ns} ns while it was stopped"
    return "the worker is still stopped" if state_after == _STOPPED else None


def _missing_from_kill(evidence: Mapping[str, object]) -> str | None:
    """What the evidence of a kill lacks: an old worker that ended by SIGKILL, and another process in its place."""
    if "SIGKILL" not in str(evidence.get("ended")):
        return f"the worker did not end by SIGKILL ({evidence.get('ended')})"
    if evidence.get("new_pid") in (None, evidence.get("old_pid")):
        return "no fresh worker came back"
    return None


def _prove_gc(outcome: FaultOutcome) -> Proof:
    if outcome.applied_ns is None:
        return Proof(False, "the worker did not collect", FaultOutcome(evidence={"collections": []}))
    words = f"collected for {outcome.lasted_ns / NS_PER_MS:.1f} ms"
    return proof_unless(None if outcome.lasted_ns > 0 else words, words, outcome)


def _number(evidence: Mapping[str, object], key: str) -> int | None:
    value = evidence.get(key)
    return value if isinstance(value, int) else None
