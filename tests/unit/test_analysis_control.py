"""The A/A control: two halves of the baseline that show no effect, and strategies compared by rounds."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from hedgerow_node.units import NS_PER_MS
from orchestrator.analysis.control import Halves, controls, halves
from orchestrator.analysis.paired import comparisons
from orchestrator.analysis.run_data import RunData, read_run
from orchestrator.analysis.statistics import Rounds, plain
from support.run_folder_factory import Story, finished_run, scenario_from

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.runfolder.summary import Comparison, ControlResult, Interval

TIMEOUT_NS = 450 * NS_PER_MS


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    """A smoke run with twice the requests, so that even half of them carry a P99."""
    folder = tmp_path_factory.mktemp("results")
    return read_run(finished_run(folder, scenario_from("smoke", "workload.requests=1000")))


def halves_of(run: RunData, seed: int = 1) -> Halves:
    pair = halves(run.arms[0], run.round_numbers, seed)
    assert pair is not None
    return pair


def control_of(pair: Halves, run: RunData) -> ControlResult:
    """The control of a run whose only arm has these halves."""
    (found,) = controls([(pair, TIMEOUT_NS)], run.resamples)
    assert found is not None
    return found


def ends(interval: Interval | None) -> tuple[Any, Any]:
    """Both ends of an interval that there is."""
    assert interval is not None
    return interval


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


def test_too_few_blocks_tell_the_ratio_and_no_more(tmp_path: Path) -> None:
    few = read_run(finished_run(tmp_path, scenario_from("smoke", "design.blocks=2")))
    found = control_of(halves_of(few), few)
    assert found.no_effect is None
    assert found.figures["p50"].ratio_ci95 is None


def test_a_half_that_is_too_small_for_a_quantile_gives_it_no_interval(tmp_path: Path) -> None:
    small = read_run(finished_run(tmp_path, scenario_from("smoke")))
    found = control_of(halves_of(small), small)
    assert found.figures["p99"].ratio_ci95 is None  # 250 requests, 368 are needed
    assert found.figures["p50"].ratio_ci95 is not None


def test_strategies_are_compared_with_the_baseline_and_the_others_with_the_kernel(run: RunData) -> None:
    measures = run.arms[0].measures
    rows = list(comparisons(run.arms[0].scenario.strategies, measures, run.resamples, TIMEOUT_NS))
    assert {(row.strategy, row.reference) for row in rows} == {
        ("app-seed", "baseline"),
        ("app-deadline", "baseline"),
        ("kernel", "baseline"),
        ("app-seed", "kernel"),
        ("app-deadline", "kernel"),
    }
    (cut,) = [row for row in rows if (row.strategy, row.reference, row.figure) == ("kernel", "baseline", "p99")]
    p99s = {name: measures[name].evaluate("p99", plain(run.rounds))[0] for name in ("kernel", "baseline")}
    assert cut.ratio == pytest.approx(p99s["kernel"] / p99s["baseline"], abs=1e-6)
    assert cut.difference_ms == pytest.approx((p99s["kernel"] - p99s["baseline"]) / 1e6, abs=1e-6)
    assert ends(cut.ratio_ci95)[0] <= p99s["kernel"] / p99s["baseline"] <= ends(cut.ratio_ci95)[1] < 0.05
    assert ends(cut.difference_ci95_ms)[1] < -380


def figures_of(folder: Path, stories: Mapping[str, Story]) -> dict[str, Comparison]:
    """How kernel and baseline compare in a run with `stories`, by figure."""
    run = read_run(finished_run(folder, scenario_from("smoke", "workload.requests=1000"), stories))
    rows = list(comparisons(("baseline", "kernel"), run.arms[0].measures, run.resamples, TIMEOUT_NS))
    return {row.figure: row for row in rows}


def lost(*ids: int, blocks: int = 5) -> Story:
    """These ids of each of the first `blocks` blocks of 200 are not answered."""
    return Story(unanswered=frozenset(block * 200 + id_ for block in range(blocks) for id_ in ids))


def test_what_falls_among_unanswered_requests_keeps_its_row_and_the_end_that_is_known(tmp_path: Path) -> None:
    found = figures_of(tmp_path, {"kernel": lost(40, 50, 60, 70)})
    assert (found["p99"].ratio, found["p99"].difference_ms) == (None, None)
    assert found["p99"].censored == ("strategy",)
    # the time-out against the baseline's stalls
    assert ends(found["p99"].ratio_ci95) == (
        pytest.approx(450 / 402, rel=0.01),
        None,
    )  # the time-out against the baseline's stalls
    assert ends(found["p99"].difference_ci95_ms) == (pytest.approx(450 - 402, rel=0.1), None)
    assert found["p50"].ratio == pytest.approx(1, abs=0.05)
    assert found["p50"].censored == ()


def test_a_yardstick_among_unanswered_requests_bounds_the_ratio_from_above(tmp_path: Path) -> None:
    found = figures_of(tmp_path, {"baseline": lost(40, 50, 60, 70)})
    assert (found["p99"].ratio, found["p99"].censored) == (None, ("with",))
    assert ends(found["p99"].ratio_ci95) == (0, pytest.approx(12.7 / 450, rel=0.05))
    assert ends(found["p99"].difference_ci95_ms) == (None, pytest.approx(12.7 - 450, rel=0.01))


def test_where_only_some_resamples_of_the_yardstick_are_censored_one_end_is_open(tmp_path: Path) -> None:
    """5 of 200 in one block of five: P99 is a number but in resamples that hold that block thrice."""
    found = figures_of(tmp_path, {"baseline": lost(40, 50, 60, 70, 80, blocks=1)})
    row = found["p99"]
    assert row.censored == ()
    assert ends(row.ratio_ci95)[0] == 0
    assert row.ratio is not None
    assert row.difference_ms is not None
    assert row.ratio < ends(row.ratio_ci95)[1] < 0.05
    low, high = ends(row.difference_ci95_ms)
    assert low is None
    assert row.difference_ms < high < -350


def test_two_figures_among_unanswered_requests_say_nothing_of_each_other(tmp_path: Path) -> None:
    found = figures_of(tmp_path, {"baseline": lost(40, 50, 60, 70), "kernel": lost(40, 50, 60, 70)})
    assert found["p99"].censored == ("strategy", "with")
    assert (found["p99"].ratio_ci95, found["p99"].difference_ci95_ms) == (None, None)


def test_a_control_without_intervals_says_why(tmp_path: Path) -> None:
    few = read_run(finished_run(tmp_path / "few", scenario_from("smoke", "design.blocks=2")))
    assert control_of(halves_of(few), few).reason == "fewer than 5 blocks"
    story = Story(unanswered=frozenset(id_ for id_ in range(500) if id_ % 5 > 1))
    lossy = read_run(finished_run(tmp_path / "lossy", scenario_from("smoke"), {"baseline": story}))
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
    assert found[0].figures == alone.figures
