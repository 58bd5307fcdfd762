"""Garbage collections of the client's worker, which lasts for a block and has their times from its beginning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hedgerow_node.protocol.client import GcSettings
from hedgerow_node.units import NS_PER_MS
from orchestrator.run.faults.carriers.base import Carrier
from orchestrator.run.faults.outcome import FaultOutcome, Proof, proof_unless
from orchestrator.scenario.faults import Gc

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hedgerow_node.protocol.server import CollectionTimes
    from orchestrator.plan.faults import PlannedFault
    from orchestrator.run.faults.outcome import Observed


def orders(planned: Iterable[PlannedFault]) -> GcSettings | None:
    """What the client's `start-block` says of its collections; None where there are none."""
    faults = [(each.at_ns, each.fault.objects) for each in planned if isinstance(each.fault, Gc)]
    if not faults:
        return None
    return GcSettings(max(objects for _, objects in faults), tuple(sorted(at_ns for at_ns, _ in faults)))


def prove(planned: PlannedFault, settings: GcSettings | None, runs: Sequence[CollectionTimes]) -> Proof:
    """The worker collected, and measured how long that took.

    It collects in order, one after the other: the n-th time of `settings` is that of the n-th of `runs`.
    """
    number = len(runs) if settings is None else settings.offsets_ns.index(planned.at_ns)
    if number >= len(runs):
        return Proof(False, "the worker did not collect", FaultOutcome(evidence={"collections": []}))
    run = runs[number]
    outcome = FaultOutcome(run.start_ns, run.end_ns, {"collections": [run.to_json()]})
    words = f"collected for {outcome.lasted_ns / NS_PER_MS:.1f} ms"
    return proof_unless(None if outcome.lasted_ns > 0 else words, words, outcome)


class Client(Carrier):
    """Nothing to do in between: a collection ends by itself, and after the block none begins."""

    def proof(self, planned: PlannedFault, observed: Observed) -> Proof:
        return prove(planned, orders(self.planned), observed.client_gc_runs)
