"""The keys that a scenario may have, what they mean, and what they are when left out.

This is the reference: `orchestrator schema` prints it as JSON Schema. Keys are the contract's names; attributes that
hold a time say so in their name (`think` → `think_ns`). Relations between keys are in `checks`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)

from hedgerow_node.lanes import MAX_DELAY_NS, MIN_DELAY_NS
from hedgerow_node.records import FIRST_WARMUP_ID
from hedgerow_node.strategies import STRATEGY_NAMES, strategy_named
from hedgerow_node.units import NS_PER_MS, NS_PER_S, format_duration
from orchestrator.claims.grammar import ClaimError, Comparison, parse_claim
from orchestrator.scenario.faults import Fault
from orchestrator.scenario.fields import (
    MINUTE_NS,
    WHEN,
    Condition,
    Duration,
    Percent,
    Rate,
    Real,
    Section,
    Whole,
    Workers,
    between_ns,
    parsed_by,
)

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

    from orchestrator.scenario.document import Plain

if TYPE_CHECKING:
    Strategy = str
else:  # what the table says; only pydantic reads it
    Strategy = Literal[STRATEGY_NAMES]

#: Requests must fit one packet: a fragment has no UDP header, so the kernel could not tell whose it is.
MAX_PAYLOAD = 1400
#: After the response id the server writes two bytes: which copy this answers, and which replica answers.
COPY_MARK_BYTES = 2
#: Four requests in a row that all take longer than this many sigmas do not happen by chance.
_SLOWEST_SIGMAS = 2
_LEAST_PATIENCE_NS = NS_PER_S


def _expectation(text: str) -> Comparison:
    try:
        return parse_claim(text)
    except ClaimError as error:
        raise ValueError(f"{text!r}: {error}") from error


def _without_nulls(value: Plain) -> Plain:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


class Topology(Section):
    """Which nodes there are, and where the hedger sits."""

    replicas: Annotated[Whole, Field(ge=1, le=16)] = Field(default=1, description="Number of server replicas.")
    placement: Literal["sidecar"] = Field(
        default="sidecar", description="Where the hedger attaches: sidecar, in the client's own network namespace."
    )


class ServiceTime(Section):
    """How long the server works on a request: a duration, or a distribution seeded by request id."""

    distribution: Literal["constant", "lognormal"] = Field(
        default="constant", description="constant: always the median; lognormal: drawn for each copy of each id."
    )
    median_ns: Annotated[Duration, AfterValidator(between_ns(1, MINUTE_NS))] = Field(
        alias="median", description="Median time that the server takes for a request."
    )
    sigma: Annotated[Real, Field(ge=0, le=3)] = Field(
        default=0.0, description="Standard deviation of the time's natural logarithm; lognormal only."
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        return value if isinstance(value, dict) else {"distribution": "constant", "median": value}

    @model_validator(mode="after")
    def _sigma_belongs_to_lognormal(self) -> ServiceTime:
        if self.distribution == "constant" and self.sigma:
            raise ValueError("a constant service time has no sigma; remove it, or set distribution: lognormal")
        return self

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> object:
        return format_duration(self.median_ns) if self.distribution == "constant" else handler(self)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        mapping = handler.resolve_ref_schema(handler(core_schema))
        short = mapping["properties"]["median"]
        return {"anyOf": [{key: short[key] for key in ("type", "pattern", "examples")}, mapping]}


class Stall(Section):
    """Which requests the server answers late, and by how much."""

    when: Condition = Field(description=WHEN, examples=["id % 100 < 2"])
    duration_ns: Annotated[Duration, AfterValidator(between_ns(1, MINUTE_NS))] = Field(
        alias="duration", description="How long a stalled response is held back beyond its service time."
    )
    heal_on_duplicate: Annotated[bool, Field(strict=True)] = Field(
        default=False,
        description="Whether a second copy of a request, seen within a second of the first, is answered at once.",
    )


class Service(Section):
    """The server and how it behaves."""

    port: Annotated[Whole, Field(ge=1, le=65535)] = Field(default=9000, description="UDP port of the service.")
    service_time: ServiceTime = Field(
        default_factory=lambda: ServiceTime.model_validate("2ms"),
        description="Time the server takes for a request; 2ms if left out.",
    )
    concurrency: Workers = Field(
        default=None,
        description="Requests worked on at once, the others queue first come first served; or unlimited.",
    )
    stall: Stall | None = Field(default=None, description="Deterministic stalls; none if left out.")


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


def _mode(value: object) -> str:
    """Which of the two models to use: closed where the mode is left out, or where there is no mapping at all."""
    return str(value.get("mode", "closed") if isinstance(value, dict) else getattr(value, "mode", "closed"))


Arrivals = Annotated[
    Annotated[ClosedArrivals, Tag("closed")] | Annotated[OpenArrivals, Tag("open")], Discriminator(_mode)
]


class Workload(Section):
    """What the client sends. Measured ids are 0 … requests-1, the same for every strategy."""

    requests: Annotated[Whole, Field(ge=1, le=10_000_000)] = Field(
        description="Measured requests of each strategy, split over its blocks.", examples=[1000]
    )
    warmup: Annotated[Whole, Field(ge=0, le=1_000_000)] = Field(
        default=50, description=f"Unmeasured requests before each block; their ids start at {FIRST_WARMUP_ID}."
    )
    arrivals: Arrivals = Field(
        default_factory=ClosedArrivals, description="When requests are sent; closed arrivals if left out."
    )
    spread: Literal["first", "round-robin"] = Field(
        default="first", description="The replica that a request is sent to: always the first, or id % replicas."
    )
    payload: Annotated[Whole, Field(ge=1, le=MAX_PAYLOAD)] = Field(
        default=64, description="Bytes of a request's and of a response's UDP payload."
    )
    timeout_ns: Annotated[Duration, AfterValidator(between_ns(NS_PER_MS, 10 * MINUTE_NS))] = Field(
        default=NS_PER_S, alias="timeout", description="After this the client gives a request up."
    )
    seed: Annotated[Whole, Field(ge=0, lt=2**63)] = Field(
        default=42, description="Seed of the server's draws, of the send times and of the faults."
    )


class IdField(Section):
    """Where an unsigned big-endian request id lies in the UDP payload."""

    offset: Annotated[Whole, Field(ge=0, lt=MAX_PAYLOAD)] = Field(
        default=0, description="First byte, counted from 0."
    )
    length: Literal[4, 8] = Field(default=4, description="Bytes: 4 or 8.")


class RequestId(Section):
    """How a response is matched to its request."""

    request: IdField = Field(default_factory=IdField, description="The id in a request.")
    response: IdField = Field(
        default_factory=IdField,
        description=f"The id in a response; our server writes {COPY_MARK_BYTES} bytes of its own right after it.",
    )


class CopyId(Section):
    """Where a response says which copy it answers (first byte) and which replica answers (second byte)."""

    offset: Annotated[Whole, Field(ge=0, lt=MAX_PAYLOAD)] = Field(
        description="First byte, counted from 0.", examples=[4]
    )
    length: Literal[1, 2] = Field(default=2, description="1: the copy; 2: the copy and the replica.")


class Budget(Section):
    """A token bucket that bounds how many hedges may be sent."""

    percent: Percent = Field(default=100.0, description="Hedges earned by 100 requests.")
    burst: Annotated[Whole, Field(ge=1, le=1_000_000)] = Field(
        default=100, description="Hedges that may be saved up."
    )


class Hedging(Section):
    """When a second copy is sent, and how."""

    delay_ns: Annotated[Duration, AfterValidator(between_ns(MIN_DELAY_NS, MAX_DELAY_NS))] = Field(
        alias="delay", description="Hedge delay: how long a request may stay unanswered before a second copy is sent."
    )
    max_hedges: Literal[1] = Field(default=1, description="Hedges of one request.")
    budget: Budget = Field(default_factory=Budget, description="Bound on hedges sent by the kernel.")
    target: Literal["same", "other"] = Field(
        default="same", description="Which replica the hedge goes to: that of the request, or another."
    )
    request_id: RequestId = Field(default_factory=RequestId, description="Where requests and responses carry the id.")
    copy_id: CopyId | None = Field(
        default=None, description="Where responses say which copy they answer; if left out, winners are unknown."
    )
    engine: Literal["clone", "queue", "auto"] = Field(
        default="auto",
        description="How the kernel holds a hedge back: it clones each request, or lets requests wait in a queue; "
        "auto: queue, with delay_line: netem clone.",
    )
    delay_line: Literal["netem", "fq", "htb", "auto"] = Field(
        default="auto",
        description="The qdisc that holds clones back or, but for netem, wakes the queue; auto: what the kernel has.",
    )


class Design(Section):
    """How the strategies' blocks are interleaved."""

    blocks: Annotated[Whole, Field(ge=1, le=1000)] = Field(
        default=10, description="Blocks of each strategy; fewer than 5 give no intervals."
    )
    order: Literal["randomised", "fixed"] = Field(
        default="randomised", description="Order of the strategies in each round: shuffled by the seed, or as listed."
    )
    seed: Annotated[Whole, Field(ge=0, lt=2**63)] = Field(
        default=1, description="Seed of the order and of the bootstrap."
    )


class Claim(Section):
    """A statement that the run shall support or refute."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")] = Field(
        description="Short name, unique.", examples=["shorter-tail"]
    )
    text: str = Field(default="", description="The claim in words.")
    expect: Annotated[Comparison, parsed_by(_expectation)] = Field(
        description="Comparison of two expressions over functions of strategies, numbers, percentages and durations.",
        examples=["p99(kernel) <= 0.04 * p99(baseline)"],
    )

    @property
    def names_arms(self) -> bool:
        """Whether it is judged across arms."""
        return any(call.arm is not None for call in self.expect.calls())


Milliseconds = Annotated[Real, Field(ge=0)]


class PublishedFigures(Section):
    """Latencies that someone else published, in milliseconds, to print beside ours."""

    p50: Milliseconds | None = Field(default=None, description="Median, ms.")
    p90: Milliseconds | None = Field(default=None, description="90th percentile, ms.")
    p95: Milliseconds | None = Field(default=None, description="95th percentile, ms.")
    p99: Milliseconds | None = Field(default=None, description="99th percentile, ms.")
    p999: Milliseconds | None = Field(default=None, description="99.9th percentile, ms.")
    max: Milliseconds | None = Field(default=None, description="Maximum, ms.")
    mean: Milliseconds | None = Field(default=None, description="Mean, ms.")


class Scenario(Section):
    """An experiment: the service, the workload, how to hedge, what to compare, and what is claimed."""

    version: Literal[1] = Field(description="Version of this format.")
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")] = Field(
        description="Lower-case letters, digits and hyphens; run folders are named after it.",
        examples=["my-experiment"],
    )
    description: str = Field(default="", description="One sentence for people.")
    topology: Topology = Field(default_factory=Topology, description="The nodes.")
    service: Service = Field(default_factory=Service, description="The server.")
    workload: Workload = Field(description="The client.", examples=[{"requests": 1000}])
    hedging: Hedging = Field(
        description="The hedger, and the delay that user-space rivals use too.", examples=[{"delay": "10ms"}]
    )
    strategies: Annotated[tuple[Strategy, ...], Field(min_length=1)] = Field(
        description="What is compared.", examples=[["baseline", "kernel"]]
    )
    design: Design = Field(default_factory=Design, description="Blocks and their order.")
    faults: tuple[Fault, ...] = Field(default=(), description="What happens to which node, and when.")
    claims: tuple[Claim, ...] = Field(default=(), description="What the run is expected to show.")
    published: dict[Strategy, PublishedFigures] = Field(
        default_factory=dict, description="Published figures by strategy."
    )

    def as_document(self) -> dict[str, Plain]:
        """The scenario with every default filled in, spelt as in a file; it loads to an equal model."""
        dump = self.model_dump(mode="json", by_alias=True)
        return {key: _without_nulls(value) for key, value in dump.items() if value is not None}

    def without_claims_across(self) -> Scenario:
        """The same, without the claims that are judged across arms."""
        return self.model_copy(update={"claims": tuple(claim for claim in self.claims if not claim.names_arms)})

    @property
    def hedges_in_kernel(self) -> bool:
        """Whether any strategy needs the kernel's delay line."""
        return any(strategy_named(strategy).hedges_in == "kernel" for strategy in self.strategies)

    @property
    def is_open(self) -> bool:
        """Whether requests are sent on a schedule, whatever becomes of the earlier ones."""
        return self.workload.arrivals.mode == "open"

    @property
    def drain_ns(self) -> int:
        """How long a block waits after its last request: the time-out, or the longest that an answer is held back."""
        held_ns = [fault.held_back_ns for fault in self.faults]
        if self.service.stall is not None:
            held_ns.append(self.service.stall.duration_ns)
        return max([self.workload.timeout_ns, *held_ns])

    @property
    def patience_ns(self) -> int:
        """How long a client that awaits answers may hear nothing at all: longer than any answer takes."""
        time = self.service.service_time
        slowest_ns = round(math.exp(_SLOWEST_SIGMAS * time.sigma) * time.median_ns)
        return max(_LEAST_PATIENCE_NS, self.drain_ns + slowest_ns)
