"""The faults of a scenario: what happens to which node, and when; one model a kind, distinguished by the key `fault`.

Those of the network are in `network_faults`, what they all have in common in `fault_base`, what must hold between a
fault and the rest of its scenario in `fault_checks`.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from hedgerow_node.expression import Expression, parse
from hedgerow_node.protocol.limits import CLIENT, server_name
from orchestrator.scenario.fault_base import (
    EVERYTHING,
    NODES_TARGETED,
    SERVERS,
    SERVERS_TARGETED,
    TARGET,
    AnyTarget,
    BoundedFault,
    Carrier,
    Deadline,
    InstantFault,
    LastingFault,
    NodeTarget,
    ServerTarget,
)
from orchestrator.scenario.fields import (
    MINUTE_NS,
    WHEN,
    Condition,
    Duration,
    ProcessorPercent,
    Real,
    Section,
    Whole,
    between_ns,
)
from orchestrator.scenario.network_faults import NetworkFault


class Pause(BoundedFault):
    """The node's worker is stopped (SIGSTOP) and continued."""

    carrier = "supervisor"
    comes_at_a_time = True
    takes = frozenset({"worker"})
    threat = (
        "A signal is no collector",
        "Pauses are SIGSTOP and SIGCONT: all threads stop at once and for a time that was chosen. Collectors stop "
        "less regularly and often for less; gc_pause_real runs a real one.",
    )

    fault: Literal["pause"] = Field(description="The worker process is stopped and continued.")
    target: NodeTarget = Field(description=NODES_TARGETED)

    def chance_late(self, deadline: Deadline, remaining_ns: float) -> float:
        return float(remaining_ns > deadline.delay_ns)


class Freeze(BoundedFault):
    """The whole node stands still: cgroup freezer, or docker pause."""

    carrier = "orchestrator"
    comes_at_a_time = True
    takes = frozenset({"worker", "collector", "burners"})

    fault: Literal["freeze"] = Field(description="Every process of the node is frozen and thawed.")
    target: NodeTarget = Field(description=NODES_TARGETED)

    def chance_late(self, deadline: Deadline, remaining_ns: float) -> float:
        return float(remaining_ns > deadline.delay_ns)


class Kill(LastingFault):
    """The server's worker is killed; a fresh one comes when the duration is over, or for the next block."""

    carrier = "supervisor"
    comes_at_a_time = True
    takes = frozenset({"worker", "collector"})

    fault: Literal["kill"] = Field(description="The worker is killed; after the duration a fresh one comes.")
    target: ServerTarget = Field(description=SERVERS_TARGETED)

    def chance_late(self, deadline: Deadline, remaining_ns: float) -> float:  # noqa: ARG002 (all are)
        return 1.0


class Restart(InstantFault):
    """The server's worker is killed, and a fresh one comes at once."""

    carrier = "supervisor"
    comes_at_a_time = True
    takes = frozenset({"worker", "collector"})

    fault: Literal["restart"] = Field(description="The worker is killed and at once replaced by a fresh one.")
    target: ServerTarget = Field(description=SERVERS_TARGETED)


class Gc(InstantFault):
    """A real collection of Python's garbage collector over a large graph of objects."""

    carrier = "supervisor"
    comes_at_a_time = True
    takes = frozenset({"collector"})
    hedges_are_unknown = True

    fault: Literal["gc"] = Field(description="The worker collects garbage over a large graph of live objects.")
    target: NodeTarget = Field(description=NODES_TARGETED)
    objects: Annotated[Whole, Field(ge=1, le=20_000_000)] = Field(
        default=1_000_000, description="Objects that the worker carries and the collection visits."
    )

    @model_validator(mode="after")
    def _has_a_time(self) -> Gc:
        if not {"at_ns", "every_ns"} & self.model_fields_set:
            raise ValueError("a collection needs a time; write at: 1s, or every: 2s")
        return self

    def carrier_at(self, node: str) -> Carrier:
        """The client's worker lasts for one block, and has the times from its beginning."""
        return "client" if node == CLIENT else self.carrier


class CpuStress(LastingFault):
    """Burners that compete for the processor."""

    carrier = "supervisor"
    needs = frozenset({"burners"})
    hedges_are_unknown = True
    threat = (
        "One set of CPUs for all",
        "Burners beside one node take CPU time from every node of this host, the servers and the kernel's own "
        "threads included.",
    )

    fault: Literal["cpu-stress"] = Field(description="Processes that do nothing but compute.")
    target: AnyTarget = Field(
        description=TARGET.format("client, server-0, …, servers, or everything (client and servers)")
    )
    per_core: Annotated[Whole, Field(ge=1, le=16)] = Field(default=1, description="Burners for each core.")


class CpuQuota(LastingFault):
    """The node may use only a share of a processor (cgroup)."""

    carrier = "orchestrator"
    takes = frozenset({"quota"})
    hedges_are_unknown = True

    fault: Literal["cpu-quota"] = Field(description="The node's processor time is limited.")
    target: NodeTarget = Field(description=NODES_TARGETED)
    percent: ProcessorPercent = Field(description="Percent of one processor.", examples=[50])


class Slow(LastingFault):
    """The server takes longer for every request."""

    carrier = "server"

    fault: Literal["slow"] = Field(description="Service times are multiplied.")
    target: ServerTarget = Field(description=SERVERS_TARGETED)
    factor: Annotated[Real, Field(gt=1, le=10_000)] = Field(
        description="What service times are multiplied by.", examples=[5]
    )

    def chance_late(self, deadline: Deadline, remaining_ns: float) -> float:  # noqa: ARG002 (one is as slow as another)
        return deadline.chance_missed(self.factor)


class ServiceStall(LastingFault):
    """The server holds chosen answers back."""

    carrier = "server"

    fault: Literal["stall"] = Field(description="Chosen answers are held back beyond their service time.")
    target: ServerTarget = Field(description=SERVERS_TARGETED)
    when: Condition = Field(description=WHEN, examples=["id % 100 < 2"])
    delay_ns: Annotated[Duration, AfterValidator(between_ns(1, MINUTE_NS))] = Field(
        alias="delay", description="How long an answer is held back."
    )

    @property
    def condition(self) -> Expression:
        return self.when

    @property
    def held_back_ns(self) -> int:
        return self.delay_ns

    def chance_late(self, deadline: Deadline, remaining_ns: float) -> float:  # noqa: ARG002 (one is held as another)
        return float(deadline.is_missed_when_held(self.delay_ns))


class DropRequests(LastingFault):
    """The server ignores chosen requests."""

    carrier = "server"

    fault: Literal["drop-requests"] = Field(description="The server ignores copies of chosen requests.")
    target: ServerTarget = Field(description=SERVERS_TARGETED)
    when: Condition = Field(default=parse("id >= 0"), description=WHEN, examples=["id % 100 < 2"])

    @property
    def condition(self) -> Expression:
        return self.when

    def chance_late(self, deadline: Deadline, remaining_ns: float) -> float:  # noqa: ARG002 (all are)
        return 1.0


ProcessFault = Pause | Freeze | Kill | Restart | Gc
CpuFault = CpuStress | CpuQuota
ServiceFault = Slow | ServiceStall | DropRequests

Fault = Annotated[ProcessFault | CpuFault | ServiceFault | NetworkFault, Field(discriminator="fault")]
#: Every kind, in the order in which the documentation has them.
FAULT_KINDS: tuple[type[Section], ...] = get_args(get_args(Fault)[0])


def targets_of(fault: Fault, replicas: int) -> tuple[str, ...]:
    """The names of the nodes that `fault` is injected into, in a topology of `replicas` servers."""
    servers = tuple(map(server_name, range(replicas)))
    return {SERVERS: servers, EVERYTHING: (CLIENT, *servers)}.get(fault.target, (fault.target,))


def has_times(fault: Fault) -> bool:
    """Whether `fault` comes and goes within a block, so that only a schedule of sends makes it the same for all."""
    return fault.comes_at_a_time or bool(fault.at_ns or fault.duration_ns or fault.every_ns or fault.jitter_ns)
