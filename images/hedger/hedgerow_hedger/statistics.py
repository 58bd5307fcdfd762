"""What the hedger reports of its work: a record for each hedge, how late hedges left, quantiles of latency."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from hedgerow_hedger.programs import EventType
from hedgerow_node.percentiles import lateness_us
from hedgerow_node.records import NO_TIME, Hedge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hedgerow_hedger.edges import Event

_Key = tuple[int, ...]
_MAX_LATENESSES = 100_000  #: the latest, that are kept for a summary
_SUB_BITS = 3  #: HISTOGRAM_SUB_BITS of bpf/types.h: eight buckets for each power of two


class HedgeLog:
    """Records and latenesses; takes every event in the order in which the kernel wrote them.

    Records are kept only where they are collected (`keep`): they would fill the memory of a hedger that runs for
    weeks.
    """

    def __init__(self, keep: bool) -> None:
        self._keep = keep
        self._hedges: dict[_Key, Hedge] = {}
        self._late_ns: deque[int] = deque(maxlen=_MAX_LATENESSES)

    def add(self, event: Event) -> None:
        """Takes one event."""
        if event.type == EventType.DEPARTURE:
            self._late_ns.append(event.departure_ns - event.deadline_ns)
        if self._keep:
            self._record(event)

    def _record(self, event: Event) -> None:
        key = (*event.client, event.client_port, event.service, event.block, event.id, event.request_ns)
        if event.type == EventType.DEPARTURE:
            self._hedges[key] = Hedge(
                request_id=event.id,
                copy=event.copy,
                replica=event.replica,
                winner=event.winner,
                request_ns=event.request_ns,
                deadline_ns=event.deadline_ns,
                departure_ns=event.departure_ns,
                first_response_ns=event.first_response_ns or NO_TIME,
            )
        # An answer whose departure is not here belongs to a hedge taken with an earlier reading, or lost.
        elif key in self._hedges:
            self._hedges[key] = self._hedges[key]._replace(
                winner=event.winner, first_response_ns=event.first_response_ns
            )

    def take(self) -> list[Hedge]:
        """The hedges since they were last taken, in order of departure."""
        hedges = list(self._hedges.values())
        self._hedges = {}
        return hedges

    def take_lateness_us(self) -> dict[str, float] | None:
        """Median, P99 and maximum of departure minus deadline since the last call, in µs; None without hedges."""
        late_ns = list(self._late_ns)
        self._late_ns.clear()
        return lateness_us(late_ns)


def bucket_bounds_ns(bucket: int) -> tuple[int, int]:
    """The least latency in `bucket` of the kernel's histogram (bpf/tap.h), and the least above it, in ns."""
    power, sub = bucket >> _SUB_BITS, bucket & ((1 << _SUB_BITS) - 1)
    if power < _SUB_BITS:
        return 1 << power, 1 << (power + 1)
    width = 1 << (power - _SUB_BITS)
    low = (1 << power) + sub * width
    return low, low + width


def quantile_ns(histogram: Sequence[int], q: float) -> int | None:
    """An upper bound, at most 12.5 % too high, of the `q` quantile in ns; None where nothing was recorded."""
    total = sum(histogram)
    seen = 0
    for bucket, count in enumerate(histogram):
        seen += count
        if total and seen >= q * total and count:
            return bucket_bounds_ns(bucket)[1]
    return None
