"""Where the request id and what belongs to it stand in a datagram: the one thing client, server and hedger agree on.

Requests and responses of a workload have the same length; the id is an unsigned big-endian number at a declared
place in each, the rest of a request is zero. The two bytes after the id of a response say which copy it answers
(1 = the first the server received, counted up to 255) and which replica it comes from.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_PAYLOAD = 65_507  #: bytes of the largest UDP datagram over IPv4
MAX_ID_LENGTH = 8  #: bytes
COPY_ID_LENGTH = 2  #: bytes after a response's id: copy ordinal and replica
MAX_COPY_ORDINAL = 255
_PLACE = re.compile(r"(\d+):(\d+)\Z")


class IdPlace(NamedTuple):
    """Where an id stands in a UDP payload, in bytes."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        """The first byte after the id."""
        return self.offset + self.length

    def checked(self) -> IdPlace:
        """Itself; ValueError where no datagram can have an id there."""
        if not 1 <= self.length <= MAX_ID_LENGTH:
            raise ValueError(f"a request id has 1 to {MAX_ID_LENGTH} bytes, not {self.length}")
        if self.offset < 0 or self.end > MAX_PAYLOAD:
            raise ValueError(f"no datagram has an id at offset {self.offset}")
        return self


class RequestIdPlaces(NamedTuple):
    """Where the id stands in requests and in responses."""

    request: IdPlace
    response: IdPlace

    @property
    def shortest_request(self) -> int:
        """The payload, in bytes, that holds a request's id and, its response being as long, a response's."""
        return max(self.request.end, self.response.end + COPY_ID_LENGTH)


def parse_place(text: str) -> IdPlace:
    """The place written as OFFSET:LENGTH ("0:4"); ValueError where it is none."""
    match = _PLACE.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a place; write OFFSET:LENGTH in bytes, e.g. 0:4")
    return IdPlace(int(match[1]), int(match[2])).checked()
