"""What carriers have in common: each injects those faults of a block that are its own.

A carrier's module has pure functions: `orders` makes the messages to a program, `prove` says whether a fault
happened. Its class carries the orders out. To add a fault to a carrier, extend its `orders` and `prove`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from hedgerow_node.units import NS_PER_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.plan.faults import PlannedFault
    from orchestrator.run.faults.outcome import Observed, Outcomes, Proof
    from orchestrator.scenario.models import Scenario
    from orchestrator.topology.base import Topology

#: What is on for a whole block is applied this long before its first measured send, where sooner does no harm.
_EARLY_NS = 150 * NS_PER_MS


@dataclass(frozen=True)
class Step:
    """A fault that the orchestrator begins or ends itself at a time, an offset from the first measured send."""

    at_ns: int
    planned: PlannedFault
    begins: bool


def steps_of(planned: PlannedFault, *, early: bool) -> Iterator[Step]:
    """Its beginning and its end; `early` where what is on from the start of the block may be on before it."""
    yield Step(-_EARLY_NS if early and planned.at_ns == 0 else planned.at_ns, planned, True)
    if planned.until_ns is not None:
        yield Step(planned.until_ns, planned, False)


@dataclass(frozen=True)
class Context:
    """One attempt at one block: where its faults are injected, and what becomes of them."""

    scenario: Scenario
    topology: Topology
    outcomes: Outcomes


class Carrier:
    """Injects `planned`, the faults of a block that are its own; what a carrier need not do does nothing here."""

    #: Whether it does things at times, for which it must know the first measured send some time before.
    keeps_times: ClassVar[bool] = False

    def __init__(self, planned: tuple[PlannedFault, ...], context: Context) -> None:
        self.planned, self.context = planned, context

    def prepare(self) -> None:
        """Before the client starts. Raises ControlError."""

    def begin(self, start_ns: int) -> None:
        """The first measured send is known. Raises ControlError."""

    def steps(self) -> Iterable[Step]:
        """What the orchestrator is to do at times, by `take`."""
        return ()

    def take(self, step: Step) -> None:
        """A step is due. Raises RunError or ControlError."""

    def settle(self) -> None:
        """All steps that were due at a time have been taken. Raises ControlError."""

    def give_back(self, planned: PlannedFault) -> None:
        """Undoes it at once, where it may still be on; may be called again. Raises RunError or ControlError."""

    def proof(self, planned: PlannedFault, observed: Observed) -> Proof:
        """Whether it really happened, after the block."""
        raise NotImplementedError
