"""Messages between the orchestrator and a server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from hedgerow_node.expression import parse
from hedgerow_node.protocol.codec import AtLeast, Between, Message
from hedgerow_node.wire import RequestIdPlaces

MAX_SERVICE_FAULTS = 8000  #: that a block's hits are counted for; one occurrence of a fault counts as one


@dataclass(frozen=True)
class ServiceTime(Message):
    """How long an idle server takes for a request; with "lognormal" each copy has a draw of its own."""

    distribution: Literal["constant", "lognormal"]
    median_ns: Annotated[int, AtLeast(0)]
    sigma: Annotated[float, AtLeast(0)] = 0.0  #: of the logarithm; has no effect on a constant


@dataclass(frozen=True)
class Stall(Message):
    """Requests that take longer, whatever faults there are."""

    when: str  #: a condition of `hedgerow_node.expression` on the request's id
    duration_ns: Annotated[int, AtLeast(0)]  #: on top of the service time
    heal_on_duplicate: bool  #: a copy that follows another within a second does not stall

    def __post_init__(self) -> None:
        parse(self.when)


@dataclass(frozen=True)
class _RequestFault(Message):
    key: str  #: hits are reported by it; several faults may share one
    first_id: Annotated[int, AtLeast(0)]
    last_id: int  #: included

    def __post_init__(self) -> None:
        if self.last_id < self.first_id:
            raise ValueError(f"fault {self.key}: last_id is {self.last_id}, expected at least {self.first_id}")


@dataclass(frozen=True)
class SlowFault(_RequestFault):
    """The service time of these requests is multiplied."""

    factor: Annotated[float, AtLeast(0)]
    kind: Literal["slow"] = "slow"


@dataclass(frozen=True)
class _ConditionalFault(_RequestFault):
    when: str  #: of the requests in the range only those are affected that this condition holds for

    def __post_init__(self) -> None:
        super().__post_init__()
        parse(self.when)


@dataclass(frozen=True)
class StallFault(_ConditionalFault):
    """These requests take longer."""

    delay_ns: Annotated[int, AtLeast(0)]  #: on top of the service time
    kind: Literal["stall"] = "stall"


@dataclass(frozen=True)
class DropFault(_ConditionalFault):
    """These requests get no response."""

    kind: Literal["drop-requests"] = "drop-requests"


#: A fault of the service. Which requests it affects is settled before the block begins, so that it is the same under
#: every strategy, whenever their copies arrive.
ServiceFault = SlowFault | StallFault | DropFault


@dataclass(frozen=True)
class ObjectGraph(Message):
    """What the worker keeps in memory for its garbage collector to visit."""

    objects: Annotated[int, AtLeast(1)]


@dataclass(frozen=True)
class ServiceSettings(Message):
    """`start-block`: how requests are served until the next one; the block's copies are logged until `end-block`."""

    request_id: RequestIdPlaces
    service_time: ServiceTime
    seed: int = 42  #: of the service times
    replica: Annotated[int, Between(0, 255)] = 0  #: this server's own number, written into responses
    concurrency: Annotated[int, AtLeast(1)] | None = None  #: requests served at a time, first in first out; None: all
    stall: Stall | None = None
    faults: tuple[ServiceFault, ...] = ()
    gc: ObjectGraph | None = None
    block: int | None = None  #: for people who read the messages
    strategy: str | None = None  #: likewise

    def __post_init__(self) -> None:
        if len(self.faults) > MAX_SERVICE_FAULTS:
            count = len(self.faults)
            raise ValueError(f"field 'faults': there are {count}, at most {MAX_SERVICE_FAULTS} can be counted")


@dataclass(frozen=True)
class EndBlock(Message):
    """`end-block`: the log of the block's copies goes to the file `log`; answered by a `ServerReport`."""

    log: str


@dataclass(frozen=True)
class CollectionTimes(Message):
    """A garbage collection, on CLOCK_MONOTONIC."""

    start_ns: int
    end_ns: int


@dataclass(frozen=True)
class CollectAt(Message):
    """`collect-at`, from supervisor to worker: collect garbage at these times too."""

    at_ns: tuple[int, ...]


@dataclass(frozen=True)
class InFlight(Message):
    """The worker's answer to `end-block`."""

    in_flight: int


@dataclass(frozen=True)
class ServerReport(Message):
    """What a server did in a block, beside its log."""

    rows: int  #: copies in the log
    in_flight: int  #: of these, responses that are still to be sent
    timer_lateness_us: dict[str, float] | None = None  #: p50, p99 and max of how late responses left
    malformed: int = 0  #: datagrams that were not requests
    send_errors: int = 0  #: responses that the kernel would not take
    fault_hits: dict[str, int] = field(default_factory=dict)  #: by the faults' keys, copies affected
    collections: tuple[CollectionTimes, ...] = ()


@dataclass(frozen=True)
class ServerStatus(Message):
    """The answer to `ping`."""

    pid: int
    sources: str  #: a digest of the program's sources
    listening: tuple[tuple[str, int], ...] = ()  #: addresses and ports; none without a worker
    worker_pid: int | None = None
    worker_died: str | None = None  #: how the worker ended, if by itself
    role: Literal["server"] = "server"
