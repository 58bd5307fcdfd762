"""Makes one record a hedge out of the kernel's events: a departure, and the answer that may follow it."""

from __future__ import annotations

from collections import deque
from typing import Any

from hedgerow_hedger.programs import EventType
from hedgerow_node.records import NO_TIME, Hedge

_Key = tuple[int, ...]
_LATENESSES = 100_000  #: that are kept for a summary: the latest


class HedgeLog:
    """Records and latenesses; feed it every event in the order the kernel wrote them.

    Records are for somebody who collects them (`keep`): they would fill the memory of a hedger that works for weeks.
    """

    def __init__(self, keep: bool) -> None:
        self._keep = keep
        self._hedges: dict[_Key, Hedge] = {}
        self._late_ns: deque[int] = deque(maxlen=_LATENESSES)

    def add(self, event: Any) -> None:
        """Takes one event (struct event of bpf/types.h)."""
        if event.type == EventType.DEPARTURE:
            self._late_ns.append(event.departure_ns - event.deadline_ns)
        if self._keep:
            self._record(event)

    def _record(self, event: Any) -> None:
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
        late_ns = sorted(self._late_ns)
        self._late_ns.clear()
        if not late_ns:
            return None
        rank = {"p50": -(-50 * len(late_ns) // 100), "p99": -(-99 * len(late_ns) // 100), "max": len(late_ns)}
        return {name: late_ns[position - 1] / 1_000 for name, position in rank.items()}
