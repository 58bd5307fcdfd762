"""The faults of a scenario: what happens to which node, and when; one model a kind, distinguished by the key `fault`.

Every model has the same attributes for its times (`at_ns`, `duration_ns`, `every_ns`, `jitter_ns`) and its `target`,
so that a timeline can be made without knowing the kinds. What is true of a kind whatever a scenario says stands on
its class: who injects it (`carrier`), what it cannot share a node with (`takes`, `needs`), what it does to requests
(`chance_late`), what its figures must not be taken for (`threat`). What must hold between a fault and the rest of its
scenario is in `fault_checks`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, get_args

from pydantic import AfterValidator, Field, JsonValue, model_validator

from hedgerow_node.expression import Expression, parse
from hedgerow_node.protocol.limits import CLIENT, server_name
from hedgerow_node.units import NS_PER_MS, NS_PER_US
from orchestrator.scenario.fields import (
    MINUTE_NS,
    WHEN,
    BitRate,
    Condition,
    Duration,
    Percent,
    ProcessorPercent,
    Real,
    Section,
    Whole,
    between_ns,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic.fields import FieldInfo

SERVERS, EVERYTHING = "servers", "everything"
_SERVER = re.compile(r"server-(0|[1-9]\d?)")

Duration0 = Annotated[Duration, AfterValidator(between_ns(0, 60 * MINUTE_NS))]
Lasting = Annotated[Duration, AfterValidator(between_ns(NS_PER_MS, 60 * MINUTE_NS)), Field(examples=["400ms"])]
Hold = Annotated[Duration, AfterValidator(between_ns(100 * NS_PER_US, MINUTE_NS))]

Direction = Literal["requests", "responses", "both"]
NetworkModel = Literal["ebpf", "netem"]

_LASTS = "How long each occurrence lasts"
_DIRECTION = "Which copies it affects, seen from the client"
_NETWORK_MODEL = "ebpf: drawn by request id and copy, the same under every strategy; netem: the kernel's own qdisc."
_PERCENT = "Chance for each copy."


def _target(*named: str) -> Callable[[str], str]:
    """A validator for targets: one of `named`, or a single server."""

    def check(value: str) -> str:
        if value not in named and not _SERVER.fullmatch(value):
            raise ValueError(f"{value!r} cannot be its target; write {', '.join(named)} or a server, e.g. server-0")
        return value

    return check


def _one_of(*named: str) -> FieldInfo:
    """What the JSON Schema says of such a target."""
    pattern: dict[str, JsonValue] = {"pattern": f"^({'|'.join(named)}|{_SERVER.pattern})$"}
    field: FieldInfo = Field(json_schema_extra=pattern, examples=["server-0"])
    return field


#: A server, or all of them.
ServerTarget = Annotated[str, AfterValidator(_target(SERVERS)), _one_of(SERVERS)]
#: The client, a server, or all servers.
NodeTarget = Annotated[
    str,
    AfterValidator(_target(CLIENT, SERVERS)),
    _one_of(CLIENT, SERVERS),
]
#: Any node, or the client and all servers.
AnyTarget = Annotated[
    str,
    AfterValidator(_target(CLIENT, SERVERS, EVERYTHING)),
    _one_of(CLIENT, SERVERS, EVERYTHING),
]
_TARGET = "The node that it is injected into: {}."
_SERVERS = _TARGET.format("server-0, server-1, …, or servers for all of them")
_NODES = _TARGET.format("client, server-0, server-1, …, or servers for all of them")


#: Who injects a fault: the node's own supervisor, the orchestrator from outside, the server's service itself, the
#: hedger's programs, netem at the client's interface, or the client's worker.
Carrier = Literal["supervisor", "orchestrator", "server", "hedger", "netem", "client"]

#: What a fault may take from a node, or need of it: its worker that runs, its collector of garbage, its burners, its
#: share of the processors.
Part = Literal["worker", "collector", "burners", "quota"]


@dataclass(frozen=True)
class Deadline:
    """What a request has to answer in before it is hedged: `delay_ns`, of a service time of that distribution."""

    delay_ns: int
    median_ns: int
    sigma: float

    def is_missed_when_held(self, held_ns: int) -> bool:
        """Whether a request that is held back for so long is late."""
        return held_ns + self.median_ns > self.delay_ns

    def chance_missed(self, factor: float) -> float:
        """The share of requests that are late by their service time, times `factor`."""
        if self.sigma:
            return 1 - NormalDist().cdf(math.log(self.delay_ns / (factor * self.median_ns)) / self.sigma)
        return float(factor * self.median_ns > self.delay_ns)


class _Fault(Section):
    """When something happens, counted from the block's first measured send."""

    carrier: ClassVar[Carrier]
    is_instant: ClassVar[bool] = False  #: whether it is over at once, and ends by itself
    comes_at_a_time: ClassVar[bool] = False  #: whether it does even where no times are given
    #: While it is on no other fault may take, or need, these parts of the node: each would be undone by the other, or
    #: keep it from happening, so that it could never be proven.
    takes: ClassVar[frozenset[Part]] = frozenset()
    needs: ClassVar[frozenset[Part]] = frozenset()
    hedges_are_unknown: ClassVar[bool] = False  #: whether only a run can tell how many hedges it causes
    #: What it sets of the qdisc netem where netem injects it; no two faults can set the same at the same time. Beside
    #: a partition, a loss has no effect.
    netem_options: ClassVar[frozenset[str]] = frozenset()
    threat: ClassVar[tuple[str, str] | None] = None  #: to validity: a heading, and what it means for the figures

    fault: str = Field(description="What happens.")
    target: str = Field(description="The node that it is injected into.")
    at_ns: Duration0 = Field(
        default=0, alias="at", description="First occurrence, counted from the block's first measured send."
    )
    every_ns: Lasting | None = Field(
        default=None, alias="every", description="Time from one occurrence to the next; only one if left out."
    )
    jitter_ns: Duration0 = Field(
        default=0,
        alias="jitter",
        description="Each occurrence comes later by a time drawn between 0 and this from workload.seed.",
    )

    @property
    def directions(self) -> tuple[Literal["requests", "responses"], ...]:
        """Which copies it affects, one direction at a time; none unless it is one of the network."""
        return ()

    def carrier_at(self, node: str) -> Carrier:  # noqa: ARG002 (one that depends on the node says so)
        """Who injects it into that node."""
        return self.carrier

    @property
    def condition(self) -> Expression | None:
        """Which requests it is meant for, by id; None for all."""
        return None

    @property
    def held_back_ns(self) -> int:
        """How long a response may come after the last request, as the block has to wait for it."""
        return 0

    def chance_late(self, deadline: Deadline, remaining_ns: float) -> float:  # noqa: ARG002 (0 unless it is known)
        """The chance that a request is late which it affects, and which is sent `remaining_ns` before it ends.

        Only what a scenario says for certain is counted; it never grows as less time remains.
        """
        return 0.0

    def conflicts_with(self, other: _Fault) -> bool:
        """Whether a node cannot bear both at the same time."""
        return bool(self.takes & (other.takes | other.needs) or other.takes & self.needs)


class _Instant(_Fault):
    """A fault that happens and is over."""

    is_instant = True

    @property
    def duration_ns(self) -> None:
        """It has none."""
        return


class _Spell(_Fault):
    """A fault that must end."""

    duration_ns: Lasting = Field(alias="duration", description=f"{_LASTS}.")


class _Lasting(_Fault):
    """A fault that may last to the end of the block."""

    duration_ns: Lasting | None = Field(
        default=None, alias="duration", description=f"{_LASTS}; to the end of the block if left out."
    )


class Pause(_Spell):
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
    target: NodeTarget = Field(description=_NODES)

    def chance_late(self, deadline: Deadline, remaining_ns: float) -> float:
        return float(remaining_ns > deadline.delay_ns)


class Freeze(_Spell):
    """The whole node stands still: cgroup freezer, or docker pause."""

    carrier = "orchestrator"
    comes_at_a_time = True
    takes = frozenset({"worker", "collector", "burners"})

    fault: Literal["freeze"] = Field(description="Every process of the node is frozen and thawed.")
    target: NodeTarget = Field(description=_NODES)

    def chance_late(self, deadline: Deadline, remaining_ns: float) -> float:
        return float(remaining_ns > deadline.delay_ns)


class Kill(_Lasting):
    """The server's worker is killed; a fresh one comes when the duration is over, or for the next block."""

    carrier = "supervisor"
    comes_at_a_time = True
    takes = frozenset({"worker", "collector"})

    fault: Literal["kill"] = Field(description="The worker is killed; after the duration a fresh one comes.")
    target: ServerTarget = Field(description=_SERVERS)

    def chance_late(self, deadline: Deadline, remaining_ns: float) -> float:  # noqa: ARG002 (all are)
        return 1.0


class Restart(_Instant):
    """The server's worker is killed, and a fresh one comes at once."""

    carrier = "supervisor"
    comes_at_a_time = True
    takes = frozenset({"worker", "collector"})

    fault: Literal["restart"] = Field(description="The worker is killed and at once replaced by a fresh one.")
    target: ServerTarget = Field(description=_SERVERS)


class Gc(_Instant):
    """A real collection of Python's garbage collector over a large graph of objects."""

    carrier = "supervisor"
    comes_at_a_time = True
    takes = frozenset({"collector"})
    hedges_are_unknown = True

    fault: Literal["gc"] = Field(description="The worker collects garbage over a large graph of live objects.")
    target: NodeTarget = Field(description=_NODES)
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


class CpuStress(_Lasting):
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
        description=_TARGET.format("client, server-0, …, servers, or everything (client and servers)")
    )
    per_core: Annotated[Whole, Field(ge=1, le=16)] = Field(default=1, description="Burners for each core.")


class CpuQuota(_Lasting):
    """The node may use only a share of a processor (cgroup)."""

    carrier = "orchestrator"
    takes = frozenset({"quota"})
    hedges_are_unknown = True

    fault: Literal["cpu-quota"] = Field(description="The node's processor time is limited.")
    target: NodeTarget = Field(description=_NODES)
    percent: ProcessorPercent = Field(description="Percent of one processor.", examples=[50])


class Slow(_Lasting):
    """The server takes longer for every request."""

    carrier = "server"

    fault: Literal["slow"] = Field(description="Service times are multiplied.")
    target: ServerTarget = Field(description=_SERVERS)
    factor: Annotated[Real, Field(gt=1, le=10_000)] = Field(
        description="What service times are multiplied by.", examples=[5]
    )

    def chance_late(self, deadline: Deadline, remaining_ns: float) -> float:  # noqa: ARG002 (one is as slow as another)
        return deadline.chance_missed(self.factor)


class ServiceStall(_Lasting):
    """The server holds chosen answers back."""

    carrier = "server"

    fault: Literal["stall"] = Field(description="Chosen answers are held back beyond their service time.")
    target: ServerTarget = Field(description=_SERVERS)
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


class DropRequests(_Lasting):
    """The server ignores chosen requests."""

    carrier = "server"

    fault: Literal["drop-requests"] = Field(description="The server ignores copies of chosen requests.")
    target: ServerTarget = Field(description=_SERVERS)
    when: Condition = Field(default=parse("id >= 0"), description=WHEN, examples=["id % 100 < 2"])

    @property
    def condition(self) -> Expression:
        return self.when

    def chance_late(self, deadline: Deadline, remaining_ns: float) -> float:  # noqa: ARG002 (all are)
        return 1.0


class _Network(_Lasting):
    """A fault between the client and servers, carried out at the client's interface."""

    carrier = "hedger"

    target: ServerTarget = Field(description=_SERVERS)
    direction: Direction = Field(
        default="requests", description=f"{_DIRECTION}; requests if left out. netem acts on requests only."
    )
    model: NetworkModel = Field(default="ebpf", description=_NETWORK_MODEL)

    @model_validator(mode="after")
    def _netem_acts_on_requests(self) -> _Network:
        if self.model == "netem" and self.direction != "requests":
            raise ValueError(f"netem cannot act on {self.direction}; write direction: requests, or model: ebpf")
        return self

    def carrier_at(self, node: str) -> Carrier:  # noqa: ARG002 (the same for all servers)
        return "netem" if self.model == "netem" else self.carrier

    @property
    def directions(self) -> tuple[Literal["requests", "responses"], ...]:
        return ("requests", "responses") if self.direction == "both" else (self.direction,)

    @property
    def chance_percent(self) -> float:
        """The chance of each copy to be affected."""
        return 100.0


class _BothWays(_Network):
    """A fault in both directions unless the scenario says otherwise."""

    direction: Direction = Field(
        default="both", description=f"{_DIRECTION}; both if left out, requests with model: netem."
    )

    @model_validator(mode="before")
    @classmethod
    def _netem_means_requests(cls, value: object) -> object:
        if isinstance(value, dict) and value.get("model") == "netem":
            return {"direction": "requests", **value}
        return value


class Loss(_BothWays):
    """Copies are lost."""

    netem_options = frozenset({"loss"})

    fault: Literal["loss"] = Field(description="Copies are lost on the way, silently.")
    percent: Percent = Field(description=_PERCENT, examples=[2])

    @property
    def chance_percent(self) -> float:
        return self.percent

    def chance_late(self, deadline: Deadline, remaining_ns: float) -> float:  # noqa: ARG002 (one is lost as another)
        return _any_of(self.percent / 100, len(self.directions))


class Partition(_BothWays):
    """Every copy is lost."""

    netem_options = frozenset({"partition"})

    fault: Literal["partition"] = Field(description="Nothing gets through.")

    def chance_late(self, deadline: Deadline, remaining_ns: float) -> float:  # noqa: ARG002 (all are)
        return 1.0


class Duplicate(_Network):
    """Copies arrive twice."""

    netem_options = frozenset({"duplicate"})

    fault: Literal["duplicate"] = Field(description="Copies are repeated by the network.")
    percent: Percent = Field(description=_PERCENT, examples=[2])

    @property
    def chance_percent(self) -> float:
        return self.percent


class Corrupt(_Network):
    """Copies arrive damaged, so that the receiver's checksum refuses them."""

    netem_options = frozenset({"corrupt"})

    fault: Literal["corrupt"] = Field(description="A bit of a copy is flipped on the way.")
    percent: Percent = Field(description=_PERCENT, examples=[2])

    @property
    def chance_percent(self) -> float:
        return self.percent

    def chance_late(self, deadline: Deadline, remaining_ns: float) -> float:  # noqa: ARG002 (one is lost as another)
        return _any_of(self.percent / 100, len(self.directions))


class Delay(_Network):
    """Copies arrive late."""

    netem_options = frozenset({"delay"})

    fault: Literal["delay"] = Field(description="Copies are held back on the way.")
    percent: Percent = Field(default=100.0, description=_PERCENT)
    delay_ns: Hold = Field(alias="delay", description="How long a copy is held back.")

    @model_validator(mode="after")
    def _netem_delays_everything(self) -> Delay:
        if self.model == "netem" and self.percent != 100:
            raise ValueError("netem delays every copy; write percent: 100, or model: ebpf")
        return self

    @property
    def chance_percent(self) -> float:
        return self.percent

    @property
    def held_back_ns(self) -> int:
        return self.delay_ns

    def chance_late(self, deadline: Deadline, remaining_ns: float) -> float:  # noqa: ARG002 (one is held as another)
        ways = len(self.directions)
        held_ns = ways * self.delay_ns if self.percent == 100 else self.delay_ns
        return _any_of(self.percent / 100, ways) * deadline.is_missed_when_held(held_ns)


class _NetemOnly(_Lasting):
    """A fault that only netem knows."""

    carrier = "netem"

    target: ServerTarget = Field(description=_SERVERS)
    direction: Literal["requests"] = Field(default="requests", description="netem acts on requests only.")
    model: Literal["netem"] = Field(default="netem", description="Only the kernel's netem qdisc does this.")

    @property
    def chance_percent(self) -> float:
        """The chance of each copy to be affected."""
        return 100.0


class Reorder(_NetemOnly):
    """Some copies overtake the others, which are held back."""

    netem_options = frozenset({"delay", "reorder"})

    fault: Literal["reorder"] = Field(description="Chosen copies go at once, the others are held back.")
    percent: Percent = Field(description="Chance for each copy to overtake.", examples=[2])
    delay_ns: Hold = Field(alias="delay", description="How long the other copies are held back.")

    @property
    def chance_percent(self) -> float:
        return self.percent

    def chance_late(self, deadline: Deadline, remaining_ns: float) -> float:  # noqa: ARG002 (one is held as another)
        return (1 - self.percent / 100) * deadline.is_missed_when_held(self.delay_ns)


class RateLimit(_NetemOnly):
    """The way to a server is narrow."""

    netem_options = frozenset({"rate"})
    hedges_are_unknown = True

    fault: Literal["rate"] = Field(description="Bandwidth is limited.")
    rate_bit_per_s: Annotated[BitRate, Field(ge=1_000)] = Field(
        alias="rate", description="Bandwidth of the way to the server."
    )


ProcessFault = Pause | Freeze | Kill | Restart | Gc
CpuFault = CpuStress | CpuQuota
ServiceFault = Slow | ServiceStall | DropRequests
NetworkFault = Loss | Duplicate | Corrupt | Delay | Partition | Reorder | RateLimit

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


def _any_of(chance: float, ways: int) -> float:
    return 1 - (1 - chance) ** ways
