"""Resampling whole rounds, which is what intervals and p-values rest on (`intervals`).

Requests within a block depend on each other (one stall delays the next send, one busy second hits them all), so
single requests must not be resampled. Every strategy has one block in every round, and a resample draws the same
rounds for all of them: what disturbed a round disturbs both sides of a comparison alike, as in a paired test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orchestrator.plan.sample_size import MIN_BLOCKS

if TYPE_CHECKING:
    from orchestrator.analysis.quantiles import Weights

RESAMPLES = 2_000


def resample(rounds: int, seed: int) -> Weights | None:
    """`RESAMPLES` draws of `rounds` rounds with replacement; None with fewer rounds than an interval needs."""
    if rounds < MIN_BLOCKS:
        return None
    draws = np.random.default_rng(seed)
    return draws.multinomial(rounds, np.full(rounds, 1 / rounds), size=RESAMPLES)
