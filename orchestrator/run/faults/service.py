"""Faults of the service: slower, held back, or silent. The server itself does it, by request id.

Which requests are struck follows from the schedule of sends and is settled before the block begins; so it is the same
whenever their copies arrive, and under every strategy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hedgerow_node.records import Action
from orchestrator.run.faults.acts import Act, Proof, asked_of, least_strikes
from orchestrator.scenario.faults import DropRequests, ServiceStall, Slow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.run.faults.scene import Scene

#: What the server may write into its log of a copy that it has struck. A row has room for one word, and a slowed copy
#: that also stalls, or is healed of that, is called so; how many were slowed, its count of hits tells.
_ACTIONS = {
    "slow": {Action.SLOWED, Action.STALLED, Action.HEALED},
    "stall": {Action.STALLED},
    "drop-requests": {Action.DROPPED},
}


class Service:
    """A server that treats some requests worse."""

    def apply(self, act: Act, scene: Scene) -> None:
        """Has the server's `start-block` say so."""
        if not act.struck:
            return
        match act.fault:
            case Slow(factor=factor):
                scene.serve(act, kind="slow", factor=factor)
            case ServiceStall(when=when, delay_ns=delay_ns):
                scene.serve(act, kind="stall", when=when.text, delay_ns=delay_ns)
            case DropRequests(when=when):
                scene.serve(act, kind="drop-requests", when=when.text)

    def undo(self, act: Act, scene: Scene) -> None:
        """Nothing to do: the range of ids ends by itself, and the next block's start replaces it."""

    def proof(self, act: Act, scene: Scene) -> Proof:
        """The server counted copies that it struck, and its log has them."""
        hits = int(scene.served[act.node]["fault_hits"].get(act.key, 0)) if act.struck else 0
        logged = [row for row in scene.copies(act) if row.action in _ACTIONS[act.fault.fault]]
        if hits:
            act.applied_ns, act.undone_ns = act.planned_ns(scene.start_ns)
        expected = sum(1 for _ in self._meant(act, scene))
        evidence = {"hits": hits, "logged": len(logged), "expected_primaries": expected}
        if min(hits, len(logged)) < least_strikes(act, scene.acts, expected):
            struck = min(hits, len(logged))
            return Proof(False, f"struck {struck} of the {expected} requests that it was meant to strike", evidence)
        return Proof(True, f"struck {hits} copies" if hits else "there was no request to strike", evidence)

    @staticmethod
    def _meant(act: Act, scene: Scene) -> Iterator[int]:
        """The requests asked of this server that meet the fault's condition."""
        when = act.fault.when if isinstance(act.fault, ServiceStall | DropRequests) else None
        return (id_ for id_ in asked_of(scene.scenario, act) if when is None or when.evaluate(id_))
