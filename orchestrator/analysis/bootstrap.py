"""95 % intervals by resampling whole rounds.

Requests within a block depend on each other (one stall delays the next send, one busy second hits them all), so
single requests must not be resampled. Every strategy has one block in every round, and a resample draws the same
rounds for all of them: what disturbed a round disturbs both sides of a comparison alike, as in a paired test.
"""

from __future__ import annotations

import math

import numpy as np

from orchestrator.analysis.quantiles import Floats, Weights
from orchestrator.plan.sample_size import MIN_BLOCKS, TAIL

RESAMPLES = 2_000

Interval = tuple[float, float]


def resample(rounds: int, seed: int) -> Weights | None:
    """`RESAMPLES` draws of `rounds` rounds with replacement; None with fewer rounds than an interval needs."""
    if rounds < MIN_BLOCKS:
        return None
    draws = np.random.default_rng(seed)
    return draws.multinomial(rounds, np.full(rounds, 1 / rounds), size=RESAMPLES)


def interval(resampled: Floats) -> Interval | None:
    """The 95 % percentile interval of `resampled` values (+inf allowed); None where some resample has no value."""
    if np.isnan(resampled).any():
        return None
    ordered = np.sort(resampled)
    low = math.ceil(TAIL * len(ordered)) - 1
    high = math.ceil((1 - TAIL) * len(ordered)) - 1
    return float(ordered[low]), float(ordered[high])
