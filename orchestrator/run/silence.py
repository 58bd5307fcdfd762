"""Requests that are lost although no declared fault explains it: such a block measured a path that is closed.

What may be lost is known beforehand. A fault explains silence while it is on, and shortly afterwards, if it concerns
every server that is asked, or the client, and if it could keep answers from so many requests in a row: a partition
could, a loss of 2 % could not. Where in doubt, it could. In a warm-up there are no faults, and nothing explains it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self

from hedgerow_node.protocol.client import SilentEvent
from hedgerow_node.protocol.limits import CLIENT, server_name
from hedgerow_node.units import NS_PER_S
from hedgerow_node.workload import primary_replica
from orchestrator.plan.faults import Span
from orchestrator.scenario.fault_base import NEVER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hedgerow_node.protocol import JsonObject
    from hedgerow_node.protocol.server import ServerReport
    from hedgerow_node.records import Sample
    from orchestrator.plan.blocks import Block
    from orchestrator.plan.faults import PlannedFault
    from orchestrator.scenario.models import Scenario

REMEDY = (
    "look for a firewall that drops UDP between the nodes (iptables -S DOCKER-USER, nft list ruleset), for a link "
    "that is down (ip link), for a server that is down (log.txt)"
)
#: What a fault did may show for so long after its end: a worker starts again, a backlog is worked off.
_AFTERWARDS_NS = 2 * NS_PER_S
#: The same for faults that are over at once by plan: a garbage collection takes its time.
_AFTER_INSTANT_NS = 20 * NS_PER_S


@dataclass(frozen=True)
class Silence:
    """From when to when (CLOCK_MONOTONIC ns) nothing came, and the ids of the requests given up meanwhile."""

    since_ns: int
    until_ns: int
    requests: int
    first_id: int
    last_id: int

    @classmethod
    def of_event(cls, event: JsonObject) -> Self:
        """As the client reports it, and its supervisor, who adds the block; ControlError where it is not valid."""
        reported = {each.name: event[each.name] for each in fields(SilentEvent) if each.name in event}
        return cls(**vars(SilentEvent.from_json(reported)))

    @classmethod
    def of_block(cls, samples: Sequence[Sample]) -> Self | None:
        """All of a block, if none of its requests was answered, not even late."""
        if not samples or any(sample.copies_received for sample in samples):
            return None
        first, last = samples[0], samples[-1]
        return cls(first.sent_ns, last.sent_ns, len(samples), first.request_id, last.request_id)

    def is_explained(
        self, faults: Iterable[PlannedFault], start_ns: int, asked: Iterable[str], recent_ns: int
    ) -> bool:
        """Whether `faults`, in a block whose first measured send was at `start_ns`, may have caused it.

        `asked` are the servers that the requests went to. Of a long silence only the last `recent_ns` count: it must
        end after the fault that it began with.
        """
        recent = Span(max(self.since_ns, self.until_ns - recent_ns), self.until_ns + 1)
        chances: dict[str, float] = {}
        for planned in faults:
            if _aftermath(planned, start_ns).overlaps(recent) and self._meets_condition(planned):
                chances[planned.node] = chances.get(planned.node, 0.0) + planned.fault.chance_silenced
        each = [min(1.0, chances.get(node, 0.0) + chances.get(CLIENT, 0.0)) for node in asked]
        chance = 1.0
        for of_node in each:
            chance *= of_node ** (self.requests / len(each))
        return chance > NEVER

    def _meets_condition(self, planned: PlannedFault) -> bool:
        condition = planned.fault.condition
        return condition is None or all(condition.evaluate(id_) for id_ in range(self.first_id, self.last_id + 1))


def _aftermath(planned: PlannedFault, start_ns: int) -> Span:
    """From when to when a fault may keep answers from the client."""
    span = planned.span_from(start_ns)
    after_ns = _AFTER_INSTANT_NS if planned.fault.is_instant else _AFTERWARDS_NS
    return Span(span.from_ns, None if span.until_ns is None else span.until_ns + after_ns)


def asked_servers(scenario: Scenario, ids: range) -> tuple[str, ...]:
    """The servers that the primaries of the requests `ids` go to."""
    replicas, spread = scenario.topology.replicas, scenario.workload.spread
    return tuple(sorted({server_name(primary_replica(spread, id_, replicas)) for id_ in ids[:replicas]}))


def finding(silence: Silence, warm_up: bool, received: Mapping[str, int]) -> str:
    """In words, with how many copies each server has `received` in the block, by its name."""
    what = "warm-up requests" if warm_up else "requests"
    lasted_s = (silence.until_ns - silence.since_ns) / NS_PER_S
    nothing = f"no answer to any of {silence.requests} {what} in {lasted_s:.1f} s, and no declared fault explains it"
    copies = ", ".join(f"{node} received {count}" for node, count in received.items())
    reached = "requests do not reach the servers" if not any(received.values()) else "servers were reached"
    return f"{nothing}: {reached} ({copies} in this block)"


def unreached(
    scenario: Scenario, block: Block, servers: Mapping[str, ServerReport], faults: Iterable[PlannedFault]
) -> str | None:
    """The servers that were to get requests, but got no copy in the whole block, the warm-up included; in words.

    None where there are none, or where a fault of that server, or of the client, may have caused it.
    """
    at_fault = {planned.node for planned in faults if planned.fault.chance_silenced >= 1.0}
    if CLIENT in at_fault or not block.count:
        return None
    ids = range(block.first_id, block.first_id + block.count)
    missed = [node for node in asked_servers(scenario, ids) if not servers[node].rows and node not in at_fault]
    return f"no request reached {' or '.join(missed)}, and no declared fault explains it" if missed else None
