"""The ring of the engine `queue`: how many requests may wait for their deadlines at once, and so at which rate.

A request keeps its cell for the hedge delay, answered or not.
"""

from __future__ import annotations

import math

from hedgerow_node.units import NS_PER_S

#: What rings are made for where no rate is given.
RATE_PER_S = 65_536
MIN_CELLS, MAX_CELLS = 1_024, 65_536


def cells_for(delay_ns: int, rate_per_s: float = RATE_PER_S) -> int:
    """A power of two, within bounds, that holds one and a half times the requests of `delay_ns`."""
    wanted = min(MAX_CELLS, max(MIN_CELLS, 3 * rate_per_s * delay_ns / (2 * NS_PER_S)))
    return 1 << (math.ceil(wanted) - 1).bit_length()


def capacity_per_s(delay_ns: int) -> float:
    """Requests per second that the ring for a delay of `delay_ns` holds."""
    return cells_for(delay_ns) * NS_PER_S / delay_ns
