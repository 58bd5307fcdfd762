"""Which replica a request is asked of, and which one its hedge goes to.

One definition for every strategy: the clients, the proxy and the kernel compute the same choice from the request's
id alone, so that a difference between two strategies is never a difference in where they sent what.
"""

from __future__ import annotations

SPREADS = ("first", "round-robin")  #: how requests are spread over the replicas
TARGETS = ("same", "other")  #: where a hedge goes: to the replica that was asked, or to another one


def primary_replica(spread: str, request_id: int, replicas: int) -> int:
    """The index of the replica that `request_id` is asked of: the first one, or each in its turn."""
    return request_id % replicas if spread == "round-robin" else 0


def hedge_replica(target: str, asked: int, request_id: int, replicas: int) -> int:
    """The index of the replica that the hedge of `request_id` goes to, the request having been asked of `asked`.

    With target "other" the hedges of one replica's requests spread over all others; there must be at least two.
    """
    if target == "same":
        return asked
    return (asked + 1 + request_id % (replicas - 1)) % replicas
