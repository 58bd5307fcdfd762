"""Where the faults of one block are brought about: what nodes are told beforehand, and what is done at its time.

Families of faults ask for things here, the block's runner has them done: what a server or the client must know is
part of their `start-block`; what strikes a process goes to the node's own supervisor, which is punctual, as soon as
the time of the first measured send is known; rules of the network go to the hedger; and what no program on a node can
do to itself the orchestrator does while it waits.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hedgerow_node.control import ControlError
from hedgerow_node.protocol.limits import CLIENT, HEDGER, LEAD_NS
from hedgerow_node.records import ServedCopy, read_rows
from hedgerow_node.units import NS_PER_MS
from orchestrator.errors import HedgerowError
from orchestrator.run.faults.netem_rules import Message, NetemRules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from orchestrator.plan.blocks import Block
    from orchestrator.run.faults.acts import Act
    from orchestrator.runfolder.folder import RunFolder
    from orchestrator.scenario.models import Scenario
    from orchestrator.topology.base import Topology

#: What is on for a whole block is applied this long before its first measured send.
_EARLY_NS = 150 * NS_PER_MS


@dataclass(order=True)
class _Timed:
    due_ns: int
    do: Callable[[], None] = field(compare=False)


@dataclass
class Orders:
    """What one node has to be told."""

    serve: list[Message] = field(default_factory=list)  #: faults of a server's service, for its start-block
    objects: int = 0  #: what the worker carries for its garbage collector to visit
    strikes: list[tuple[Act, Message]] = field(default_factory=list)


class Scene:
    """One attempt at one block: `start_ns` is its first measured send, `finished_ns` when the client was done."""

    def __init__(self, scenario: Scenario, block: Block, topology: Topology, folder: RunFolder) -> None:
        self.scenario, self.block, self.topology = scenario, block, topology
        self.start_ns = 0
        self.finished_ns = 0
        self.acts: Sequence[Act] = ()  #: all of the block, as soon as they are known
        self.collections: list[Message] = []  #: of garbage, by the client, as its worker told
        self.hits: dict[str, int] = {}  #: by name of act: copies that rules of the network struck
        self.failed_strikes = 0  #: copies that rules were to strike and could not
        self.served: dict[str, Message] = {}  #: by server: what it said at the end of the block
        self._folder = folder
        self._orders: dict[str, Orders] = defaultdict(Orders)
        self._client_collections: list[int] = []
        self._rules: list[Message] = []
        self._ruled = False
        self._netem = NetemRules(self._hedger)
        self._pending: list[tuple[int, bool, Callable[[], None]]] = []
        self._timed: list[_Timed] = []
        self._told: dict[tuple[str, str], Message] = {}
        self._struck: set[str] = set()  #: nodes whose supervisors have strikes of ours

    # --- what families ask for, before the block -----------------------------------------------------------------

    def serve(self, act: Act, **fault: Any) -> None:
        """Have the server of `act` treat the struck requests in this way; there must be some."""
        range_ = {"first_id": act.struck[0], "last_id": act.struck[-1]}
        self._orders[act.node].serve.append({"key": act.key, **fault, **range_})

    def carry(self, act: Act, objects: int) -> None:
        """Have the node's worker carry at least so many objects."""
        orders = self._orders[act.node]
        orders.objects = max(orders.objects, objects)

    def collect(self, act: Act) -> None:
        """Have the client's worker collect garbage at the act's time."""
        self._client_collections.append(act.occurrence.offset_ns)

    def strike(self, act: Act, **more: Any) -> None:
        """Have the node's own supervisor do it."""
        self._orders[act.node].strikes.append((act, more))

    def rule(self, act: Act, **rule: Any) -> None:
        """Have the hedger's programs strike copies of the struck requests to or from the act's server."""
        range_ = {"first_id": act.struck[0], "last_id": act.struck[-1]}
        self._rules.append({"key": act.name, "replica": act.replica, **rule, **range_})

    def netem(self, act: Act, **rule: Any) -> None:
        """Have netem do it to the requests to the act's server, at the act's times."""
        self._netem.add(act, rule)
        self.at(act.occurrence.offset_ns, lambda: self._netem.want(act), early=True)
        if act.occurrence.until_ns is not None:
            self.at(act.occurrence.until_ns, lambda: self._netem.want_no_more(act))

    def at(self, offset_ns: int, do: Callable[[], None], early: bool = False) -> None:
        """Have the orchestrator do something; `early` where, if it is due at once, sooner does no harm."""
        self._pending.append((offset_ns, early and offset_ns == 0, do))

    # --- what nodes are told in their start-block ------------------------------------------------------------------

    @property
    def lead_ns(self) -> int:
        """How long before its first measured send the client has to tell of it."""
        timed = self._pending or any(orders.strikes for orders in self._orders.values())
        return LEAD_NS if timed else 0

    def served_faults(self, node: str) -> list[Message]:
        """The faults of a server's service."""
        return self._orders[node].serve

    def garbage(self, node: str) -> Message | None:
        """What the node's worker carries and, for the client, when it collects; None where it does neither."""
        objects = self._orders[node].objects
        if not objects:
            return None
        return {"objects": objects, **({"offsets_ns": self.client_collections} if node == CLIENT else {})}

    @property
    def client_collections(self) -> list[int]:
        """When the client's worker is to collect garbage, as offsets, ascending."""
        return sorted(self._client_collections)

    # --- what is done ----------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Sets the rules of the network or makes ready for them, before the client starts. Raises ControlError."""
        if self._rules:
            self._ruled = True
            self._hedger("faults", seed=self.scenario.workload.seed, rules=self._rules)
        self._netem.prepare()

    def begin(self, start_ns: int) -> None:
        """The first measured send is known: strikes are handed over. Raises ControlError."""
        self.start_ns = start_ns
        self._timed = sorted(
            _Timed(start_ns + offset_ns - (_EARLY_NS if early else 0), do) for offset_ns, early, do in self._pending
        )
        for node, orders in self._orders.items():
            if orders.strikes:
                self._struck.add(node)
                strikes = [self._strike_message(act, more) for act, more in orders.strikes]
                self.topology.control(node).call("strike", strikes=strikes)

    def next_due_ns(self) -> int | None:
        """When `act` has something to do next; None where there is nothing left."""
        return self._timed[0].due_ns if self._timed else None

    def act(self) -> None:
        """Does what is due. Raises RunError or ControlError."""
        while self._timed and self._timed[0].due_ns <= time.monotonic_ns():
            self._timed.pop(0).do()
        self._netem.settle()

    def end_netem(self) -> None:
        """Takes netem's rules back; once. Raises ControlError."""
        self._netem.end()

    def end_strikes(self, node: str) -> None:
        """Has the node's supervisor undo what is still on and tell what it did; once. Raises ControlError."""
        if node in self._struck:
            self._struck.remove(node)
            for told in self.topology.control(node).call("strikes-done")["strikes"]:
                self._told[node, told["key"]] = told

    def end_rules(self) -> None:
        """Counts what the rules of the network struck, and takes them back; once. Raises ControlError."""
        if self._ruled:
            self._ruled = False
            told = self._hedger("fault-hits")
            self.hits, self.failed_strikes = told["hits"], told["failed"]
            self._hedger("faults", seed=self.scenario.workload.seed, rules=[])

    def stop(self) -> None:
        """Nothing more is done by the orchestrator."""
        self._timed = []

    # --- what came of it -------------------------------------------------------------------------------------------

    def told(self, act: Act) -> Message | None:
        """What the node's supervisor told of an act that it carried out."""
        return self._told.get((act.node, act.key))

    def copies(self, act: Act) -> Iterator[ServedCopy]:
        """The copies of struck requests that the act's server received, by its own log."""
        rows = read_rows(self._folder.raw_copies(self.block, act.replica), ServedCopy)
        return (row for row in rows if row.request_id in act.struck)

    def _strike_message(self, act: Act, more: Message) -> Message:
        at_ns, until_ns = act.planned_ns(self.start_ns)
        times = {"at_ns": at_ns} if until_ns in (None, at_ns) else {"at_ns": at_ns, "until_ns": until_ns}
        return {"key": act.key, "fault": act.fault.fault, **times, **more}

    def _hedger(self, do: str, **fields: Any) -> Message:
        return self.topology.control(HEDGER).call(do, **fields)


def carefully(steps: Iterable[tuple[str, Callable[[], None]]]) -> list[str]:
    """Does every step, whatever becomes of the others; what went wrong, in words."""
    problems = []
    for what, step in steps:
        try:
            step()
        except (ControlError, HedgerowError, OSError) as error:
            problems.append(f"{what}: {error}")
    return problems
