"""What became of planned faults, what was observed of them, and how far that goes to prove them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from hedgerow_node.units import NS_PER_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hedgerow_node.protocol import JsonObject
    from hedgerow_node.protocol.server import CollectionTimes
    from hedgerow_node.records import ServedCopy
    from orchestrator.plan.faults import PlannedFault
    from orchestrator.scenario.models import Scenario

#: A fault must have lasted this share of the time it was meant to.
LEAST_SHARE = 0.9
#: And have begun before this share of it was over, or it affected other requests than it was meant to.
_LATEST_BEGIN = 0.5


@dataclass(frozen=True)
class FaultOutcome:
    """When a fault was applied and undone, on CLOCK_MONOTONIC (None: it was not), and what shows it."""

    applied_ns: int | None = None
    undone_ns: int | None = None
    evidence: JsonObject = field(default_factory=dict)

    @property
    def is_on(self) -> bool:
        """Whether there is something to undo."""
        return self.applied_ns is not None and self.undone_ns is None

    @property
    def lasted_ns(self) -> int:
        """How long it was on; 0 where it never began or never ended."""
        if self.applied_ns is None or self.undone_ns is None:
            return 0
        return self.undone_ns - self.applied_ns


class Outcomes:
    """The outcomes of a block's faults, as they come about."""

    def __init__(self) -> None:
        self._by_name: dict[str, FaultOutcome] = {}

    def of(self, planned: PlannedFault) -> FaultOutcome:
        """What has become of it so far."""
        return self._by_name.get(planned.name, FaultOutcome())

    def put(self, planned: PlannedFault, outcome: FaultOutcome) -> None:
        """This is what has become of it, whatever was known before."""
        self._by_name[planned.name] = outcome

    def note(
        self,
        planned: PlannedFault,
        *,
        applied_ns: int | None = None,
        undone_ns: int | None = None,
        **evidence: object,
    ) -> None:
        """Adds to what is known."""
        before = self.of(planned)
        self._by_name[planned.name] = FaultOutcome(
            before.applied_ns if applied_ns is None else applied_ns,
            before.undone_ns if undone_ns is None else undone_ns,
            {**before.evidence, **evidence},
        )


@dataclass(frozen=True)
class Proof:
    """Whether a fault is proven to have happened as planned, in words that say what was found."""

    proven: bool
    finding: str
    outcome: FaultOutcome

    def as_record(self) -> JsonObject:
        """For the journal."""
        return {"finding": self.finding, **self.outcome.evidence}


class FaultResult(NamedTuple):
    """A fault of a block that was run."""

    planned: PlannedFault
    proof: Proof


@dataclass(frozen=True)
class Observed:
    """What a block left, by which its faults are proven.

    `start_ns` is its first measured send, `finished_ns` when the client was done. `fault_hits` holds for each server
    how many copies each of its faults affected, by key; `copies` reads a server's log.
    """

    scenario: Scenario
    planned: tuple[PlannedFault, ...]
    start_ns: int
    finished_ns: int
    fault_hits: Mapping[str, Mapping[str, int]]
    copies: Callable[[int], Iterable[ServedCopy]]
    client_gc_runs: Sequence[CollectionTimes]

    def as_planned(self, planned: PlannedFault, happened: bool, evidence: JsonObject) -> FaultOutcome:
        """The outcome of a fault that affects requests by id, for which its planned times stand, if it `happened`."""
        span = planned.span_from(self.start_ns)
        return FaultOutcome(span.from_ns, span.until_ns, evidence) if happened else FaultOutcome(evidence=evidence)

    def shortfall(self, planned: PlannedFault, outcome: FaultOutcome) -> str | None:
        """What is missing from a fault's time in force, None where nothing is.

        What the end of the block cut off is not missing: nothing was measured then.
        """
        span = planned.span_from(self.start_ns)
        until_ns = self.finished_ns if span.until_ns is None else min(span.until_ns, self.finished_ns)
        if outcome.applied_ns is None:
            over = span.from_ns >= self.finished_ns
            return "the block was over before it came" if over else "it was never applied"
        if outcome.undone_ns is None:
            return "it was never undone"
        planned_ns = until_ns - span.from_ns
        if outcome.lasted_ns < LEAST_SHARE * planned_ns:
            return f"it lasted {outcome.lasted_ns / NS_PER_MS:.1f} ms instead of {planned_ns / NS_PER_MS:.1f} ms"
        late_ns = outcome.applied_ns - span.from_ns
        if 0 < _LATEST_BEGIN * planned_ns < late_ns:
            return f"it began {late_ns / NS_PER_MS:.1f} ms late, of {planned_ns / NS_PER_MS:.1f} ms"
        return None

    def least_affected(self, planned: PlannedFault, expected: int) -> int:
        """How many of `expected` requests a fault by id must have affected: nearly all, where nothing else is on.

        Another one at the same time may keep requests or responses from coming to where this one affects them; then
        a single one proves it.
        """
        alone = not any(planned.overlaps(other) for other in self.planned if other is not planned)
        return math.ceil(LEAST_SHARE * expected) if alone else min(1, expected)


def proof_unless(problem: str | None, finding: str, outcome: FaultOutcome, **evidence: object) -> Proof:
    """A proof that says `finding`, unless there is a `problem`; `evidence` is added to the outcome's."""
    outcome = replace(outcome, evidence={**outcome.evidence, **evidence})
    return Proof(problem is None, problem or finding, outcome)
