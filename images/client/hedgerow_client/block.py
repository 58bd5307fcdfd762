"""What a client is asked to do in one block, checked before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hedgerow_node.addresses import resolve
from hedgerow_node.control import ControlError
from hedgerow_node.replicas import SPREADS, TARGETS
from hedgerow_node.schedule import PROCESSES
from hedgerow_node.strategies import CLIENT_STRATEGIES, strategy_named
from hedgerow_node.units import NS_PER_MS
from hedgerow_node.wire import MAX_PAYLOAD, RequestIdPlaces, read_places

if TYPE_CHECKING:
    from hedgerow_node.fields import Fields

_LEAST_LEAD_NS = 5 * NS_PER_MS


@dataclass(frozen=True)
class IdRange:
    """The ids `first_id` … `first_id + count - 1`."""

    first_id: int
    count: int


@dataclass(frozen=True)
class ClosedArrivals:
    """Each of `users` has one request at a time, and thinks for `think_ns` between the end of one and the next."""

    users: int
    think_ns: int


@dataclass(frozen=True)
class OpenArrivals:
    """Requests leave by a schedule, answered or not; number i of a block through the sockets of user i % users."""

    process: str
    rate_per_s: float
    seed: int
    users: int


@dataclass(frozen=True)
class Collections:
    """The fault gc: `objects` for a collection to look through, and when to collect, in ns from the first send."""

    objects: int
    offsets_ns: tuple[int, ...]


@dataclass(frozen=True)
class BlockSettings:
    """One block of one strategy; the replicas' addresses are `servers`.

    The first measured request is due `lead_ns` after the end of the warm-up, or a few milliseconds, whichever is
    longer. Raises ValueError where the figures contradict each other.
    """

    strategy: str
    servers: tuple[tuple[str, int], ...]
    spread: str
    target: str
    requests: IdRange
    warmup: IdRange
    payload: int
    timeout_ns: int
    arrivals: ClosedArrivals | OpenArrivals
    hedge_delay_ns: int
    places: RequestIdPlaces
    drain_ns: int
    lead_ns: int = 0
    collections: Collections | None = None

    def __post_init__(self) -> None:
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
        if self.target == "other" and len(self.servers) < 2:
            raise ValueError("hedges to another replica (target other) need at least two servers")
        if isinstance(self.arrivals, OpenArrivals):
            if strategy_named(self.strategy).closed_only:
                raise ValueError(
                    f"{self.strategy} is the published client, which waits for each answer: it has no open arrivals; "
                    "take app-deadline, or closed arrivals"
                )
            if not 0 < self.arrivals.rate_per_s < float("inf"):
                raise ValueError(f"a rate of {self.arrivals.rate_per_s:g} requests a second is none")
        if not strategy_named(self.strategy).collects_garbage and self.collections is not None:
            raise ValueError(f"{self.strategy} is compiled and collects no garbage: the fault gc has no effect on it")

    @property
    def hedges(self) -> bool:
        """Whether hedges are sent in user space."""
        return strategy_named(self.strategy).hedges_in == "client"

    @property
    def whole_lead_ns(self) -> int:
        """From the end of the warm-up to when the first measured request is due."""
        return max(self.lead_ns, _LEAST_LEAD_NS)


def read_settings(fields: Fields) -> BlockSettings:
    """The settings in a `start-block` message; ControlError or ValueError, naming what is wrong."""
    servers = fields.listing("servers")
    if not servers:
        raise ControlError("field 'servers' is empty")
    return BlockSettings(
        strategy=fields.text("strategy", *CLIENT_STRATEGIES),
        servers=tuple(_read_server(server) for server in servers),
        spread=fields.text("spread", *SPREADS),
        target=fields.text("target", *TARGETS),
        requests=_read_range(fields.section("requests")),
        warmup=_read_range(fields.section("warmup")),
        payload=fields.integer("payload", 1, MAX_PAYLOAD),
        timeout_ns=fields.integer("timeout_ns", 1),
        arrivals=_read_arrivals(fields.section("arrivals")),
        hedge_delay_ns=fields.integer("hedge_delay_ns", 0),
        places=read_places(fields.section("request_id")),
        drain_ns=fields.integer("drain_ns", 0),
        lead_ns=fields.integer("lead_ns", 0),
        collections=_read_collections(fields.section("gc")) if "gc" in fields else None,
    )


def _read_range(fields: Fields) -> IdRange:
    return IdRange(fields.integer("first_id", 0), fields.integer("count", 0))


def _read_server(server: object) -> tuple[str, int]:
    match server:
        case [str(host), int(port)] if 0 < port <= 0xFFFF:
            resolve(host, port)
            return host, port
    raise ControlError(f"field 'servers' holds {server!r}, expected [address, port]")


def _read_arrivals(fields: Fields) -> ClosedArrivals | OpenArrivals:
    users = fields.integer("users", 1)
    if fields.text("mode", "closed", "open") == "closed":
        return ClosedArrivals(users, fields.integer("think_ns", 0))
    return OpenArrivals(
        fields.text("process", *PROCESSES), fields.number("rate_per_s", 0.0), fields.integer("seed"), users
    )


def _read_collections(fields: Fields) -> Collections:
    offsets_ns = fields.listing("offsets_ns")
    for offset_ns in offsets_ns:
        if not isinstance(offset_ns, int) or isinstance(offset_ns, bool) or offset_ns < 0:
            raise ControlError(f"field 'gc.offsets_ns' holds {offset_ns!r}, expected an integer, at least 0")
    return Collections(fields.integer("objects", 1), tuple(sorted(offsets_ns)))
