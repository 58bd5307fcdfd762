"""What became of a block's requests, a column a field: written while measuring, so without making objects."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from hedgerow_node.percentiles import lateness_us
from hedgerow_node.records import NO_TIME, Outcome, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hedgerow_node.protocol.client import IdRange


class Ledger:
    """The requests of an id range in the order of their ids; `sent` of them have left so far.

    The columns are indexed by the position in the range. `received_ns` and `kernel_rx_ns` are those of the copy that
    answered the request in time; `copies` counts every copy that arrived, in time or not.
    """

    def __init__(self, ids: IdRange) -> None:
        self.first_id, self.count = ids.first_id, ids.count
        self.sent = 0
        self.hedges_sent = 0
        self.intended_ns = array("q", [NO_TIME]) * ids.count
        self.sent_ns = array("q", [NO_TIME]) * ids.count
        self.received_ns = array("q", [NO_TIME]) * ids.count
        self.kernel_rx_ns = array("q", [NO_TIME]) * ids.count
        self.outcomes = bytearray([Outcome.TIMEOUT]) * ids.count
        self.copies = array("L", [0]) * ids.count

    def note_copy(self, request_id: int) -> bool:
        """Count a copy that arrived for `request_id`; False where no such request has been sent."""
        index = request_id - self.first_id
        if not 0 <= index < self.sent:
            return False
        self.copies[index] += 1
        return True

    def duplicates(self) -> int:
        """How many copies arrived beyond the first of each request."""
        return sum(copies - 1 for copies in self.copies if copies > 1)

    def send_lateness_us(self) -> dict[str, float] | None:
        """How long after they should have the requests left, in microseconds: nearest-rank P50, P99, the maximum."""
        return lateness_us(self.sent_ns[index] - self.intended_ns[index] for index in range(self.sent))

    def rows(self) -> Iterator[Sample]:
        """The requests as records."""
        for index in range(self.sent):
            yield Sample(
                request_id=self.first_id + index,
                seq=index,
                intended_ns=self.intended_ns[index],
                sent_ns=self.sent_ns[index],
                kernel_rx_ns=self.kernel_rx_ns[index],
                received_ns=self.received_ns[index],
                outcome=self.outcomes[index],
                copies_received=min(self.copies[index], 255),
            )
