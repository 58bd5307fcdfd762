"""The faults of a scenario: what happens to which node, and when; one model a kind, told apart by the key `fault`.

Every model has the same attributes for its times (`at_ns`, `duration_ns`, `every_ns`, `jitter_ns`) and its `target`,
so that a timeline can be made without knowing the kinds. What must hold between a fault and the rest of its scenario
is in `fault_checks`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue, model_validator

from hedgerow_node.expression import parse
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

CLIENT, SERVERS, EVERYTHING = "client", "servers", "everything"
_SERVER = re.compile(r"server-(0|[1-9]\d?)")

Duration0 = Annotated[Duration, AfterValidator(between_ns(0, 60 * MINUTE_NS))]
Lasting = Annotated[Duration, AfterValidator(between_ns(NS_PER_MS, 60 * MINUTE_NS)), Field(examples=["400ms"])]
Hold = Annotated[Duration, AfterValidator(between_ns(100 * NS_PER_US, MINUTE_NS))]

Direction = Literal["requests", "responses", "both"]
NetworkModel = Literal["ebpf", "netem"]

_LASTS = "How long each occurrence lasts"
_DIRECTION = "Which copies it strikes, seen from the client"
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
_TARGET = "The node that it strikes: {}."
_SERVERS = _TARGET.format("server-0, server-1, …, or servers for all of them")
_NODES = _TARGET.format("client, server-0, server-1, …, or servers for all of them")


class _Fault(Section):
    """When something happens, counted from the block's first measured send."""

    fault: str = Field(description="What happens.")
    target: str = Field(description="The node that it strikes.")
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


class _Instant(_Fault):
    """A fault that happens and is over."""

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

    fault: Literal["pause"] = Field(description="The worker process is stopped and continued.")
    target: NodeTarget = Field(description=_NODES)


class Freeze(_Spell):
    """The whole node stands still: cgroup freezer, or docker pause."""

    fault: Literal["freeze"] = Field(description="Every process of the node is frozen and thawed.")
    target: NodeTarget = Field(description=_NODES)


class Kill(_Lasting):
    """The server's worker is killed; a fresh one comes when the duration is over, or for the next block."""

    fault: Literal["kill"] = Field(description="The worker is killed; after the duration a fresh one comes.")
    target: ServerTarget = Field(description=_SERVERS)


class Restart(_Instant):
    """The server's worker is killed, and a fresh one comes at once."""

    fault: Literal["restart"] = Field(description="The worker is killed and at once replaced by a fresh one.")
    target: ServerTarget = Field(description=_SERVERS)


class Gc(_Instant):
    """A real collection of Python's garbage collector over a large graph of objects."""

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


class CpuStress(_Lasting):
    """Burners that compete for the processor."""

    fault: Literal["cpu-stress"] = Field(description="Processes that do nothing but compute.")
    target: AnyTarget = Field(
        description=_TARGET.format("client, server-0, …, servers, or everything (client and servers)")
    )
    per_core: Annotated[Whole, Field(ge=1, le=16)] = Field(default=1, description="Burners for each core.")


class CpuQuota(_Lasting):
    """The node may use only a share of a processor (cgroup)."""

    fault: Literal["cpu-quota"] = Field(description="The node's processor time is limited.")
    target: NodeTarget = Field(description=_NODES)
    percent: ProcessorPercent = Field(description="Percent of one processor.", examples=[50])


class Slow(_Lasting):
    """The server takes longer for every request."""

    fault: Literal["slow"] = Field(description="Service times are multiplied.")
    target: ServerTarget = Field(description=_SERVERS)
    factor: Annotated[Real, Field(gt=1, le=10_000)] = Field(
        description="What service times are multiplied by.", examples=[5]
    )


class ServiceStall(_Lasting):
    """The server holds chosen answers back."""

    fault: Literal["stall"] = Field(description="Chosen answers are held back beyond their service time.")
    target: ServerTarget = Field(description=_SERVERS)
    when: Condition = Field(description=WHEN, examples=["id % 100 < 2"])
    delay_ns: Annotated[Duration, AfterValidator(between_ns(1, MINUTE_NS))] = Field(
        alias="delay", description="How long an answer is held back."
    )


class DropRequests(_Lasting):
    """The server ignores chosen requests."""

    fault: Literal["drop-requests"] = Field(description="The server ignores copies of chosen requests.")
    target: ServerTarget = Field(description=_SERVERS)
    when: Condition = Field(default=parse("id >= 0"), description=WHEN, examples=["id % 100 < 2"])


class _Network(_Lasting):
    """A fault between the client and servers, carried out at the client's interface."""

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


class _BothWays(_Network):
    """A fault that strikes both directions unless told otherwise."""

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

    fault: Literal["loss"] = Field(description="Copies are lost on the way, silently.")
    percent: Percent = Field(description=_PERCENT, examples=[2])


class Partition(_BothWays):
    """Every copy is lost."""

    fault: Literal["partition"] = Field(description="Nothing gets through.")


class Duplicate(_Network):
    """Copies arrive twice."""

    fault: Literal["duplicate"] = Field(description="Copies are repeated by the network.")
    percent: Percent = Field(description=_PERCENT, examples=[2])


class Corrupt(_Network):
    """Copies arrive damaged, so that the receiver's checksum refuses them."""

    fault: Literal["corrupt"] = Field(description="A bit of a copy is flipped on the way.")
    percent: Percent = Field(description=_PERCENT, examples=[2])


class Delay(_Network):
    """Copies arrive late."""

    fault: Literal["delay"] = Field(description="Copies are held back on the way.")
    percent: Percent = Field(default=100.0, description=_PERCENT)
    delay_ns: Hold = Field(alias="delay", description="How long a copy is held back.")

    @model_validator(mode="after")
    def _netem_delays_everything(self) -> Delay:
        if self.model == "netem" and self.percent != 100:
            raise ValueError("netem delays every copy; write percent: 100, or model: ebpf")
        return self


class _NetemOnly(_Lasting):
    """A fault that only netem knows."""

    target: ServerTarget = Field(description=_SERVERS)
    direction: Literal["requests"] = Field(default="requests", description="netem acts on requests only.")
    model: Literal["netem"] = Field(default="netem", description="Only the kernel's netem qdisc does this.")


class Reorder(_NetemOnly):
    """Some copies overtake the others, which are held back."""

    fault: Literal["reorder"] = Field(description="Chosen copies go at once, the others are held back.")
    percent: Percent = Field(description="Chance for each copy to overtake.", examples=[2])
    delay_ns: Hold = Field(alias="delay", description="How long the other copies are held back.")


class RateLimit(_NetemOnly):
    """The way to a server is narrow."""

    fault: Literal["rate"] = Field(description="Bandwidth is limited.")
    rate_bit_per_s: Annotated[BitRate, Field(ge=1_000)] = Field(
        alias="rate", description="Bandwidth of the way to the server."
    )


ProcessFault = Pause | Freeze | Kill | Restart | Gc
CpuFault = CpuStress | CpuQuota
ServiceFault = Slow | ServiceStall | DropRequests
NetworkFault = Loss | Duplicate | Corrupt | Delay | Partition | Reorder | RateLimit

Fault = Annotated[ProcessFault | CpuFault | ServiceFault | NetworkFault, Field(discriminator="fault")]


def targets_of(fault: Fault, replicas: int) -> tuple[str, ...]:
    """The names of the nodes that `fault` strikes in a topology of `replicas` servers."""
    servers = tuple(f"server-{replica}" for replica in range(replicas))
    return {SERVERS: servers, EVERYTHING: (CLIENT, *servers)}.get(fault.target, (fault.target,))


def has_times(fault: Fault) -> bool:
    """Whether `fault` comes and goes within a block, so that only a schedule of sends makes it the same for all."""
    always = isinstance(fault, ProcessFault)
    return always or bool(fault.at_ns or fault.duration_ns or fault.every_ns or fault.jitter_ns)
