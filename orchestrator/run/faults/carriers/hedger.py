"""Faults of the network between the client and a server, injected at the client's interface by the hedger's programs.

Whether a copy is affected is drawn from the seed, the request's id, the copy's number and the replica, so the same
request loses its first copy under every strategy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hedgerow_node.fault_draw import is_selected, rule_salt
from hedgerow_node.protocol.hedger import FaultHits, FaultRule, FaultRules
from hedgerow_node.protocol.limits import HEDGER
from orchestrator.plan.faults import eligible_ids
from orchestrator.run.faults.carriers.base import Carrier
from orchestrator.run.faults.outcome import LEAST_SHARE, Proof
from orchestrator.scenario.network_faults import Corrupt, Delay, Duplicate, Loss, Partition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.plan.faults import PlannedFault
    from orchestrator.run.faults.carriers.base import Context
    from orchestrator.run.faults.outcome import Observed

_ByProgram = Loss | Duplicate | Corrupt | Delay | Partition


def orders(planned: Iterable[PlannedFault]) -> tuple[FaultRule, ...]:
    """The rules for the hedger's programs: one for each direction, none for faults that affect no request."""
    return tuple(rule for each in planned for rule in _rules(each))


def prove(planned: PlannedFault, hits: FaultHits, observed: Observed) -> Proof:
    """The programs counted copies that they affected, unless the draw selected none.

    Copies that should have been held back, and for which there was no room, cannot be ascribed to one rule: where
    there are many, no fault is proven.
    """
    own, failed, in_all = hits.hits.get(planned.name, 0), hits.failed, sum(hits.hits.values())
    expected = _drawn(planned, observed)
    evidence: dict[str, object] = {"hits": own, "expected_primaries": expected, "failed": failed}
    outcome = observed.as_planned(planned, bool(own), evidence)
    if in_all < LEAST_SHARE * (in_all + failed):
        return Proof(False, f"{failed} copies that were to be affected passed, of {in_all + failed}", outcome)
    if own < observed.least_affected(planned, expected):
        return Proof(False, f"affected {own or 'no'} copies, of {expected} primaries that the draw selected", outcome)
    return Proof(True, f"affected {own} copies" if own else "the draw selected no packet", outcome)


class Hedger(Carrier):
    """Puts all rules of the block in force before the client starts, and takes them back when it is done."""

    def __init__(self, planned: tuple[PlannedFault, ...], context: Context) -> None:
        super().__init__(planned, context)
        self._in_force = False
        self._hits = FaultHits({}, 0)

    def prepare(self) -> None:
        rules = orders(self.planned)
        if rules:
            self._in_force = True
            self._put(rules)

    def give_back(self, planned: PlannedFault) -> None:  # noqa: ARG002 (one for all)
        """Counts what all rules affected, and takes them back at once."""
        if self._in_force:
            self._in_force = False
            self._hits = FaultHits.from_json(self.context.topology.control(HEDGER).call("fault-hits"))
            self._put(())

    def proof(self, planned: PlannedFault, observed: Observed) -> Proof:
        return prove(planned, self._hits, observed)

    def _put(self, rules: tuple[FaultRule, ...]) -> None:
        message = FaultRules(self.context.scenario.workload.seed, rules)
        self.context.topology.control(HEDGER).call("faults", **message.to_json())


def _rules(planned: PlannedFault) -> Iterator[FaultRule]:
    fault = planned.fault
    if not planned.affected_ids or not isinstance(fault, _ByProgram):
        return
    for direction in fault.directions:
        yield FaultRule(
            key=planned.name,
            kind=fault.fault,
            direction=direction,
            replica=planned.replica,
            first_id=planned.affected_ids[0],
            last_id=planned.affected_ids[-1],
            percent=fault.chance_percent,
            delay_ns=fault.delay_ns if isinstance(fault, Delay) else None,
        )


def _drawn(planned: PlannedFault, observed: Observed) -> int:
    """The eligible requests whose primary, or its response, the kernel's draw selects."""
    fault = planned.fault
    if not isinstance(fault, _ByProgram):
        return 0
    seed, percent = observed.scenario.workload.seed, fault.chance_percent
    salts = [rule_salt(planned.name, direction) for direction in fault.directions]
    eligible = eligible_ids(observed.scenario, planned.block, planned.occurrence, planned.node)
    return sum(any(is_selected(seed, id_, 1, planned.replica, salt, percent) for salt in salts) for id_ in eligible)
