"""Faults of the network by the kernel's own qdisc netem at the client's interface, put there and taken away in time.

Which packets it affects is netem's own draw, different every time. The rules of a block are made ready beforehand,
and each change of them puts in force all that are wanted by then.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hedgerow_node.protocol.hedger import NetemChange, NetemKind, NetemPhases, NetemRule, NetemRules
from hedgerow_node.protocol.limits import HEDGER
from orchestrator.plan.faults import eligible_ids
from orchestrator.run.faults.carriers.base import Carrier, Step, steps_of
from orchestrator.run.faults.outcome import FaultOutcome, Proof, proof_unless
from orchestrator.scenario.network_faults import Delay, NetworkFault, RateLimit, Reorder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hedgerow_node.protocol import JsonObject
    from orchestrator.plan.faults import PlannedFault
    from orchestrator.run.faults.carriers.base import Context
    from orchestrator.run.faults.outcome import Observed


def orders(planned: Iterable[PlannedFault]) -> tuple[NetemRule, ...]:
    """The rules that hold while these are on."""
    return tuple(
        NetemRule(
            key=each.name,
            kind=NetemKind(fault.fault),
            replica=each.replica,
            percent=fault.chance_percent,
            delay_ns=fault.delay_ns if isinstance(fault, Delay | Reorder) else None,
            rate_bit_per_s=fault.rate_bit_per_s if isinstance(fault, RateLimit) else None,
        )
        for each in planned
        if isinstance(fault := each.fault, NetworkFault)
    )


def phases(planned: tuple[PlannedFault, ...]) -> NetemPhases:
    """The rules that are to be in force together after each change; once where only their keys differ."""
    times_ns = {each.at_ns for each in planned}
    times_ns |= {each.until_ns for each in planned if each.until_ns is not None}
    found: list[NetemRules] = []
    known: list[list[NetemRule]] = [[]]
    for time_ns in sorted(times_ns):
        rules = orders(each for each in planned if each.occurrence.span.contains(time_ns))
        nameless = [replace(rule, key="") for rule in rules]
        if nameless not in known:
            known.append(nameless)
            found.append(NetemRules(rules))
    return NetemPhases(tuple(found))


def prove(planned: PlannedFault, outcome: FaultOutcome, observed: Observed) -> Proof:
    """The qdisc was there for its time and had packets; which of them it affected it does not tell."""
    problem = observed.shortfall(planned, outcome)
    packets = _counted(outcome, "packets") + _counted(outcome, "drops")
    expected = len(eligible_ids(observed.scenario, planned.block, planned.occurrence, planned.node))
    if problem is None and expected and not packets:
        problem = f"no packet came to the qdisc, of {expected} requests that were to"
    return proof_unless(problem, f"{packets} packets came to the qdisc", outcome, expected_primaries=expected)


class Netem(Carrier):
    """Asks the hedger for the rules that are wanted by now."""

    keeps_times = True

    def __init__(self, planned: tuple[PlannedFault, ...], context: Context) -> None:
        super().__init__(planned, context)
        self._wanted: dict[str, PlannedFault] = {}
        self._in_force: dict[str, PlannedFault] = {}
        self._is_prepared = False

    def prepare(self) -> None:
        """Has the hedger make what the rules need, before there is any hurry."""
        self._is_prepared = True
        self._ask("prepare-netem", phases(self.planned).to_json())

    def steps(self) -> tuple[Step, ...]:
        return tuple(step for each in self.planned for step in steps_of(each, early=True))

    def take(self, step: Step) -> None:
        """It begins or ends with the next `settle`."""
        if step.begins:
            self._wanted[step.planned.name] = step.planned
        else:
            del self._wanted[step.planned.name]

    def settle(self) -> None:
        """Has the hedger put in force what is wanted by now, all changes at once."""
        before, now = self._in_force, dict(self._wanted)
        if now == before:
            return
        self._in_force = now
        change = NetemChange.from_json(self._ask("netem", NetemRules(orders(now.values())).to_json()))
        for each in self.planned:
            if each.name in now.keys() - before.keys():
                self.context.outcomes.note(each, applied_ns=change.at_ns)
            elif each.name in before.keys() - now.keys():
                self.context.outcomes.note(each, undone_ns=change.at_ns)
            if each.name in before:
                self._count(each, change)

    def give_back(self, planned: PlannedFault) -> None:  # noqa: ARG002 (one for all)
        """All rules of the block are taken back at once, with what was made for them."""
        if self._is_prepared:
            self._is_prepared = False
            self._wanted = {}
            self.settle()
            self._ask("prepare-netem", NetemPhases(()).to_json())

    def proof(self, planned: PlannedFault, observed: Observed) -> Proof:
        return prove(planned, self.context.outcomes.of(planned), observed)

    def _count(self, planned: PlannedFault, change: NetemChange) -> None:
        """Every change ends a count: what was counted till then belongs to each fault that was on."""
        for was in change.was:
            if planned.replica in was.replicas:
                outcome = self.context.outcomes.of(planned)
                packets, drops = _counted(outcome, "packets") + was.packets, _counted(outcome, "drops") + was.drops
                self.context.outcomes.note(planned, packets=packets, drops=drops)

    def _ask(self, do: str, fields: JsonObject) -> JsonObject:
        return self.context.topology.control(HEDGER).call(do, **fields)


def _counted(outcome: FaultOutcome, counter: str) -> int:
    value = outcome.evidence.get(counter, 0)
    return value if isinstance(value, int) else 0
