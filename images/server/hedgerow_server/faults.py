"""The faults of a block that strike single requests: a longer service time, a delay on top, silence.

Which requests was settled before the block began: a range of ids, and within it a condition. So every strategy
meets the same, whenever its requests arrive.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hedgerow_node.control import ControlError
from hedgerow_node.expression import Expression, parse
from hedgerow_server.log import MAX_FAULTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hedgerow_node.fields import Fields

SLOW, STALL, DROP = "slow", "stall", "drop-requests"


@dataclass(frozen=True)
class ServiceFault:
    """A fault of `kind` on the requests `first_id` … `last_id`, of these the ones that `when` holds for, if given.

    `factor` is the service time's (slow), `delay_ns` comes on top of it (stall).
    """

    key: str
    kind: str
    first_id: int
    last_id: int
    factor: float = 1.0
    delay_ns: int = 0
    when: Expression | None = None


def read_faults(fields: Fields) -> tuple[ServiceFault, ...]:
    """The `faults` of a `start-block` message; ControlError or ValueError, naming the field, where one is wrong."""
    faults = tuple(_read_fault(fault) for fault in fields.sections("faults"))
    if len(faults) > MAX_FAULTS:
        raise ControlError(f"field 'faults': there are {len(faults)}, at most {MAX_FAULTS} can be counted")
    return faults


def _read_fault(fields: Fields) -> ServiceFault:
    kind, first_id = fields.text("kind", SLOW, STALL, DROP), fields.integer("first_id", 0)
    return ServiceFault(
        key=fields.text("key"),
        kind=kind,
        first_id=first_id,
        last_id=fields.integer("last_id", first_id),
        factor=fields.number("factor", 0.0) if kind == SLOW else 1.0,
        delay_ns=fields.integer("delay_ns", 0) if kind == STALL else 0,
        when=None if kind == SLOW else parse(fields.text("when")),
    )


class FaultRanges:
    """The faults by request id: a search instead of a look at every one of them, for each datagram."""

    def __init__(self, faults: Sequence[ServiceFault]) -> None:
        self._starts = sorted({0, *(id_ for fault in faults for id_ in (fault.first_id, fault.last_id + 1))})
        over: list[list[tuple[int, ServiceFault]]] = [[] for _ in self._starts]
        places = {start: place for place, start in enumerate(self._starts)}
        for number, fault in enumerate(faults):
            for place in range(places[fault.first_id], places[fault.last_id + 1]):
                over[place].append((number, fault))
        self._over = [tuple(entries) for entries in over]

    def at(self, request_id: int) -> tuple[tuple[int, ServiceFault], ...]:
        """The faults whose range `request_id` lies in, each with its number."""
        return self._over[bisect_right(self._starts, request_id) - 1]
