"""What a reader must be able to see in a plot: every curve, enough ticks, where it ends, and what is only seen."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from orchestrator.analysis.statistics import Rounds
from orchestrator.report.plots.distributions import latency_ccdf, lateness_ecdf
from orchestrator.report.plots.load import extra_load
from orchestrator.report.plots.style import FAINT, MARKS, STYLES, canvas, curve, faint, legend, log_ticks
from orchestrator.report.plots.sweep import sweep
from support.arms_scenarios import SWEEP
from support.run_folder_factory import data_of, experiment_from, finished_run, scenario_from

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from orchestrator.analysis.run_data import RunData

pytestmark = pytest.mark.xdist_group("arms-and-sweep")


@pytest.fixture
def run(tmp_path: Path) -> RunData:
    """A smoke run of 500 requests a strategy."""
    return data_of(finished_run(tmp_path, scenario_from("smoke")))


def pixels(*strategies: str, tilt: float) -> NDArray[np.float64]:
    """What curves of these strategies look like that coincide, shape (height, width, 3), from 0 to 1."""
    figure, axes = canvas("", "", "")
    axes.set_axis_off()
    for strategy in strategies:
        axes.plot([0, 1], [0.5 - tilt / 2, 0.5 + tilt / 2], **curve(strategy))
    drawing = FigureCanvasAgg(figure)
    drawing.draw()  # type: ignore[no-untyped-call]  # matplotlib's
    return np.asarray(drawing.buffer_rgba())[:, :, :3] / 255  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("pair", [*pairwise([*STYLES, "baseline"]), ("baseline", "kernel"), ("app-seed", "kernel")])
@pytest.mark.parametrize("tilt", [0.0, 1.0], ids=["level", "steep"])
def test_two_curves_that_coincide_look_like_neither_of_them(pair: tuple[str, str], tilt: float) -> None:
    both = pixels(*pair, tilt=tilt)
    for strategy in pair:
        other = np.abs(both - pixels(strategy, tilt=tilt)).max(axis=2) > 0.15
        assert other.sum() > 300, f"only {strategy} is seen"


def ticks(axes: Axes) -> list[float]:
    """The places of the ticks that are written and seen."""
    low, high = axes.get_xlim()
    return [place for place in axes.xaxis.get_majorticklocs() if low <= place <= high]


@pytest.mark.parametrize(
    ("low", "high"), [(18, 58), (1, 2), (26, 28), (100, 101), (3, 9), (6, 20), (0.02, 0.19), (1, 99), (2, 50_000)]
)
def test_a_logarithmic_axis_has_at_least_three_ticks(low: float, high: float) -> None:
    figure, axes = canvas("Ticks", "x", "y")
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    log_ticks(axes.xaxis, low, high)
    figure.draw_without_rendering()
    assert 3 <= len(ticks(axes)) <= 9
    boxes = [label.get_window_extent() for label in axes.get_xticklabels() if low <= label.get_position()[0] <= high]
    assert all(one.x1 < other.x0 for one, other in pairwise(boxes))


def test_lateness_of_less_than_a_decade_has_ticks_to_read_it_by(run: RunData) -> None:
    (arm,) = run.arms
    for measures in arm.measures.values():
        measures.lateness = Rounds(np.linspace(19.5e3, 55e3, 20), np.repeat(np.arange(5), 4), 5)
    (axes,) = lateness_ecdf(arm).axes
    assert ticks(axes) == [20, 30, 40, 50]


def curves(axes: Axes, strategy: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The full and the faint part of a strategy's curve, as points."""
    found = [line for line in axes.get_lines() if line.get_color() == STYLES[strategy][0]]
    full, weak = sorted(found, key=lambda line: line.get_alpha() or 1, reverse=True)
    assert (full.get_alpha(), weak.get_alpha()) == (None, FAINT)
    return np.asarray(full.get_xydata()), np.asarray(weak.get_xydata())


def test_a_tail_is_faint_beyond_what_its_sample_bounds_and_ends_at_the_longest_request(run: RunData) -> None:
    (arm,) = run.arms
    (axes,) = latency_ccdf(arm, run.resamples).axes
    rarest = 1 - 0.025 ** (1 / 500)
    for strategy, measures in arm.measures.items():
        full, weak = curves(axes, strategy)
        assert full[:, 1].min() >= rarest
        assert weak[1:, 1].max() < rarest
        assert weak[0, 1] == full[-1, 1]
        assert full[-1, 0] == weak[1, 0]
        assert weak[-1].tolist() == pytest.approx([measures.latency.merged[-1] / 1e6, 1 / 500])
    assert axes.get_legend_handles_labels()[1] == list(arm.measures)


def test_marks_of_too_few_requests_are_faint_and_said_to_be(tmp_path: Path) -> None:
    experiments = {size: experiment_from(tmp_path, SWEEP, f"workload.requests={size}") for size in (300, 500)}
    weak, strong = (data_of(finished_run(tmp_path / str(size), each)) for size, each in experiments.items())
    colour = STYLES["kernel"][0]
    for run, expected in ((weak, True), (strong, False)):
        for figure in (sweep(run), extra_load(run)):
            (title,) = (found.get_title().get_text() for found in figure.legends)
            assert ("faint: too few requests to bound a P99" in title) is expected
        marks = [line for line in sweep(run).axes[0].get_lines() if line.get_color() == faint(colour)]
        assert len(marks) == (len(run.arms) if expected else 0)
        assert not [line for line in sweep(run).axes[1].get_lines() if line.get_color() == faint(colour)]  # P50
        points = [line for line in extra_load(run).axes[0].get_lines() if line.get_marker() == MARKS["kernel"]]
        edges = {line.get_markeredgecolor() for line in points if len(np.asarray(line.get_xdata())) == 1}
        assert edges == {faint(colour) if expected else colour}


def test_a_legends_notes_are_broken_between_them() -> None:
    figure, axes = canvas("Notes", "x", "y")
    axes.plot([1], [1], label="one")
    legend(figure, f"{'a' * 60}; {'b' * 60}; {'c' * 20}")
    (drawn,) = figure.legends
    assert drawn.get_title().get_text() == f"{'a' * 60}\n{'b' * 60}; {'c' * 20}"
