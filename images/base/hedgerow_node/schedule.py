"""When the requests of a block are sent in open arrivals: drawn before the block begins, the same for everybody.

The client keeps to this schedule and the orchestrator plans by it, so which ids a fault affects is known beforehand.
"""

from __future__ import annotations

import math
import random
from array import array

from hedgerow_node.units import NS_PER_S

PROCESSES = ("poisson", "constant")


def send_offsets_ns(process: str, rate_per_s: float, seed: int, first_id: int, count: int) -> array[int]:
    """When each of `count` requests, ids from `first_id` up, is sent, in ns after the first of them; ascending.

    "constant" spaces them 1 / `rate_per_s` apart; "poisson" by exponential gaps of that mean, drawn from `seed` and
    `first_id`. Raises ValueError for another process or a rate that is not positive.
    """
    if process not in PROCESSES:
        raise ValueError(f"{process!r} is no process of arrivals, expected one of {', '.join(PROCESSES)}")
    if not (rate_per_s > 0 and math.isfinite(rate_per_s)):
        raise ValueError(f"a rate of {rate_per_s} requests per second makes no schedule")
    if process == "constant":
        return array("q", (round(index * NS_PER_S / rate_per_s) for index in range(count)))
    uniform = random.Random(f"{seed}:{first_id}").random
    mean_ns = NS_PER_S / rate_per_s
    offsets, offset_ns = array("q"), 0.0
    for _ in range(count):
        offsets.append(int(offset_ns))
        offset_ns -= mean_ns * math.log1p(-uniform())
    return offsets
