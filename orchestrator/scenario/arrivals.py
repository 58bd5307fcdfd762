"""When requests are sent: each after the last answer (closed), or on a schedule that waits for nothing (open)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from hedgerow_node.units import NS_PER_MS, NS_PER_S
from orchestrator.scenario.quantities import Duration, Rate, Whole, between_ns
from orchestrator.scenario.section import MINUTE_NS, Section

Users = Annotated[Whole, Field(ge=1, le=1024)]


class ClosedArrivals(Section):
    """Users that send, wait for the answer or the time-out, think, and send again."""

    mode: Literal["closed"] = Field(
        default="closed", description="closed: the next request waits for the last answer."
    )
    users: Users = Field(default=1, description="Users, a socket each.")
    think_ns: Annotated[Duration, AfterValidator(between_ns(0, MINUTE_NS))] = Field(
        default=NS_PER_MS, alias="think", description="Pause between an answer (or time-out) and the next request."
    )


class OpenArrivals(Section):
    """Requests sent on a schedule drawn before the block begins; an answer that is late delays none of them."""

    mode: Literal["open"] = Field(description="open: requests are sent on a schedule and wait for no answer.")
    rate_per_s: Annotated[Rate, Field(ge=0.1, le=1_000_000)] = Field(
        alias="rate", description="Mean rate of requests, in a block and in its warm-up."
    )
    process: Literal["poisson", "constant"] = Field(
        default="poisson",
        description="poisson: exponential gaps, drawn from the seed; constant: the same gap always.",
    )
    users: Users = Field(default=1, description="Sockets; request i of a block goes through socket i % users.")

    def nominal_ns(self, count: int) -> int:
        """How long `count` requests take at the mean rate, ns."""
        return round(count * NS_PER_S / self.rate_per_s)


def _mode(value: Any) -> str:
    """Which of the two is meant: closed where nothing says so, and where what is written is no mapping at all."""
    return str(value.get("mode", "closed") if isinstance(value, dict) else getattr(value, "mode", "closed"))


Arrivals = Annotated[
    Annotated[ClosedArrivals, Tag("closed")] | Annotated[OpenArrivals, Tag("open")], Discriminator(_mode)
]
