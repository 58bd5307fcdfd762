"""Faults between the client and servers, injected at the client's interface: by the hedger's programs or by netem."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from hedgerow_node.units import NS_PER_US
from orchestrator.scenario.fault_base import SERVERS_TARGETED, Carrier, Deadline, LastingFault, ServerTarget
from orchestrator.scenario.fields import MINUTE_NS, BitRate, Duration, Percent, between_ns

Hold = Annotated[Duration, AfterValidator(between_ns(100 * NS_PER_US, MINUTE_NS))]
Direction = Literal["requests", "responses", "both"]
NetworkModel = Literal["ebpf", "netem"]

_DIRECTION = "Which copies it affects, seen from the client"
_NETWORK_MODEL = "ebpf: drawn by request id and copy, the same under every strategy; netem: the kernel's own qdisc."
_PERCENT = "Chance for each copy."


class _Network(LastingFault):
    """A fault between the client and servers, carried out at the client's interface."""

    carrier = "hedger"

    target: ServerTarget = Field(description=SERVERS_TARGETED)
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

    @property
    def chance_silenced(self) -> float:
        return _any_of(self.percent / 100, len(self.directions))

    def chance_late(self, deadline: Deadline, remaining_ns: float) -> float:  # noqa: ARG002 (one is lost as another)
        return self.chance_silenced


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

    @property
    def chance_silenced(self) -> float:
        return 0.0


class Corrupt(_Network):
    """Copies arrive damaged, so that the receiver's checksum refuses them."""

    netem_options = frozenset({"corrupt"})

    fault: Literal["corrupt"] = Field(description="A bit of a copy is flipped on the way.")
    percent: Percent = Field(description=_PERCENT, examples=[2])

    @property
    def chance_percent(self) -> float:
        return self.percent

    @property
    def chance_silenced(self) -> float:
        return _any_of(self.percent / 100, len(self.directions))

    def chance_late(self, deadline: Deadline, remaining_ns: float) -> float:  # noqa: ARG002 (one is lost as another)
        return self.chance_silenced


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


class _NetemOnly(LastingFault):
    """A fault that only netem knows."""

    carrier = "netem"

    target: ServerTarget = Field(description=SERVERS_TARGETED)
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


NetworkFault = Loss | Duplicate | Corrupt | Delay | Partition | Reorder | RateLimit


def _any_of(chance: float, ways: int) -> float:
    return 1 - (1 - chance) ** ways
