"""Faults of the service: slower, held back, or silent. The server itself injects them, by request id.

Which requests are affected follows from the schedule of sends and is settled before the block begins; so it is the
same whenever their copies arrive, and under every strategy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hedgerow_node.protocol.server import DropFault, ServiceFault, SlowFault, StallFault
from hedgerow_node.records import Action
from orchestrator.plan.faults import eligible_ids
from orchestrator.run.faults.carriers.base import Carrier
from orchestrator.run.faults.outcome import Proof
from orchestrator.scenario.faults import DropRequests, ServiceStall, Slow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hedgerow_node.records import ServedCopy
    from orchestrator.plan.faults import PlannedFault
    from orchestrator.run.faults.outcome import Observed

#: What the server may write into its log of a copy that it has affected. A row has room for one word, and a slowed
#: copy that also stalls, or is healed of that, is called so; how many were slowed is its count of hits.
_ACTIONS = {
    "slow": {Action.SLOWED, Action.STALLED, Action.HEALED},
    "stall": {Action.STALLED},
    "drop-requests": {Action.DROPPED},
}


def orders(planned: Iterable[PlannedFault]) -> tuple[ServiceFault, ...]:
    """The faults in the `start-block` of a server; those that affect no request are left out."""
    return tuple(order for each in planned for order in _order(each))


def prove(planned: PlannedFault, hits: int, copies: Iterable[ServedCopy], observed: Observed) -> Proof:
    """The server counted copies that it affected, and its log has them."""
    actions, ids = _ACTIONS[planned.fault.fault], planned.affected_ids
    logged = sum(copy.request_id in ids and copy.action in actions for copy in copies)
    expected = len(eligible_ids(observed.scenario, planned.block, planned.occurrence, planned.node))
    evidence: dict[str, object] = {"hits": hits, "logged": logged, "expected_primaries": expected}
    outcome = observed.as_planned(planned, bool(hits), evidence)
    affected = min(hits, logged)
    if affected < observed.least_affected(planned, expected):
        words = f"affected {affected} of the {expected} requests that it was meant to affect"
        return Proof(False, words, outcome)
    return Proof(True, f"affected {hits} copies" if hits else "there was no request to affect", outcome)


class Server(Carrier):
    """Nothing to do in between: a range of ids ends by itself, and the next block's start replaces it."""

    def proof(self, planned: PlannedFault, observed: Observed) -> Proof:
        hits = observed.fault_hits[planned.node].get(planned.key, 0) if planned.affected_ids else 0
        return prove(planned, hits, observed.copies(planned.replica), observed)


def _order(planned: PlannedFault) -> Iterator[ServiceFault]:
    if not planned.affected_ids:
        return
    key, first_id, last_id = planned.key, planned.affected_ids[0], planned.affected_ids[-1]
    match planned.fault:
        case Slow(factor=factor):
            yield SlowFault(key, first_id, last_id, factor)
        case ServiceStall(when=when, delay_ns=delay_ns):
            yield StallFault(key, first_id, last_id, when.text, delay_ns)
        case DropRequests(when=when):
            yield DropFault(key, first_id, last_id, when.text)
