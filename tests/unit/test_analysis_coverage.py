"""How often a 95 % interval holds the true quantile, in simulated runs; docs/simulations.md has the table.

Heavy tails throughout, and blocks that differ in several ways. There requests depend on each other, and the exact
interval by ranks, which takes them for independent, holds it less often than it should. HEDGEROW_LONG=1 simulates as
many runs as the table rests on.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from orchestrator.analysis.statistics import Interval, Rounds, order_interval, plain
from support.run_folder_factory import ROOT
from support.simulated_runs import (
    LONG,
    Effects,
    Values,
    correlated,
    of_sigma,
    one_slow_in_ten,
    quick_resamples,
    steady,
    true_quantile,
)

RUNS = 2_000 if LONG else 120
REQUESTS = 400
#: Share of 2,000 runs whose interval holds the true P50, and the true P99, by the row of the table and the blocks.
MEASURED: dict[str, dict[int, tuple[float, float]]] = {
    "steady": {5: (0.964, 0.954), 6: (0.953, 0.958), 10: (0.952, 0.968)},
    "sigma 0.2": {5: (0.939, 0.949), 6: (0.96, 0.956), 10: (0.96, 0.956)},
    "sigma 0.5": {5: (0.945, 0.901), 6: (0.958, 0.914), 10: (0.961, 0.906)},
    "sigma 1": {5: (0.952, 0.772), 6: (0.963, 0.792), 10: (0.966, 0.805)},
    "correlated": {5: (0.675, 0.759), 6: (0.667, 0.757), 10: (0.65, 0.714)},
    "slow": {5: (0.46, 0.383), 6: (0.481, 0.454), 10: (0.634, 0.633)},
}
ROWS: dict[str, tuple[str, Effects]] = {
    "steady": ("alike", steady),
    "sigma 0.2": ("differ, 0.2", of_sigma(0.2)),
    "sigma 0.5": ("0.5", of_sigma(0.5)),
    "sigma 1": ("1", of_sigma(1)),
    "correlated": ("each block much like the one before (correlation 0.7, standard deviation 0.3)", correlated),
    "slow": ("one in ten five times as slow", one_slow_in_ten),
}
QUANTILES = (0.5, 0.99)


def pareto(draws: np.random.Generator, blocks: int) -> Values:
    """Latencies without a variance."""
    return draws.pareto(1.5, (blocks, REQUESTS)) + 1


def lognormal(draws: np.random.Generator, blocks: int, effects: Effects = steady) -> Values:
    return draws.lognormal(0, 1, (blocks, REQUESTS)) * effects(draws, blocks)[:, None]


def by_blocks(values: Values, quantile: float) -> Interval:
    blocks = len(values)
    figure = Rounds(values.ravel(), np.repeat(np.arange(blocks), REQUESTS), blocks)
    resamples = quick_resamples(blocks)
    value = float(figure.quantile(quantile, plain(blocks))[0])
    observed = float(figure.merged[0]), float(figure.merged[-1])
    ends = resamples.interval(figure.quantile(quantile, resamples.counts), value, logs=True, within=observed)
    assert ends is not None
    return ends


def by_ranks(values: Values, quantile: float) -> Interval:
    ends = order_interval(np.sort(values.ravel()), quantile)
    assert ends is not None
    return ends


def share_held(runs: list[Interval], truth: float) -> float:
    return float(np.mean([low <= truth <= high for low, high in runs]))


def chance(expected: float) -> float:
    """By how much a share of RUNS may differ from one of 2,000 that is `expected`: four standard errors."""
    return 4 * math.sqrt(max(expected * (1 - expected), 0.02) * (1 / RUNS + 1 / 2000))


@pytest.mark.parametrize("blocks", [5, 6, 10])
@pytest.mark.parametrize("row", ROWS)
def test_intervals_hold_the_truth_as_often_as_was_measured(row: str, blocks: int) -> None:
    _, effects = ROWS[row]
    draws = np.random.default_rng(20_261_125)
    runs = [lognormal(draws, blocks, effects) for _ in range(RUNS)]
    for quantile, expected in zip(QUANTILES, MEASURED[row][blocks], strict=True):
        held = share_held([by_blocks(run, quantile) for run in runs], true_quantile(effects, quantile))
        assert held == pytest.approx(expected, abs=chance(expected)), quantile


@pytest.mark.parametrize("quantile", QUANTILES)
@pytest.mark.parametrize("blocks", [5, 10])
def test_of_independent_requests_with_the_heaviest_tails_they_hold_it_in_95_percent(
    blocks: int, quantile: float
) -> None:
    draws = np.random.default_rng(1)
    runs = [by_blocks(pareto(draws, blocks), quantile) for _ in range(2 * RUNS)]
    assert share_held(runs, (1 - quantile) ** (-1 / 1.5)) == pytest.approx(0.955, abs=chance(0.955) / 1.2)


@pytest.mark.parametrize("quantile", QUANTILES)
def test_the_interval_by_ranks_does_so_only_where_requests_are_independent(quantile: float) -> None:
    draws = np.random.default_rng(2)
    alike = [by_ranks(lognormal(draws, 5), quantile) for _ in range(500)]
    assert 0.93 <= share_held(alike, math.exp(NormalDist().inv_cdf(quantile))) <= 0.985  # at least: ranks are whole
    differing = [by_ranks(lognormal(draws, 5, of_sigma(0.2)), quantile) for _ in range(500)]
    assert share_held(differing, true_quantile(of_sigma(0.2), quantile)) < 0.9


def test_the_page_has_what_was_measured() -> None:
    page = (ROOT / "docs" / "simulations.md").read_text()
    for row, (words, _) in ROWS.items():
        quantiles = zip(*MEASURED[row].values(), strict=True)
        cells = [" / ".join(f"{100 * held:.1f}" for held in measured) for measured in quantiles]
        assert f"| {words} | {' | '.join(cells)} |" in page
