"""The A/A control: two halves of the baseline that show no effect, and strategies compared by rounds."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest

from hedgerow_node.units import NS_PER_MS
from orchestrator.analysis.control import Halves, control, halves
from orchestrator.analysis.paired import comparisons, paired
from orchestrator.analysis.quantiles import Rounds, plain
from orchestrator.analysis.run_data import RunData, read_run
from unit.run_folder_factory import Story, finished_run, scenario_from


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    """A smoke run with twice the requests, so that even half of them carry a P99."""
    folder = tmp_path_factory.mktemp("results")
    return read_run(finished_run(folder, scenario_from("smoke", "workload.requests=1000")))


def halves_of(run: RunData, seed: int = 1) -> Halves:
    pair = halves(run.arms[0], run.round_numbers, seed)
    assert pair is not None
    return pair


def test_every_request_is_in_one_half_and_blocks_are_split_evenly(run: RunData) -> None:
    one, other = halves_of(run)
    assert one.requests.tolist() == other.requests.tolist() == [100] * 5
    together = np.sort(np.concatenate([one.latency.merged, other.latency.merged]))
    assert together.tolist() == run.arms[0].measures["baseline"].latency.merged.tolist()


def test_both_halves_have_as_many_stalled_requests(run: RunData) -> None:
    for half in halves_of(run):
        assert [int((group > 300 * NS_PER_MS).sum()) for group in half.latency.groups] == [2] * 5


def test_the_same_seed_deals_the_same_halves(run: RunData) -> None:
    first, again, another = (halves_of(run, seed) for seed in (1, 1, 2))
    assert first[0].latency.merged.tolist() == again[0].latency.merged.tolist()
    assert first[0].latency.merged.tolist() != another[0].latency.merged.tolist()


def test_the_baseline_shows_no_effect_against_itself(run: RunData) -> None:
    found = control(halves_of(run), run.resamples)
    assert (found["strategy"], found["requests"], found["null"]) == ("baseline", [500, 500], True)
    assert set(found["figures"]) == {"p50", "p95", "p99", "mean"}
    median = found["figures"]["p50"]
    low, high = median["ratio_ci95"]
    assert low <= 1 <= high
    assert median["ratio"] == pytest.approx(1, abs=0.05)
    assert median["difference_ci95_ms"][0] <= 0 <= median["difference_ci95_ms"][1]


def test_an_effect_between_the_halves_would_be_seen(run: RunData) -> None:
    pair = halves_of(run)
    slowed = copy.copy(pair[1])
    slowed.latency = Rounds(np.concatenate(slowed.latency.groups) * 1.5, np.repeat(np.arange(5), 100), 5)
    found = control((pair[0], slowed), run.resamples)
    assert found["null"] is False
    assert found["figures"]["p50"]["ratio"] == pytest.approx(1 / 1.5, rel=0.05)


def test_too_few_blocks_tell_the_ratio_and_no_more(tmp_path: Path) -> None:
    few = read_run(finished_run(tmp_path, scenario_from("smoke", "design.blocks=2")))
    found = control(halves_of(few), few.resamples)
    assert found["null"] is None
    assert found["figures"]["p50"]["ratio_ci95"] is None


def test_a_half_that_is_too_small_for_a_quantile_gives_it_no_interval(tmp_path: Path) -> None:
    small = read_run(finished_run(tmp_path, scenario_from("smoke")))
    found = control(halves_of(small), small.resamples)
    assert found["figures"]["p99"]["ratio_ci95"] is None  # 250 requests, 368 are needed
    assert found["figures"]["p50"]["ratio_ci95"] is not None


def test_strategies_are_compared_with_the_baseline_and_the_others_with_the_kernel(run: RunData) -> None:
    measures = run.arms[0].measures
    rows = list(comparisons(run.arms[0].scenario.strategies, measures, run.resamples))
    assert {(row["strategy"], row["with"]) for row in rows} == {
        ("app-seed", "baseline"),
        ("app-deadline", "baseline"),
        ("kernel", "baseline"),
        ("app-seed", "kernel"),
        ("app-deadline", "kernel"),
    }
    (cut,) = [row for row in rows if (row["strategy"], row["with"], row["figure"]) == ("kernel", "baseline", "p99")]
    p99s = {name: measures[name].evaluate("p99", plain(run.rounds))[0] for name in ("kernel", "baseline")}
    assert cut["ratio"] == pytest.approx(p99s["kernel"] / p99s["baseline"], abs=1e-6)
    assert cut["difference_ms"] == pytest.approx((p99s["kernel"] - p99s["baseline"]) / 1e6, abs=1e-6)
    assert cut["ratio_ci95"][0] <= cut["ratio"] <= cut["ratio_ci95"][1] < 0.05
    assert cut["difference_ci95_ms"][1] < -380


def test_what_falls_among_unanswered_requests_is_not_compared(tmp_path: Path) -> None:
    story = Story(unanswered=frozenset(range(0, 500, 20)))
    run = read_run(finished_run(tmp_path, scenario_from("smoke"), {"kernel": story}))
    measures = run.arms[0].measures
    assert paired(measures["kernel"], measures["baseline"], "p99", run.resamples) is None
    assert paired(measures["kernel"], measures["baseline"], "p50", run.resamples) is not None
