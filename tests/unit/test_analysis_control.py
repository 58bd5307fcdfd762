"""The A/A control's intervals hold together, and agree with the p-values beside them, whatever the number of arms."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import t as student

from orchestrator.analysis.noise import FIGURES, Halves, controls
from orchestrator.analysis.statistics import DRAWS, FEWEST_BEYOND, Resamples, plain, resample
from support.figures import ends
from support.simulated_runs import LONG, TIMEOUT_NS, Effects, measures, of_sigma, quick_resamples, steady

if TYPE_CHECKING:
    from orchestrator.runfolder.summary import ControlResult, Interval

RUNS = 1_000 if LONG else 60
REQUESTS = 400  #: of a half in a block


def halves(draws: np.random.Generator, blocks: int, effects: Effects = steady, slower: float = 1) -> Halves:
    """Two halves of the same blocks; the second has its latencies times `slower`."""
    speeds = effects(draws, blocks)[:, None]
    one, other = (1e6 * speeds * draws.lognormal(0, 1, (blocks, REQUESTS)) for _ in range(2))
    return measures(one), measures(slower * other)


def controls_of(pairs: list[Halves], resamples: Resamples | None = None) -> list[ControlResult]:
    """The controls of a run of these arms, with an analysis's resamples where no others are given."""
    found = controls([(pair, TIMEOUT_NS) for pair in pairs], resamples or resample(pairs[0][0].rounds))
    return [control for control in found if control is not None]


def leaves_out(interval: Interval | None, value: float) -> bool:
    low, high = ends(interval)
    return not low <= value <= high


def misses(found: list[ControlResult]) -> bool:
    """Whether some interval, of a ratio or of a difference, leaves out that nothing differs."""
    figures = [figure for control in found for figure in control.figures.values()]
    return any(leaves_out(each.ratio_ci95, 1) or leaves_out(each.difference_ci95_ms, 0) for each in figures)


@pytest.mark.parametrize(("blocks", "arms"), [(5, 1), (5, 4), (6, 1), (10, 1), (10, 3)])
@pytest.mark.parametrize("effects", [steady, of_sigma(0.5)], ids=["alike", "sigma 0.5"])
def test_all_intervals_of_a_run_hold_together_in_95_of_100_runs(blocks: int, arms: int, effects: Effects) -> None:
    draws, resamples = np.random.default_rng(blocks * 100 + arms), quick_resamples(blocks)
    runs = RUNS if LONG else RUNS // arms
    missed = sum(
        misses(controls_of([halves(draws, blocks, effects) for _ in range(arms)], resamples)) for _ in range(runs)
    )
    print(f"{blocks} blocks, {arms} arms: {missed} of {runs} runs")
    # three standard errors of the simulation
    assert missed <= runs * (0.05 + 3 * math.sqrt(0.05 * 0.95 / runs))


@pytest.mark.parametrize(("blocks", "arms"), [(5, 1), (5, 3), (8, 1), (9, 1), (10, 8)])
def test_an_effect_shows_exactly_where_an_interval_of_a_ratio_leaves_one_out(blocks: int, arms: int) -> None:
    """Over effects of all sizes, so that both happen, and often nearly."""
    draws = np.random.default_rng(3)
    seen = set()
    for slower in np.geomspace(1, 2.5, 20 if arms == 1 else 6):
        pairs = [halves(draws, blocks, slower=slower if arm == 0 else 1) for arm in range(arms)]
        found = controls_of(pairs)
        shows = any(control.no_effect is False for control in found)
        figures = [figure for control in found for figure in control.figures.values()]
        assert shows == any(leaves_out(figure.ratio_ci95, 1) for figure in figures)
        assert shows == any(figure.no_effect is False for figure in figures)
        assert min(figure.p_adjusted or 0 for figure in figures) == min(control.p_adjusted or 0 for control in found)
        seen.add(shows)
    assert seen == {True, False}


def test_each_interval_is_as_much_surer_as_there_are_intervals() -> None:
    draws = np.random.default_rng(4)
    pairs = [halves(draws, 5) for _ in range(4)]
    (alone,), (together, *_) = controls_of(pairs[:1]), controls_of(pairs)
    assert (alone.intervals_together, alone.level_of_each) == (len(FIGURES), 0.9875)
    assert (together.intervals_together, together.level_of_each) == (16, 0.996875)
    for name in FIGURES:
        (narrow_low, narrow_high), (low, high) = (ends(each.figures[name].ratio_ci95) for each in (alone, together))
        assert low < narrow_low < 1.2
        assert 0.8 < narrow_high < high


def test_an_interval_further_out_than_the_draws_is_student_s_t() -> None:
    """Of 20,000 draws none can be the one in 200 million that 16 arms of ten blocks ask for."""
    draws = np.random.default_rng(5)
    pairs = [halves(draws, 10) for _ in range(16)]
    first = controls_of(pairs)[0]
    assert first.intervals_together == 64
    resamples = resample(10)
    assert resamples is not None
    one, other = pairs[0]
    logs = np.log(one.evaluate("p50", resamples.counts) / other.evaluate("p50", resamples.counts))
    middle = np.log(one.evaluate("p50", plain(10)) / other.evaluate("p50", plain(10)))[0]
    reach = student.ppf(1 - 0.05 / 64 / 2, 9) * logs.std() * math.sqrt(10 / 9)
    expected = np.exp([middle - reach, middle + reach])
    assert ends(first.figures["p50"].ratio_ci95) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("level", [0.05, 0.0125, 0.05 / 60, 1e-9])
def test_no_end_rests_on_fewer_draws_than_carry_it(level: float) -> None:
    """Values of which a few draws are absurd, in a figure whose resamples otherwise hardly vary."""
    resamples = resample(10)
    assert resamples is not None
    assert len(resamples.counts) == DRAWS
    values = np.ones(DRAWS)
    values[: FEWEST_BEYOND - 1] = 1000.0
    interval = resamples.interval(values, 1.0, level=level)
    spread = resamples.spread(values)
    assert ends(interval)[1] == pytest.approx(1 + student.ppf(1 - level / 2, 9) * spread)
    values[:FEWEST_BEYOND] = 1e6
    assert resamples.carried(values > 1).any()
    assert not resamples.carried(values > 1e7).any()


def test_intervals_at_a_stricter_level_hold_those_at_a_laxer_one() -> None:
    draws = np.random.default_rng(6)
    for blocks in (5, 8, 9, 20):
        resamples = resample(blocks)
        assert resamples is not None
        one, _ = halves(draws, blocks, of_sigma(1))
        values, value = one.evaluate("p99", resamples.counts), float(one.evaluate("p99", plain(blocks))[0])
        found = [
            ends(resamples.interval(values, value, logs=True, level=0.05 / count)) for count in (1, 4, 60, 10**6)
        ]
        assert [low for low, _ in found] == sorted((low for low, _ in found), reverse=True)
        assert [high for _, high in found] == sorted(high for _, high in found)
