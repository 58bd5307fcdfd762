"""The server's log, in memory that outlives the worker: a fault may kill it at any instruction.

The worker writes, its supervisor reads, and a worker that replaces another goes on where that one stopped. A row is
complete before it counts. A copy has its row from the moment it is received, so that what a killed server
never answered is not forgotten; the time of the response is filled in when it leaves.
"""

from __future__ import annotations

import mmap
import os
import struct

from hedgerow_node.protocol.server import MAX_SERVICE_FAULTS
from hedgerow_node.records import LAYOUTS, ServedCopy

_MAX_FAILURE = 2048  #: bytes of text
_FIRST_CAPACITY = 1 << 22
_COUNT = struct.Struct("<q")
_SENT = struct.Struct("<q")
_SENT_OFFSET = LAYOUTS[ServedCopy].size - struct.calcsize("<qB")  # the last field but one


class SharedRows:
    """Rows of one layout, appended to by one process at a time and read by those that it was forked from.

    Lies in a file without a name, which grows as needed and of which only what was written to uses memory.
    """

    def __init__(self, name: str, layout: struct.Struct) -> None:
        self._layout = layout
        self._fd = os.memfd_create(name)
        os.ftruncate(self._fd, _FIRST_CAPACITY)
        self._memory = mmap.mmap(self._fd, _FIRST_CAPACITY)
        self._bytes = 0

    def take_over(self) -> None:
        """In a worker that was just forked: go on after the rows of the last one."""
        self._memory = mmap.mmap(self._fd, os.fstat(self._fd).st_size)
        self._bytes = self._written()

    def append(self, *row: int) -> int:
        """Add a row and return its place."""
        size, place = self._layout.size, _COUNT.size + self._bytes
        if place + size > len(self._memory):
            self._memory.resize(2 * len(self._memory))
        self._layout.pack_into(self._memory, place, *row)
        self._bytes += size
        _COUNT.pack_into(self._memory, 0, self._bytes)
        return place

    def fill_in(self, place: int, part: struct.Struct, offset: int, value: int) -> None:
        """Write `value` into the row at `place`, `offset` bytes after its beginning."""
        part.pack_into(self._memory, place + offset, value)

    def clear(self) -> None:
        """Forget all rows."""
        self._bytes = 0
        _COUNT.pack_into(self._memory, 0, 0)

    def data(self) -> bytes:
        """All rows, of all writers."""
        return os.pread(self._fd, self._written(), _COUNT.size)

    def rows(self) -> list[tuple[int, ...]]:
        """All rows, of all writers, as integers."""
        return list(self._layout.iter_unpack(self.data()))

    def _written(self) -> int:
        return int(_COUNT.unpack(os.pread(self._fd, _COUNT.size, 0))[0])


class ServerLog:
    """What a server did in a block, and when its workers took up their work."""

    def __init__(self) -> None:
        self.copies = SharedRows("hedgerow-copies", LAYOUTS[ServedCopy])
        self.collections = SharedRows("hedgerow-collections", struct.Struct("<qqq"))
        self.workers = SharedRows("hedgerow-workers", struct.Struct("<qq"))
        # Anonymous mappings are shared with processes that are forked.
        self._counts = memoryview(mmap.mmap(-1, 8 * (2 + MAX_SERVICE_FAULTS))).cast("Q")
        self._failure = mmap.mmap(-1, _COUNT.size + _MAX_FAILURE)
        self.hits = self._counts[2:]  #: copies affected, by the number of the fault

    def take_over(self) -> None:
        """In a worker that was just forked: go on where the last one stopped."""
        for rows in (self.copies, self.collections, self.workers):
            rows.take_over()

    def clear(self) -> None:
        """A block begins: forget the last one."""
        self.copies.clear()
        self.collections.clear()
        self._counts[:] = memoryview(bytes(self._counts.nbytes)).cast("Q")
        _COUNT.pack_into(self._failure, 0, 0)

    def answered(self, place: int, sent_ns: int) -> None:
        """The response to the copy whose row is at `place` left at `sent_ns`."""
        self.copies.fill_in(place, _SENT, _SENT_OFFSET, sent_ns)

    def count_malformed(self) -> None:
        """A datagram arrived that is not a request."""
        self._counts[0] += 1

    def count_send_error(self) -> None:
        """The kernel refused a response."""
        self._counts[1] += 1

    @property
    def malformed(self) -> int:
        """Datagrams that were not requests."""
        return self._counts[0]

    @property
    def send_errors(self) -> int:
        """Responses that the kernel refused."""
        return self._counts[1]

    def fail(self, problem: str) -> None:
        """Note what makes the block worthless; the first problem stays."""
        if self.failure is None:
            text = problem.encode()[:_MAX_FAILURE]
            self._failure[_COUNT.size : _COUNT.size + len(text)] = text
            _COUNT.pack_into(self._failure, 0, len(text))

    @property
    def failure(self) -> str | None:
        """What makes the block worthless, if anything does."""
        length = _COUNT.unpack_from(self._failure, 0)[0]
        return self._failure[_COUNT.size : _COUNT.size + length].decode(errors="replace") if length else None
