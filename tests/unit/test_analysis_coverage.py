"""The promise of a 95 % interval, kept or not: how often it holds the true quantile of runs that were made up.

Heavy tails throughout, and blocks of different speed too, where requests depend on each other and the exact interval
by ranks, which takes them for independent, breaks its promise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray

from orchestrator.analysis.statistics import Rounds, interval, order_interval, plain, resample

RUNS = 500
Values = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int, int], Values]

PARETO_SHAPE, SIGMA, BLOCK_SIGMA = 1.5, 1.0, 0.2


def pareto(draws: np.random.Generator, blocks: int, requests: int) -> Values:
    return draws.pareto(PARETO_SHAPE, (blocks, requests)) + 1


def lognormal(draws: np.random.Generator, blocks: int, requests: int) -> Values:
    return draws.lognormal(0, SIGMA, (blocks, requests))


def moody(draws: np.random.Generator, blocks: int, requests: int) -> Values:
    """Every block is faster or slower as a whole."""
    return lognormal(draws, blocks, requests) * draws.lognormal(0, BLOCK_SIGMA, (blocks, 1))


def true_pareto(quantile: float) -> float:
    return float((1 - quantile) ** (-1 / PARETO_SHAPE))


def true_lognormal(quantile: float, sigma: float = SIGMA) -> float:
    return math.exp(sigma * NormalDist().inv_cdf(quantile))


def true_moody(quantile: float) -> float:
    return true_lognormal(quantile, math.hypot(SIGMA, BLOCK_SIGMA))


def coverage(draw: Draw, truth: float, blocks: int, requests: int, quantile: float) -> tuple[float, float]:
    """The share of runs whose interval by blocks holds `truth`, and that of the exact one by ranks."""
    draws = np.random.default_rng(20_261_125)
    weights = resample(blocks, seed=1)
    assert weights is not None
    index = np.repeat(np.arange(blocks), requests)
    held, held_by_ranks = 0, 0
    for _ in range(RUNS):
        figure = Rounds(draw(draws, blocks, requests).ravel(), index, blocks)
        value = float(figure.quantile(quantile, plain(blocks))[0])
        by_blocks = interval(figure.quantile(quantile, weights), value, blocks, time=True)
        by_ranks = order_interval(figure.merged, quantile)
        assert by_blocks is not None
        assert by_ranks is not None
        held += by_blocks[0] <= truth <= by_blocks[1]
        held_by_ranks += by_ranks[0] <= truth <= by_ranks[1]
    return held / RUNS, held_by_ranks / RUNS


@pytest.mark.parametrize("quantile", [0.5, 0.99])
@pytest.mark.parametrize(("blocks", "requests"), [(5, 400), (10, 300)])
@pytest.mark.parametrize(("draw", "true"), [(pareto, true_pareto), (moody, true_moody)])
def test_the_interval_by_blocks_holds_the_truth_as_often_as_it_says(
    draw: Draw, true: Callable[[float], float], blocks: int, requests: int, quantile: float
) -> None:
    held, _ = coverage(draw, true(quantile), blocks, requests, quantile)
    assert 0.93 <= held <= 0.97


@pytest.mark.parametrize("quantile", [0.5, 0.99])
def test_the_interval_by_ranks_holds_it_where_requests_are_independent_and_only_there(quantile: float) -> None:
    _, held = coverage(lognormal, true_lognormal(quantile), 5, 400, quantile)
    assert 0.93 <= held <= 0.98  # at least: ranks are whole numbers
    _, held = coverage(moody, true_moody(quantile), 5, 400, quantile)
    assert held < 0.9
