"""How much the bench measures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Extent:
    """`seconds` is how long each single measurement takes, `rounds` how often each condition has its turn.

    `warmup` is the number of requests before programs are measured, so that their maps are full.
    """

    seconds: float
    rounds: int
    warmup: int
