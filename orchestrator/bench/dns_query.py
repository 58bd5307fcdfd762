"""The DNS questions that the bench asks."""

from __future__ import annotations

import struct

ZONE = "example.test"
NAMES = 9_000  #: that are asked for in turn
_TYPE_A, _CLASS_IN = 1, 1


def query(id_: int, name: str) -> bytes:
    """A DNS question for the address of `name`."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">6H", id_, 0, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", _TYPE_A, _CLASS_IN)


def host(number: int) -> str:
    """The name that query `number` asks for; names differ since servers limit answers to equal questions."""
    return f"h{1_000 + number % NAMES}.{ZONE}"
