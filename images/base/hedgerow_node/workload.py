"""What is known of every request before a block begins: when it is sent, to which replica, and where its hedge goes.

One definition for every strategy: the clients, the proxy, the kernel and the orchestrator compute the same from the
request's id and the seed alone, so that a difference between two strategies is never one in what they sent where, and
which requests a fault affects can be planned.
"""

from __future__ import annotations

import math
import random
from array import array

from hedgerow_node.units import NS_PER_S

PROCESSES = ("poisson", "constant")  #: of open arrivals
SPREADS = ("first", "round-robin")  #: how requests are spread over the replicas
TARGETS = ("same", "other")  #: where a hedge goes: to the request's own replica, or to another one


def send_offsets_ns(process: str, rate_per_s: float, seed: int, first_id: int, count: int) -> array[int]:
    """When each of `count` requests, ids from `first_id` up, is sent, in ns after the first of them; ascending.

    "constant" spaces them 1 / `rate_per_s` apart; "poisson" by exponential gaps of that mean, drawn from `seed` and
    `first_id`. Raises ValueError for another process or a rate that is not positive.
    """
    if process not in PROCESSES:
        raise ValueError(f"{process!r} is not a process of arrivals, expected one of {', '.join(PROCESSES)}")
    if not (rate_per_s > 0 and math.isfinite(rate_per_s)):
        raise ValueError(f"a rate of {rate_per_s} requests per second is not possible")
    if process == "constant":
        return array("q", (round(index * NS_PER_S / rate_per_s) for index in range(count)))
    uniform = random.Random(f"{seed}:{first_id}").random
    mean_ns = NS_PER_S / rate_per_s
    offsets, offset_ns = array("q"), 0.0
    for _ in range(count):
        offsets.append(int(offset_ns))
        offset_ns -= mean_ns * math.log1p(-uniform())
    return offsets


def primary_replica(spread: str, request_id: int, replicas: int) -> int:
    """The index of the replica that `request_id` is sent to: the first one, or each in its turn."""
    return request_id % replicas if spread == "round-robin" else 0


def hedge_replica(target: str, primary: int, request_id: int, replicas: int) -> int:
    """The index of the replica that the hedge of `request_id` goes to, the request itself having gone to `primary`.

    With target "other" the hedges of one replica's requests spread over all others; there must be at least two.
    """
    if target == "same":
        return primary
    return (primary + 1 + request_id % (replicas - 1)) % replicas
