"""What all faults of a scenario have in common: their times, their targets, and what is true of a kind as such.

What is true of a kind whatever a scenario says stands on its class: who injects it (`carrier`), what it cannot share
a node with (`takes`, `needs`), what it does to requests (`chance_late`), what its figures must not be taken for
(`threat`).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, JsonValue

from hedgerow_node.protocol.limits import CLIENT
from hedgerow_node.units import NS_PER_MS
from orchestrator.scenario.fields import MINUTE_NS, Duration, Section, between_ns

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic.fields import FieldInfo

    from hedgerow_node.expression import Expression

SERVERS, EVERYTHING = "servers", "everything"
_SERVER = re.compile(r"server-(0|[1-9]\d?)")

Duration0 = Annotated[Duration, AfterValidator(between_ns(0, 60 * MINUTE_NS))]
Lasting = Annotated[Duration, AfterValidator(between_ns(NS_PER_MS, 60 * MINUTE_NS)), Field(examples=["400ms"])]


NEVER = 1e-9  #: what is less likely does not happen by chance


_LASTS = "How long each occurrence lasts"


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
TARGET = "The node that it is injected into: {}."
SERVERS_TARGETED = TARGET.format("server-0, server-1, …, or servers for all of them")
NODES_TARGETED = TARGET.format("client, server-0, server-1, …, or servers for all of them")


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


class FaultModel(Section):
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

    @property
    def chance_silenced(self) -> float:
        """The chance that a request which it affects is never answered at all; at most, where it is not known."""
        return 1.0

    def conflicts_with(self, other: FaultModel) -> bool:
        """Whether a node cannot bear both at the same time."""
        return bool(self.takes & (other.takes | other.needs) or other.takes & self.needs)


class InstantFault(FaultModel):
    """A fault that happens and is over."""

    is_instant = True

    @property
    def duration_ns(self) -> None:
        """It has none."""
        return


class BoundedFault(FaultModel):
    """A fault that must end."""

    duration_ns: Lasting = Field(alias="duration", description=f"{_LASTS}.")


class LastingFault(FaultModel):
    """A fault that may last to the end of the block."""

    duration_ns: Lasting | None = Field(
        default=None, alias="duration", description=f"{_LASTS}; to the end of the block if left out."
    )
