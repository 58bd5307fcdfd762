"""Noise: two halves of the baseline that show no effect, and how late wake-ups were before the run."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hedgerow_node.units import NS_PER_MS
from orchestrator.analysis.noise import Halves, HostNoise, controls, halves
from orchestrator.analysis.statistics import Rounds
from orchestrator.runfolder.observed import Lateness
from support.figures import ends
from support.run_folder_factory import ScenarioOverride, data_of, finished_run, scenario_from

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.analysis.run_data import RunData
    from orchestrator.runfolder.summary import ControlResult

TIMEOUT_NS = 450 * NS_PER_MS
LATENESS_US = Lateness(p50=60.0, p99=250.0, max=4000.0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    """A smoke run with twice the requests, so that even half of them carry a P99."""
    folder = tmp_path_factory.mktemp("results")
    return data_of(finished_run(folder, scenario_from("smoke", "workload.requests=1000")))


def halves_of(run: RunData, seed: int = 1) -> Halves:
    pair = halves(run.arms[0], run.round_numbers, seed)
    assert pair is not None
    return pair


def control_of(pair: Halves, run: RunData) -> ControlResult:
    """The control of a run whose only arm has these halves."""
    (found,) = controls([(pair, TIMEOUT_NS)], run.resamples)
    assert found is not None
    return found


def test_every_request_is_in_one_half_and_blocks_are_split_evenly(run: RunData) -> None:
    one, other = halves_of(run)
    assert one.requests.tolist() == other.requests.tolist() == [100] * 5
    together = np.sort(np.concatenate([one.latency.merged, other.latency.merged]))
    assert together.tolist() == run.arms[0].measures["baseline"].latency.merged.tolist()


def test_both_halves_have_as_many_stalled_requests(run: RunData) -> None:
    for half in halves_of(run):
        assert [int((group > 300 * NS_PER_MS).sum()) for group in half.latency.groups] == [2] * 5


def test_the_same_seed_gives_the_same_halves(run: RunData) -> None:
    first, again, another = (halves_of(run, seed) for seed in (1, 1, 2))
    assert first[0].latency.merged.tolist() == again[0].latency.merged.tolist()
    assert first[0].latency.merged.tolist() != another[0].latency.merged.tolist()


def test_the_baseline_shows_no_effect_against_itself(run: RunData) -> None:
    found = control_of(halves_of(run), run)
    assert (found.strategy, found.requests, found.no_effect) == ("baseline", (500, 500), True)
    assert set(found.figures) == {"p50", "p95", "p99", "mean"}
    median = found.figures["p50"]
    low, high = ends(median.ratio_ci95)
    assert low <= 1 <= high
    assert median.ratio == pytest.approx(1, abs=0.05)
    assert ends(median.difference_ci95_ms)[0] <= 0 <= ends(median.difference_ci95_ms)[1]


def test_an_effect_between_the_halves_would_be_seen(run: RunData) -> None:
    pair = halves_of(run)
    slowed = copy.copy(pair[1])
    slowed.latency = Rounds(np.concatenate(slowed.latency.groups) * 1.5, np.repeat(np.arange(5), 100), 5)
    found = control_of((pair[0], slowed), run)
    assert found.no_effect is False
    assert found.figures["p50"].ratio == pytest.approx(1 / 1.5, rel=0.05)


def test_too_few_blocks_give_the_ratio_without_an_interval(tmp_path: Path) -> None:
    few = data_of(finished_run(tmp_path, scenario_from("smoke", "design.blocks=2")))
    found = control_of(halves_of(few), few)
    assert found.no_effect is None
    assert found.figures["p50"].ratio_ci95 is None


def test_a_half_that_is_too_small_for_a_quantile_gives_it_no_interval(tmp_path: Path) -> None:
    small = data_of(finished_run(tmp_path, scenario_from("smoke")))
    found = control_of(halves_of(small), small)
    assert found.figures["p99"].ratio_ci95 is None  # 250 requests, 368 are needed
    assert found.figures["p50"].ratio_ci95 is not None


def test_a_control_without_intervals_says_why(tmp_path: Path) -> None:
    few = data_of(finished_run(tmp_path / "few", scenario_from("smoke", "design.blocks=2")))
    assert control_of(halves_of(few), few).reason == "fewer than 5 blocks"
    override = ScenarioOverride(unanswered=frozenset(id_ for id_ in range(500) if id_ % 5 > 1))
    lossy = data_of(finished_run(tmp_path / "lossy", scenario_from("smoke"), {"baseline": override}))
    found = control_of(halves_of(lossy), lossy)
    assert (found.no_effect, found.p_adjusted) == (None, None)
    assert found.reason == "300 of 500 requests were not answered"
    assert set(found.figures) == {"p50", "p95", "p99", "mean"}
    assert found.figures["p99"].censored == ("strategy", "with")


def test_an_effect_of_one_arm_among_many_may_be_chance(run: RunData) -> None:
    """What shows alone with p = 0.01 to 0.05 does not among ten arms."""
    pair = halves_of(run)
    groups = pair[1].latency.groups
    for slower in np.arange(1.0, 1.2, 0.001):
        slowed = copy.copy(pair[1])
        slowed.latency = Rounds(np.concatenate(groups) * slower, np.repeat(np.arange(5), 100), 5)
        alone = control_of((pair[0], slowed), run)
        assert alone.p_adjusted is not None
        if 0.01 < alone.p_adjusted < 0.05:
            break
    assert alone.p_adjusted is not None
    assert alone.no_effect is False
    others: list[tuple[Halves | None, int]] = [(pair, TIMEOUT_NS)] * 9
    found = controls([((pair[0], slowed), TIMEOUT_NS), (None, TIMEOUT_NS), *others], run.resamples)
    assert found[0] is not None
    assert found[0].p_adjusted == pytest.approx(10 * alone.p_adjusted, abs=1e-5)
    assert (found[0].no_effect, found[1]) == (True, None)
    for name, figure in found[0].figures.items():
        (low, high), (narrow_low, narrow_high) = (ends(each.ratio_ci95) for each in (figure, alone.figures[name]))
        assert low < narrow_low <= narrow_high < high
        assert figure.no_effect


@pytest.mark.parametrize(
    ("quantile", "floor_ns"),
    [(0.25, 60e3), (0.5, 60e3), (0.75, 250e3), (0.99, 250e3), (0.999, 4e6), (1.0, 4e6), (None, 250e3)],
)
def test_a_quantile_is_measured_against_the_next_figure_above_it(quantile: float | None, floor_ns: float) -> None:
    assert HostNoise.of(LATENESS_US).floor_ns(quantile) == floor_ns


def test_a_mean_is_measured_against_the_mean_where_the_probe_has_one() -> None:
    noise = HostNoise.of(replace(LATENESS_US, mean=75.0))
    assert (noise.floor_ns(None), noise.format_floor(None)) == (75e3, "75 µs late (on average)")
    assert noise.floor_ns(0.5) == 60e3


def test_a_floor_in_words() -> None:
    assert HostNoise.of(LATENESS_US).format_floor(0.99) == "250 µs late (P99)"
