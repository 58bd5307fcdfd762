"""Makes one record a hedge out of the kernel's events: a departure, and the answer that may follow it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hedgerow_node.records import NO_TIME, Hedge
from kernel_programs import EventType

_Key = tuple[int, ...]


class HedgeLog:
    """The hedges since the log was last taken; feed it every event in the order the kernel wrote them."""

    def __init__(self) -> None:
        self._hedges: dict[_Key, Hedge] = {}

    def add(self, event: Any) -> None:
        """Takes one event (struct event of bpf/types.h)."""
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
        """The hedges, in order of departure; the log is empty afterwards."""
        hedges = list(self._hedges.values())
        self._hedges = {}
        return hedges


def lateness_summary(hedges: Sequence[Hedge]) -> dict[str, float] | None:
    """Median, P99 and maximum of departure minus deadline in µs (order statistics); None without hedges."""
    if not hedges:
        return None
    late_ns = sorted(hedge.departure_ns - hedge.deadline_ns for hedge in hedges)
    rank = {"p50": -(-50 * len(late_ns) // 100), "p99": -(-99 * len(late_ns) // 100), "max": len(late_ns)}
    return {name: late_ns[position - 1] / 1_000 for name, position in rank.items()}
