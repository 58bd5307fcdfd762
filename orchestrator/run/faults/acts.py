"""A fault of the scenario at work: one occurrence in one block at one node, from its planning to its proof.

An occurrence that aims at several nodes is one act at each, since each has to be proven.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hedgerow_node.replicas import primary_replica
from hedgerow_node.units import NS_PER_MS
from orchestrator.plan.faults import Occurrence, affected_ids, timeline
from orchestrator.scenario.faults import Fault, targets_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.plan.blocks import Block
    from orchestrator.scenario.models import Scenario

#: A fault must have lasted this share of the time it was meant to.
LEAST_SHARE = 0.9
#: And have begun before this share of it was over, or it struck other requests than it was meant to.
_LATEST_BEGIN = 0.5


@dataclass(frozen=True)
class Proof:
    """Whether an act is proven, in words that say what was found, and what they rest on."""

    proven: bool
    finding: str
    evidence: dict[str, Any]

    def as_record(self) -> dict[str, Any]:
        """For the journal."""
        return {"finding": self.finding, **self.evidence}


@dataclass
class Act:
    """`struck` are the measured ids of the block that are meant to be sent while it is on; times are absolute."""

    fault: Fault
    occurrence: Occurrence
    node: str
    struck: range
    applied_ns: int | None = None
    undone_ns: int | None = None
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The occurrence's name in messages to a node."""
        return self.occurrence.key

    @property
    def name(self) -> str:
        """What tells it from all others of its block, where one program is told of several nodes' faults."""
        return f"{self.key}@{self.node}"

    @property
    def replica(self) -> int:
        """The number of the server that it strikes; not for the client."""
        return int(self.node.removeprefix("server-"))

    @property
    def is_on(self) -> bool:
        """Whether there is something to undo."""
        return self.applied_ns is not None and self.undone_ns is None

    def planned_ns(self, start_ns: int) -> tuple[int, int | None]:
        """From when to when it was to be on; to None where to the end of the block."""
        until_ns = self.occurrence.until_ns
        return start_ns + self.occurrence.offset_ns, None if until_ns is None else start_ns + until_ns

    def shortfall(self, start_ns: int, finished_ns: int) -> str | None:
        """What is missing from its time in force, None where nothing is.

        What the end of the block at `finished_ns` cut off is not missing: nothing was measured then.
        """
        from_ns, until_ns = self.planned_ns(start_ns)
        until_ns = finished_ns if until_ns is None else min(until_ns, finished_ns)
        if self.applied_ns is None:
            return "the block was over before it came" if from_ns >= finished_ns else "it was never applied"
        if self.undone_ns is None:
            return "it was never undone"
        lasted_ns, planned_ns = self.undone_ns - self.applied_ns, until_ns - from_ns
        if lasted_ns < LEAST_SHARE * planned_ns:
            return f"it lasted {lasted_ns / NS_PER_MS:.1f} ms instead of {planned_ns / NS_PER_MS:.1f} ms"
        late_ns = self.applied_ns - from_ns
        if 0 < _LATEST_BEGIN * planned_ns < late_ns:
            return f"it began {late_ns / NS_PER_MS:.1f} ms late, of {planned_ns / NS_PER_MS:.1f} ms"
        return None


def acts_of(scenario: Scenario, block: Block) -> tuple[list[Act], list[Act]]:
    """What faults are to do in `block`, by time, and what they cannot do any more, since it has no requests then.

    The random gaps of its schedule make one block a little shorter than another.
    """
    to_do: list[Act] = []
    too_late: list[Act] = []
    everything = affected_ids(scenario, block, Occurrence(0, 0, 0, None))
    for occurrence in timeline(scenario):
        fault = scenario.faults[occurrence.fault]
        still_to_come = len(affected_ids(scenario, block, Occurrence(0, 0, occurrence.offset_ns, None)))
        for node in targets_of(fault, scenario.topology.replicas):
            act = Act(fault, occurrence, node, affected_ids(scenario, block, occurrence))
            (to_do if still_to_come or not everything else too_late).append(act)
    return to_do, too_late


def asked_of(scenario: Scenario, act: Act) -> Iterator[int]:
    """The struck requests whose primary goes to the act's server."""
    spread, replicas = scenario.workload.spread, scenario.topology.replicas
    return (id_ for id_ in act.struck if primary_replica(spread, id_, replicas) == act.replica)


def overlap(one: Act, other: Act) -> bool:
    """Whether the two are planned to be on at the same time."""

    def ends(act: Act) -> float:
        return float("inf") if act.occurrence.until_ns is None else act.occurrence.until_ns

    return one.occurrence.offset_ns < ends(other) and other.occurrence.offset_ns < ends(one)


def least_strikes(act: Act, acts: Sequence[Act], expected: int) -> int:
    """How many of `expected` requests an act by id must have struck: nearly all, where nothing else is on.

    Among the block's other `acts`, one at the same time may keep requests or answers from coming to where this one
    strikes; then a single one proves it.
    """
    alone = not any(overlap(act, other) for other in acts if other is not act)
    return math.ceil(LEAST_SHARE * expected) if alone else min(1, expected)
