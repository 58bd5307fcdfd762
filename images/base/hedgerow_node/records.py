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

    request_id: int
    seq: int
    intended_ns: int
    sent_ns: int
    kernel_rx_ns: int
    received_ns: int
    outcome: int
    copies_received: int


class ServedCopy(NamedTuple):
    """One copy of a request, as the server received it; `copy` is 1 for the first."""

    request_id: int
    copy: int
    source_port: int
    replica: int
    received_ns: int
    due_ns: int
    sent_ns: int
    action: int


class Hedge(NamedTuple):
    """One hedge, as the kernel's tap saw it leave; `copy` is 2 for a request's first hedge."""

    request_id: int
    copy: int
    replica: int
    winner: int
    request_ns: int
    deadline_ns: int
    departure_ns: int
    first_response_ns: int


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
