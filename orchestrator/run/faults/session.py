"""The faults of one attempt at a block, from the first message to the proofs.

What a server or the client must know is part of their `start-block`; what is injected into a process goes to the
node's own supervisor, which is punctual, as soon as the time of the first measured send is known; rules of the
network go to the hedger; and what no program on a node can do to itself the orchestrator does while it waits.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from hedgerow_node.control import ControlError
from hedgerow_node.protocol.limits import CLIENT, LEAD_NS
from hedgerow_node.records import ServedCopy, read_rows
from orchestrator.errors import HedgerowError
from orchestrator.plan.faults import plan_faults
from orchestrator.run.faults.carriers import CARRIERS, client, supervisor
from orchestrator.run.faults.carriers import server as server_carrier
from orchestrator.run.faults.carriers.base import Context, Step
from orchestrator.run.faults.outcome import FaultResult, Observed, Outcomes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hedgerow_node.protocol.client import GcSettings
    from hedgerow_node.protocol.server import CollectionTimes, ObjectGraph, ServerReport, ServiceFault
    from orchestrator.plan.blocks import Block
    from orchestrator.plan.faults import PlannedFault
    from orchestrator.run.faults.carriers.base import Carrier
    from orchestrator.runfolder.folder import RunFolder
    from orchestrator.scenario.models import Scenario
    from orchestrator.topology.base import Topology


class FaultSession:
    """`prepare`, `begin`, `do_what_is_due` until the block is over, `give_back`, `prove`.

    `start_ns` is the block's first measured send, 0 until it is known; `too_late` are faults that would come when the
    block has no requests any more.
    """

    def __init__(self, scenario: Scenario, block: Block, topology: Topology, folder: RunFolder) -> None:
        self.planned, self.too_late = plan_faults(scenario, block)
        self.outcomes = Outcomes()
        self.start_ns = 0
        self._scenario, self._block, self._folder = scenario, block, folder
        context = Context(scenario, topology, self.outcomes)
        self._carriers: dict[str, Carrier] = {}
        for name, carrier in CARRIERS.items():
            own = tuple(each for each in self.planned if each.carrier == name)
            if own:
                self._carriers[name] = carrier(own, context)
        self._to_do: list[Step] = []

    @property
    def lead_ns(self) -> int:
        """How long before its first measured send the client has to tell of it."""
        return LEAD_NS if any(carrier.keeps_times for carrier in self._carriers.values()) else 0

    def service_faults(self, server: str) -> tuple[ServiceFault, ...]:
        """What the `start-block` of a server says of faults of its service."""
        return server_carrier.orders(self._of("server", server))

    def object_graph(self, server: str) -> ObjectGraph | None:
        """What the `start-block` of a server says of garbage collections, whose times its supervisor gets later."""
        return supervisor.object_graph(self._of("supervisor", server))

    def client_gc(self) -> GcSettings | None:
        """What the client's `start-block` says of garbage collections."""
        return client.orders(self._of("client", CLIENT))

    def prepare(self) -> None:
        """Before the client starts: rules of the network are set, or made ready. Raises ControlError."""
        for carrier in self._carriers.values():
            carrier.prepare()

    def begin(self, start_ns: int) -> None:
        """The first measured send is known: faults are handed over. Raises ControlError."""
        self.start_ns = start_ns
        order = {planned.name: number for number, planned in enumerate(self.planned)}
        steps = [step for carrier in self._carriers.values() for step in carrier.steps()]
        self._to_do = sorted(steps, key=lambda step: (step.at_ns, order[step.planned.name]))
        for carrier in self._carriers.values():
            carrier.begin(start_ns)

    def next_due_ns(self) -> int | None:
        """When there is something to do next, on CLOCK_MONOTONIC; None where nothing is left."""
        return self.start_ns + self._to_do[0].at_ns if self._to_do else None

    def do_what_is_due(self) -> None:
        """Begins and ends faults whose time has come. Raises RunError or ControlError."""
        while self._to_do and self.start_ns + self._to_do[0].at_ns <= time.monotonic_ns():
            step = self._to_do.pop(0)
            self._carriers[step.planned.carrier].take(step)
        for carrier in self._carriers.values():
            carrier.settle()

    def give_back(self) -> list[str]:
        """Undoes every fault, those seen in force first: frozen nodes do not answer. What went wrong, in words."""
        self._to_do = []
        in_force_first = sorted(self.planned, key=lambda planned: not self.outcomes.of(planned).is_on)
        return run_all(
            (
                f"{planned.fault.fault} of {planned.node} cannot be undone",
                partial(self._carriers[planned.carrier].give_back, planned),
            )
            for planned in in_force_first
        )

    def prove(
        self, servers: Mapping[str, ServerReport], client_gc_runs: Iterable[CollectionTimes], finished_ns: int
    ) -> list[FaultResult]:
        """Whether each fault happened, by what the nodes reported after the block.

        `servers` has the reports by node; `finished_ns` is when the client was done, on CLOCK_MONOTONIC.
        """
        observed = Observed(
            scenario=self._scenario,
            planned=self.planned,
            start_ns=self.start_ns,
            finished_ns=finished_ns,
            fault_hits={node: report.fault_hits for node, report in servers.items()},
            copies=lambda replica: read_rows(self._folder.raw_copies(self._block, replica), ServedCopy),
            client_gc_runs=tuple(client_gc_runs),
        )
        return [
            FaultResult(planned, self._carriers[planned.carrier].proof(planned, observed)) for planned in self.planned
        ]

    def _of(self, carrier: str, node: str) -> list[PlannedFault]:
        return [each for each in self.planned if (each.carrier, each.node) == (carrier, node)]


def run_all(steps: Iterable[tuple[str, Callable[[], None]]]) -> list[str]:
    """Does every step, whatever becomes of the others; what went wrong, in words."""
    problems = []
    for what, step in steps:
        try:
            step()
        except (ControlError, HedgerowError, OSError) as error:
            problems.append(f"{what}: {error}")
    return problems
