"""Plots of arms, faults and sweeps: what is in them, and that nothing stands over anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from orchestrator.analysis.statistics import Rounds
from orchestrator.plan.sample_size import samples_needed
from orchestrator.report.plots import PLOTS, draw, file_endings
from orchestrator.report.plots.distributions import hedged_ecdf, latency_ccdf, lateness_ecdf
from orchestrator.report.plots.load import extra_load
from orchestrator.report.plots.over_time import latency_over_time
from orchestrator.report.plots.style import MARKS, STYLES, save
from orchestrator.report.plots.sweep import sweep
from support.arms_scenarios import ARMS, GRID, SWEEP
from support.run_folder_factory import data_of, experiment_from, finished_run, summarised

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.transforms import Bbox

    from orchestrator.analysis.run_data import ArmData, RunData
    from orchestrator.runfolder.folder import RunFolder

pytestmark = pytest.mark.xdist_group("arms-and-sweep")  # they share what was drawn or made once a session

BY_ARM = tuple(plot.name for plot in PLOTS if plot.per_arm)


def made(folder: Path, text: str, *overrides: str) -> RunFolder:
    """A finished run of the scenario `text`."""
    return finished_run(folder / "results", experiment_from(folder, text, *overrides))


@pytest.fixture(scope="module")
def arms(arms_run: RunFolder) -> RunData:
    """A run of two arms."""
    return data_of(arms_run)


def words(figure: Figure) -> list[str]:
    """Every text of `figure` that is not empty."""
    return [text.get_text() for text in figure.findobj(Text) if text.get_text().strip()]


def panel(figure: Figure, title: str) -> Axes:
    """The panel whose title begins with `title`."""
    return next(axes for axes in figure.axes if axes.get_title(loc="left").startswith(title))


def shades(axes: Axes) -> list[Rectangle]:
    """What the panel is shaded with."""
    return [patch for patch in axes.patches if isinstance(patch, Rectangle)]


def points(line: Line2D) -> list[tuple[float, float]]:
    """The points of a line."""
    return [(float(x), float(y)) for x, y in np.asarray(line.get_xydata())]


def test_every_arm_has_its_plots_and_the_run_has_its_own(arms: RunData, laid_out: list[str]) -> None:
    draw(arms)
    names = [f"{name}-{arm}" for name in BY_ARM for arm in ("client-paused", "one-server-paused")]
    assert laid_out == [*names, "extra-load-p99"]


def test_a_sweep_has_a_plot_of_its_own_and_plain_file_names(tmp_path: Path, laid_out: list[str]) -> None:
    text = SWEEP.replace("hedging.delay: [5ms, 20ms, 100ms]", "workload.arrivals.rate: [400/s, 800/s]")
    folder = made(tmp_path, text, "claims=[]", "strategies=[kernel]", "design.blocks=1", "workload.requests=400")
    draw(data_of(folder))
    wanted = {"sweep", "extra-load-p99", "latency-ccdf-rate-400-per-s", "latency-over-time-rate-800-per-s"}
    assert wanted <= set(laid_out)


def test_arms_whose_names_differ_only_in_signs_have_files_of_their_own(tmp_path: Path) -> None:
    text = SWEEP.split("matrix:")[0] + "matrix:\n  service.stall.when: ['id % 2 == 0', 'id * 2 == 0']\n"
    text = text.replace("service_time: 2ms", "service_time: 2ms, stall: {when: 'id < 0', duration: 1ms}")
    run = data_of(made(tmp_path, text, "design.blocks=1", "workload.requests=120"))
    endings = list(file_endings(arm.name for arm in run.arms).values())
    assert len(set(endings)) == 2
    assert not any(letter in ending for ending in endings for letter in "/%*= ")


def test_fault_windows_are_shaded_where_faults_were_on(arms: RunData) -> None:
    figure = latency_over_time(arms.arms[1])
    for strategy in ("baseline", "app-deadline", "kernel"):
        (window,) = shades(panel(figure, strategy))
        assert (window.get_x(), window.get_width()) == pytest.approx((0.1, 0.2), abs=0.001)
    assert "pause server-0" in words(figure)
    assert any("throughout: loss servers" in text for text in words(figure))


def test_faults_at_the_same_time_are_shaded_in_strips_of_their_own(tmp_path: Path) -> None:
    slow = "      - {fault: slow, target: server-1, factor: 3, at: 200ms, duration: 150ms}\n      - {fault: loss,"
    run = data_of(made(tmp_path, ARMS.replace("      - {fault: loss,", slow)))
    shaded = shades(panel(latency_over_time(run.arms[1]), "kernel"))
    strips = [(patch.get_y(), patch.get_y() + patch.get_height()) for patch in shaded]
    assert sorted(strips) == [(0.0, 0.5), (0.5, 1.0)]


def test_points_stand_at_intended_time_and_latency_and_what_had_no_answer_along_the_top(arms: RunData) -> None:
    arm = arms.arms[1]
    axes = panel(latency_over_time(arm), "baseline")
    (dots,) = [found for found in axes.collections if isinstance(found, PathCollection)]
    offsets = np.asarray(dots.get_offsets())
    measures = arm.measures["baseline"]
    assert len(offsets) == measures.answered.sum()
    assert sorted(offsets[:, 1]) == pytest.approx(sorted(measures.latency.merged[: len(offsets)] / 1e6))
    assert offsets[:, 0].max() == pytest.approx(0.398, abs=0.001)
    (crosses,) = axes.get_lines()
    times = [time_s for time_s, _ in points(crosses)]
    assert len(times) == measures.timeouts.sum() > 0
    assert 0.1 <= min(times) < max(times) < 0.3
    assert axes.get_title(loc="left").endswith(f"{measures.timeouts.sum()} of 1000 without an answer (crosses)")


def test_a_sweep_shows_the_summarys_p99_at_each_value(sweep_run: RunFolder) -> None:
    figure = sweep(data_of(sweep_run))
    top = figure.axes[0]
    (line,) = [found for found in top.get_lines() if found.get_label() == "app-deadline"]
    expected = [arm.strategies["app-deadline"].latency_ms["p99"] for arm in summarised(sweep_run).arms]
    assert [p99 for _, p99 in points(line)] == pytest.approx(expected, abs=1e-5)
    assert top.get_xscale() == "log"
    assert [tick.get_text() for tick in figure.axes[-1].get_xticklabels()] == ["5ms", "20ms", "100ms"]
    assert any("bars: 95 % intervals" in text for text in words(figure))


def test_two_sweep_run_keys_are_small_multiples_with_common_axes(tmp_path: Path) -> None:
    run = data_of(made(tmp_path, GRID, "design.blocks=1", "workload.requests=100"))
    figure = sweep(run)
    assert [axes.get_title() for axes in figure.axes[:2]] == ["target = same", "target = other"]
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    assert any("no intervals: too few blocks" in text for text in words(figure))
    loads = extra_load(run)
    assert [axes.get_title() for axes in loads.axes] == ["target = same", "target = other"]
    assert any("delay from 5ms (hollow) to 20ms" in text for text in words(loads))


def test_extra_load_stands_against_p99_at_the_summarys_figures(sweep_run: RunFolder) -> None:
    (axes,) = extra_load(data_of(sweep_run)).axes
    first = summarised(sweep_run).arms[0].strategies["kernel"]
    drawn = [points(line) for line in axes.get_lines() if line.get_color() == STYLES["kernel"][0]]
    (path,) = [found for found in drawn if len(found) == 3]
    assert path[0] == pytest.approx((first.extra_load, first.latency_ms["p99"]), abs=1e-5)


def test_p99_beyond_the_timeout_is_an_arrow_at_the_timeout(arms: RunData) -> None:
    assert np.isinf(arms.arms[1].measures["baseline"].latency.quantile(0.99, np.ones((1, 5), np.int64))[0])
    axes = extra_load(arms).axes[1]
    arrows = [line for line in axes.get_lines() if line.get_marker() == r"$\uparrow$"]
    assert [points(arrow) for arrow in arrows] == [[(0.0, 150.0)]]
    assert axes.get_ylim()[1] > 150


def with_p99_beyond(run: RunData, number: int, strategy: str) -> None:
    """From now on a tenth of the strategy's requests in this arm have no answer."""
    measures = run.arms[number].measures[strategy]
    groups = [
        np.append(group[: -len(group) // 10], np.full(len(group) // 10, np.inf)) for group in measures.latency.groups
    ]
    index = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    measures.latency = Rounds(np.concatenate(groups), index, len(groups))


def test_a_sweeps_line_is_broken_where_a_value_lies_beyond_the_timeout(sweep_run: RunFolder) -> None:
    run = data_of(sweep_run)
    with_p99_beyond(run, 1, "kernel")
    axes = sweep(run).axes[0]
    (line,) = [found for found in axes.get_lines() if found.get_label() == "kernel"]
    assert [bool(np.isnan(p99)) for _, p99 in points(line)] == [False, True, False]
    assert [len(points(found)) for found in axes.get_lines() if found.get_marker() == r"$\uparrow$"] == [1]


def test_a_strategy_beyond_the_timeout_everywhere_is_named_in_the_legend(sweep_run: RunFolder) -> None:
    run = data_of(sweep_run)
    for number in range(3):
        with_p99_beyond(run, number, "kernel")
    axes = sweep(run).axes[0]
    assert "kernel" in axes.get_legend_handles_labels()[1]
    assert len([found for found in axes.get_lines() if found.get_marker() == r"$\uparrow$"]) == 3


def test_hollow_is_the_first_sweep_run_value_and_nothing_else(sweep_run: RunFolder) -> None:
    run = data_of(sweep_run)
    assert hollow(extra_load(run)) == [True, False, False]
    run.arms[0].measures["kernel"].copies = None  # so it has no extra load there
    assert hollow(extra_load(run)) == [False, False]


def hollow(figure: Figure) -> list[bool]:
    """Of the kernel's points whether they are hollow."""
    colour = STYLES["kernel"][0]
    marks = [
        line
        for line in figure.axes[0].get_lines()
        if line.get_color() == colour and line.get_marker() == MARKS["kernel"]
    ]
    return [line.get_markerfacecolor() == "white" for line in marks if len(points(line)) == 1]


def test_bands_end_where_the_sample_bounds_nothing(arms: RunData) -> None:
    """Of 1,000 requests shares below 3.7 in a thousand have no interval, nor has their contrary."""
    (axes,) = latency_ccdf(arms.arms[0], arms.resamples).axes
    bands = [found for found in axes.collections if isinstance(found, PolyCollection)]
    assert len(bands) == len(arms.arms[0].measures)
    for band, measures in zip(bands, arms.arms[0].measures.values(), strict=True):
        seen_ms = measures.latency.merged[np.isfinite(measures.latency.merged)] / 1e6
        ends_ms = np.concatenate([np.asarray(path.vertices)[:, 0] for path in band.get_paths()])
        assert ends_ms.min() >= seen_ms.min() - 1e-9, "left of the fastest request"
        timeout_ms = arms.arms[0].scenario.workload.timeout_ns / 1e6
        assert ends_ms.max() <= (timeout_ms if measures.timeouts.any() else seen_ms.max()) + 1e-9
        shares = np.concatenate([np.asarray(path.vertices)[:, 1] for path in band.get_paths()])
        assert shares.min() == pytest.approx(1 - 0.025 ** (1 / 1000))
        assert samples_needed(1 - shares.min() - 1e-9) <= 1000 < samples_needed(1 - shares.min() + 1e-4)
        assert shares.max() == pytest.approx(0.025 ** (1 / 1000))


def figures_of(run: RunData) -> list[Figure]:
    """Every figure of `run`, of its arms the last one's."""
    return [plot.draw(run, run.arms[-1]) for plot in PLOTS if plot.needs(run)]


@pytest.mark.parametrize(
    ("text", "overrides"),
    [
        (ARMS, ()),
        (SWEEP, ("design.blocks=1", "workload.requests=120", "claims=[]")),
        (GRID, ("workload.requests=500",)),
    ],
    ids=["arms", "sweep, one block", "grid"],
)
def test_legends_titles_and_axes_keep_clear_of_each_other(
    text: str, overrides: tuple[str, ...], tmp_path: Path
) -> None:
    for figure in figures_of(data_of(made(tmp_path, text, *overrides))):
        figure.draw_without_rendering()
        panels = [axes.get_tightbbox() for axes in figure.axes if axes.get_visible()]
        boxes: list[Bbox] = [box for box in panels if box is not None]
        boxes += [found.get_window_extent() for found in figure.legends]
        boxes += [found.get_window_extent() for found in figure.texts if found.get_text()]
        for number, one in enumerate(boxes):
            for other in boxes[number + 1 :]:
                assert not overlap(one, other), (words(figure)[:3], one, other)
            assert one.x0 >= -1
            assert one.x1 <= figure.bbox.x1 + 1


def overlap(one: Bbox, other: Bbox) -> bool:
    """Whether two boxes share more than a pixel."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return bool(width > 1 and height > 1)


def test_a_strategy_that_left_nothing_is_left_out_and_said(tmp_path: Path) -> None:
    folder = made(tmp_path, ARMS)
    for path in (folder.samples, folder.hedges, folder.server):
        table = pq.read_table(path)
        lost = pc.and_(pc.equal(table["arm"], "one-server-paused"), pc.equal(table["strategy"], "kernel"))
        pq.write_table(table.filter(pc.invert(lost)), path)
    arm = data_of(folder).arms[1]
    extra_load(data_of(folder)).draw_without_rendering()
    assert "none in this run" in words(latency_over_time(arm))
    assert "kernel" not in words(latency_ccdf(arm, None))


def test_an_arm_that_left_nothing_is_drawn_all_the_same(tmp_path: Path, laid_out: list[str]) -> None:
    folder = made(tmp_path, ARMS)
    for path in (folder.samples, folder.hedges, folder.server):
        table = pq.read_table(path)
        pq.write_table(table.filter(pc.equal(table["arm"], "one-server-paused")), path)
    summarised(folder)
    draw(data_of(folder))
    assert len(laid_out) == 2 * len(BY_ARM) + 1


def test_thousands_of_points_stay_a_small_file_whose_words_are_text(tmp_path: Path) -> None:
    folder = made(tmp_path, ARMS, "workload.requests=20000", "strategies=[kernel]", "claims=[]")
    save(folder.plots, "over-time", latency_over_time(data_of(folder).arms[1]))
    vector = folder.plots / "over-time.svg"
    assert vector.stat().st_size < 500_000
    assert "pause server-0</text>" in vector.read_text()


def arm_of(run: RunData, name: str) -> ArmData:
    """The arm called `name`."""
    return next(arm for arm in run.arms if arm.name == name)


def test_an_arm_without_hedges_says_so(tmp_path: Path) -> None:
    text = ARMS.split("arms:")[0] + "arms:\n  calm: {hedging: {delay: 100ms}}\n  other: {}\n"
    run = data_of(made(tmp_path, text))
    assert "none in this run" in words(lateness_ecdf(arm_of(run, "calm")))
    assert "none in this run" in words(hedged_ecdf(arm_of(run, "calm")))
