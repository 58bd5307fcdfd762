"""The binary records that the programs leave for the orchestrator: fixed-size rows, little endian, no padding.

A file holds rows of one kind and nothing else; which strategy and block it belongs to, the one who asked for it
knows. Times are CLOCK_MONOTONIC in integer nanoseconds; `NO_TIME` stands for "did not happen".
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NO_TIME = -1
FIRST_WARMUP_ID = 1 << 31  #: ids from here up belong to warm-up requests and enter no figure


class Outcome(IntEnum):
    """How a request ended for the client."""

    ANSWERED = 0
    TIMEOUT = 1
    ERROR = 2


class Action(IntEnum):
    """What the server did with one copy of a request."""

    SERVED = 0
    STALLED = 1
    HEALED = 2  #: would have stalled, but was a duplicate within the server's memory
    SLOWED = 3  #: a fault made its service time longer, and nothing else happened to it
    DROPPED = 4  #: a fault made the server ignore it: it has neither a due time nor a response


class Winner(IntEnum):
    """Which copy's response reached the client first."""

    NONE = 0
    PRIMARY = 1
    HEDGE = 2
    UNKNOWN = 3  #: answered, but nothing in the response says which copy it answers


class Sample(NamedTuple):
    """One measured request, as the client saw it."""

    request_id: int  #: the same ids in every strategy
    seq: int  #: its number in the block, from 0, in sending order
    intended_ns: int  #: when it should have left; latency counts from here
    sent_ns: int  #: when it was sent; null if it was not
    #: When the client's kernel received the first response. Null without one, and in blocks during which
    #: CLOCK_REALTIME, of which it is converted, was set.
    kernel_rx_ns: int
    received_ns: int  #: when the client had that response; null without one
    outcome: int  #: `answered`, `timeout` or `error`
    copies_received: int  #: responses received to it


class ServedCopy(NamedTuple):
    """One copy of a request, as the server received it."""

    request_id: int  #: from 2³¹ on it is one of the warm-up
    copy: int  #: its number among the copies of this request at that server, from 1
    source_port: int  #: its UDP source port
    replica: int  #: the server, from 0
    received_ns: int  #: when it was received
    due_ns: int  #: when the response was due: after the service time and what held it back; null if dropped
    sent_ns: int  #: when the response left the server; null if it did not
    #: `served`; `stalled`; `healed`: would have stalled, but was a duplicate; `slowed`, `dropped`: by a fault.
    action: int


class Hedge(NamedTuple):
    """One hedge, as the kernel's tap saw it leave."""

    request_id: int  #: that of the request
    copy: int  #: which copy of the request: 2 for its first hedge
    replica: int  #: the server that it was sent to, from 0
    #: The copy that the first response answers: `primary`, `hedge` or `unknown` (with `target: same`, where a fault
    #: delays or duplicates requests or netem holds them); null without a response.
    winner: int
    request_ns: int  #: when the primary left
    deadline_ns: int  #: `request_ns` plus the hedge delay
    departure_ns: int  #: when the hedge left; minus `deadline_ns` it is the lateness
    first_response_ns: int  #: when the first response to any copy arrived there; null without one


Row = TypeVar("Row", Sample, ServedCopy, Hedge)

LAYOUTS: dict[type[tuple[int, ...]], struct.Struct] = {
    Sample: struct.Struct("<QIqqqqBB"),
    ServedCopy: struct.Struct("<QHHBqqqB"),
    Hedge: struct.Struct("<QHBBqqqq"),
}


def write_rows(path: Path, rows: Iterable[tuple[int, ...]], kind: type[Row]) -> int:
    """Write `rows` of `kind` to a new file at `path` and return how many there were."""
    layout = LAYOUTS[kind]
    packed = [layout.pack(*row) for row in rows]
    path.write_bytes(b"".join(packed))
    return len(packed)


def read_rows(path: Path, kind: type[Row]) -> list[Row]:
    """The rows of `kind` in the file at `path`; ValueError where its size is no whole number of rows."""
    layout, data = LAYOUTS[kind], path.read_bytes()
    if len(data) % layout.size:
        raise ValueError(
            f"{path}: {len(data)} bytes are no whole number of {kind.__name__} rows ({layout.size} bytes each)"
        )
    return [kind._make(fields) for fields in layout.iter_unpack(data)]
