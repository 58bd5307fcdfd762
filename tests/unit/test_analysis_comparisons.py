"""Strategies compared by rounds: ratio and difference with their intervals, and what censored figures leave open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hedgerow_node.units import NS_PER_MS
from orchestrator.analysis.comparisons import Estimated, comparisons, overheads
from orchestrator.analysis.statistics import plain
from support.figures import ends
from support.run_folder_factory import ScenarioOverride, data_of, finished_run, scenario_from

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.runfolder.summary import Comparison

TIMEOUT_NS = 450 * NS_PER_MS


def test_strategies_are_compared_with_the_baseline_and_the_others_with_the_kernel(tmp_path: Path) -> None:
    run = data_of(finished_run(tmp_path, scenario_from("smoke", "workload.requests=1000")))
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


def figures_of(folder: Path, by_strategy: Mapping[str, ScenarioOverride]) -> dict[str, Comparison]:
    """How kernel and baseline compare, by figure, in a run with what is changed `by_strategy`."""
    run = data_of(finished_run(folder, scenario_from("smoke", "workload.requests=1000"), by_strategy))
    rows = list(comparisons(("baseline", "kernel"), run.arms[0].measures, run.resamples, TIMEOUT_NS))
    return {row.figure: row for row in rows}


def lost(*ids: int, blocks: int = 5) -> ScenarioOverride:
    """These ids of each of the first `blocks` blocks of 200 are not answered."""
    return ScenarioOverride(unanswered=frozenset(block * 200 + id_ for block in range(blocks) for id_ in ids))


def test_a_censored_figure_keeps_its_row_and_the_end_that_is_known(tmp_path: Path) -> None:
    found = figures_of(tmp_path, {"kernel": lost(40, 50, 60, 70)})
    assert (found["p99"].ratio, found["p99"].difference_ms) == (None, None)
    assert found["p99"].censored == ("strategy",)
    # the time-out against the baseline's stalls
    assert ends(found["p99"].ratio_ci95) == (pytest.approx(450 / 402, rel=0.01), None)
    assert ends(found["p99"].difference_ci95_ms) == (pytest.approx(450 - 402, rel=0.1), None)
    assert found["p50"].ratio == pytest.approx(1, abs=0.05)
    assert found["p50"].censored == ()


def test_a_censored_reference_bounds_the_ratio_from_above(tmp_path: Path) -> None:
    found = figures_of(tmp_path, {"baseline": lost(40, 50, 60, 70)})
    assert (found["p99"].ratio, found["p99"].censored) == (None, ("with",))
    assert ends(found["p99"].ratio_ci95) == (0, pytest.approx(12.7 / 450, rel=0.05))
    assert ends(found["p99"].difference_ci95_ms) == (None, pytest.approx(12.7 - 450, rel=0.01))


def test_a_reference_censored_in_some_resamples_leaves_one_end_open(tmp_path: Path) -> None:
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


def test_two_censored_figures_have_no_comparison(tmp_path: Path) -> None:
    found = figures_of(tmp_path, {"baseline": lost(40, 50, 60, 70), "kernel": lost(40, 50, 60, 70)})
    assert found["p99"].censored == ("strategy", "with")
    assert (found["p99"].ratio_ci95, found["p99"].difference_ci95_ms) == (None, None)


def test_overheads_are_those_of_each_condition_over_the_first(tmp_path: Path) -> None:
    folder = finished_run(tmp_path, scenario_from("smoke", "workload.requests=2000"))
    bare, kernel = overheads(folder, ("baseline", "kernel"))
    assert (bare.condition, bare.over_us, kernel.condition) == ("baseline", None, "kernel")
    for figure in (bare.p50_us, bare.p99_us, kernel.p50_us, kernel.p99_us):
        value, low, high = present(figure)
        assert 0 < low <= value <= high
    over, low, high = present(kernel.over_us)
    assert over == pytest.approx(present(kernel.p50_us)[0] - present(bare.p50_us)[0], abs=0.002)
    assert low <= over <= high


def test_overheads_of_few_blocks_have_no_interval(tmp_path: Path) -> None:
    (bare,) = overheads(finished_run(tmp_path, scenario_from("smoke", "design.blocks=4")), ("baseline",))
    assert bare.p50_us[0] is not None
    assert bare.p50_us[1:] == (None, None)


def present(figure: Estimated | None) -> tuple[float, float, float]:
    """A figure with both ends of its interval, all of which there are."""
    assert figure is not None
    value, low, high = figure
    assert value is not None
    assert low is not None
    assert high is not None
    return value, low, high
