"""What a client is asked to do in one block, checked before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass

from hedgerow_node.addresses import resolve
from hedgerow_node.control import ControlError
from hedgerow_node.fields import Fields
from hedgerow_node.wire import MAX_PAYLOAD, RequestIdPlaces, read_places
from hedging_policies import POLICIES


@dataclass(frozen=True)
class IdRange:
    """The ids `first_id` … `first_id + count - 1`."""

    first_id: int
    count: int


@dataclass(frozen=True)
class BlockSettings:
    """One block of one strategy; closed arrivals: each of `users` thinks for `think_ns` between its requests.

    Raises ValueError where the figures contradict each other.
    """

    strategy: str
    server: tuple[str, int]
    requests: IdRange
    warmup: IdRange
    payload: int
    timeout_ns: int
    users: int
    think_ns: int
    hedge_delay_ns: int
    places: RequestIdPlaces
    drain_ns: int

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
        if POLICIES[self.strategy].hedges and not self.hedge_delay_ns < self.timeout_ns:
            raise ValueError("the hedge delay must be shorter than the request's time-out")


def read_settings(fields: Fields) -> BlockSettings:
    """The settings in a `start-block` message; ControlError or ValueError, naming what is wrong."""
    arrivals = fields.section("arrivals")
    arrivals.text("mode", "closed")
    servers = fields.listing("servers")
    if not servers:
        raise ControlError("field 'servers' is empty")
    return BlockSettings(
        strategy=fields.text("strategy", *POLICIES),
        server=_read_server(servers[0]),
        requests=_read_range(fields.section("requests")),
        warmup=_read_range(fields.section("warmup")),
        payload=fields.integer("payload", 1, MAX_PAYLOAD),
        timeout_ns=fields.integer("timeout_ns", 1),
        users=arrivals.integer("users", 1),
        think_ns=arrivals.integer("think_ns", 0),
        hedge_delay_ns=fields.integer("hedge_delay_ns", 0),
        places=read_places(fields.section("request_id")),
        drain_ns=fields.integer("drain_ns", 0),
    )


def _read_range(fields: Fields) -> IdRange:
    return IdRange(fields.integer("first_id", 0), fields.integer("count", 0))


def _read_server(server: object) -> tuple[str, int]:
    match server:
        case [str(host), int(port)] if 0 < port <= 0xFFFF:
            resolve(host, port)
            return host, port
    raise ControlError(f"field 'servers' holds {server!r}, expected [address, port]")
