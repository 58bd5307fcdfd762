"""What the orchestrator sends to the client, and what the client reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from hedgerow_node.addresses import resolve
from hedgerow_node.control import ControlError
from hedgerow_node.protocol.codec import AtLeast, Between, Message, OneOf, wire_key
from hedgerow_node.protocol.server import CollectionTimes
from hedgerow_node.strategies import CLIENT_STRATEGIES, strategy_named
from hedgerow_node.units import NS_PER_MS
from hedgerow_node.wire import MAX_PAYLOAD, RequestIdPlaces
from hedgerow_node.workload import PROCESSES, SPREADS, TARGETS

_LEAST_LEAD_NS = 5 * NS_PER_MS


@dataclass(frozen=True)
class IdRange(Message):
    """The ids `first_id` … `first_id + count - 1`."""

    first_id: Annotated[int, AtLeast(0)]
    count: Annotated[int, AtLeast(0)]


@dataclass(frozen=True)
class ClosedArrivals(Message):
    """Each of `users` has one request at a time, and thinks for `think_ns` between the end of one and the next."""

    users: Annotated[int, AtLeast(1)]
    think_ns: Annotated[int, AtLeast(0)]
    mode: Literal["closed"] = "closed"


@dataclass(frozen=True)
class OpenArrivals(Message):
    """Requests leave by a schedule, answered or not; number i of a block through the sockets of user i % users."""

    process: Annotated[str, OneOf(*PROCESSES)]
    rate_per_s: float
    seed: int
    users: Annotated[int, AtLeast(1)]
    mode: Literal["open"] = "open"

    def __post_init__(self) -> None:
        if not 0 < self.rate_per_s < float("inf"):
            raise ValueError(f"a rate of {self.rate_per_s:g} requests a second is not possible")


@dataclass(frozen=True)
class GcSettings(Message):
    """The fault gc: `objects` for a collection to visit, and when to collect, in ns from the first measured send."""

    objects: Annotated[int, AtLeast(1)]
    offsets_ns: tuple[Annotated[int, AtLeast(0)], ...]


@dataclass(frozen=True)
class BlockSettings(Message):
    """`start-block`: one block of one strategy, answered at once; events report what becomes of it.

    Raises ValueError where the figures contradict each other.
    """

    strategy: Annotated[str, OneOf(*CLIENT_STRATEGIES)]
    servers: tuple[tuple[str, Annotated[int, Between(1, 0xFFFF)]], ...]  #: addresses and ports of the replicas
    spread: Annotated[str, OneOf(*SPREADS)]  #: of requests over the replicas
    target: Annotated[str, OneOf(*TARGETS)]  #: the replica that hedges go to
    requests: IdRange
    warmup: IdRange  #: sent first, and recorded nowhere
    payload: Annotated[int, Between(1, MAX_PAYLOAD)]  #: bytes
    timeout_ns: Annotated[int, AtLeast(1)]  #: of a request, from when it should have left
    arrivals: ClosedArrivals | OpenArrivals
    hedge_delay_ns: Annotated[int, AtLeast(0)]
    places: RequestIdPlaces = field(metadata=wire_key("request_id"))
    drain_ns: Annotated[int, AtLeast(0)]  #: how long late copies are waited for at the end
    #: The first measured request is due this long after the warm-up, or a few milliseconds, whichever is longer.
    lead_ns: Annotated[int, AtLeast(0)] = 0
    #: Nothing heard of the servers for so long, while requests are given up, is reported (`SilentEvent`); 0: never.
    patience_ns: Annotated[int, AtLeast(0)] = 0
    gc: GcSettings | None = None
    block: Annotated[int, AtLeast(0)] = 0  #: repeated in the block's events
    samples: str | None = None  #: the file that the measured requests are recorded in

    def __post_init__(self) -> None:
        self._check_servers()
        if self.payload < self.places.shortest_request:
            raise ValueError(
                f"a payload of {self.payload} bytes is too short for the request id, "
                f"the response id and the two bytes after it: they end at {self.places.shortest_request}"
            )
        for ids in (self.requests, self.warmup):
            last = ids.first_id + max(ids.count, 1) - 1
            for place in self.places if ids.count else ():
                if last >= 256**place.length:
                    raise ValueError(f"id {last} does not fit into {place.length} bytes")
        if self.hedges and not self.hedge_delay_ns < self.timeout_ns:
            raise ValueError("the hedge delay must be shorter than the request's time-out")
        self._check_strategy()

    def _check_servers(self) -> None:
        if not self.servers:
            raise ControlError("field 'servers' is empty")
        for host, port in self.servers:
            resolve(host, port)
        if self.target == "other" and len(self.servers) < 2:
            raise ValueError("hedges to another replica (target other) need at least two servers")

    def _check_strategy(self) -> None:
        strategy = strategy_named(self.strategy)
        if strategy.closed_only and isinstance(self.arrivals, OpenArrivals):
            raise ValueError(
                f"{self.strategy} is the published client, which waits for each answer: it has no open arrivals; "
                "take app-deadline, or closed arrivals"
            )
        if self.gc is not None and not strategy.collects_garbage:
            raise ValueError(f"{self.strategy} is compiled and collects no garbage: the fault gc has no effect on it")

    @property
    def hedges(self) -> bool:
        """Whether hedges are sent in user space."""
        return strategy_named(self.strategy).hedges_in == "client"

    @property
    def whole_lead_ns(self) -> int:
        """From the end of the warm-up to when the first measured request is due."""
        return max(self.lead_ns, _LEAST_LEAD_NS)


@dataclass(frozen=True)
class SilentEvent(Message):
    """The event `silent`: between these times nothing came from any server, although requests were given up.

    Not a late answer, nor one to another request: the way to the servers, or back, seems to be closed. `requests`
    were given up meanwhile, with ids from `first_id` to `last_id`.
    """

    since_ns: int
    until_ns: int
    requests: int
    first_id: int
    last_id: int


@dataclass(frozen=True)
class ClientReport(Message):
    """The event `block-done`: what the client counted beside the records of the requests.

    The supervisor adds the block's number and strategy and, where there was a proxy, its counters as `proxy`.
    """

    rows: int  #: requests sent
    answered: int
    timeouts: int
    errors: int  #: requests that the kernel would not send
    hedges_sent: int
    duplicates_delivered: int  #: copies beyond the first of each request
    first_send_ns: int | None  #: CLOCK_MONOTONIC, as all times here
    last_send_ns: int | None
    send_lateness_us: dict[str, float] | None  #: p50, p99 and max behind the schedule; None in closed arrivals
    collections: tuple[CollectionTimes, ...]
    realtime_offset_ns: int  #: CLOCK_REALTIME minus CLOCK_MONOTONIC
    #: Anything but nearly nothing means that the clock was set, and kernel_rx_ns is off by as much.
    realtime_offset_drift_ns: int
    stray_copies: int  #: datagrams that are no response to anything sent in this block
    timer_restarts: int  #: deadlines that a late answer has moved
    socket_errors: int
