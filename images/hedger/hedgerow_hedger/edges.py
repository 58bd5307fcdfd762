"""Names for what bcc and pyroute2 hand out. They have no types, so these are the untyped values of the hedger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

BpfClass = Any  #: `bcc.BPF`
Map = Any  #: one of bpf/maps.h: `map[key]`, and `map.Key()` and `map.Leaf()`, structures of bpf/types.h
NetlinkMessage = Any  #: from the kernel, by pyroute2: header fields by `[name]`, attributes by `get_attr(name)`


class Event(Protocol):
    """struct event of bpf/types.h: a hedge's departure, or the answer to a hedged request."""

    type: int
    client: Sequence[int]
    client_port: int
    service: int
    block: int
    id: int
    copy: int
    replica: int
    winner: int
    request_ns: int
    deadline_ns: int
    departure_ns: int
    first_response_ns: int
