"""Plots are drawn from the run folder alone, for every sort of run."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
from matplotlib.text import Text

from orchestrator.analysis.statistics import Rounds
from orchestrator.report import plots
from orchestrator.report.page import gather
from orchestrator.report.plots import PLOTS, Plot, draw
from orchestrator.report.plots.distributions import lateness_ecdf
from orchestrator.report.plots.load import extra_load
from orchestrator.report.plots.style import MARKS, STYLES, canvas
from orchestrator.scenario.schema import scenario_json_schema
from support.arms_scenarios import ARMS
from support.run_folder_factory import ScenarioOverride, data_of, experiment_from, finished_run, scenario_from

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.analysis.run_data import RunData

pytestmark = pytest.mark.xdist_group("arms-and-sweep")  # they share what was drawn or made once a session

NAMES = [plot.name for plot in PLOTS if plot.name != "sweep"]


def smoke(results: Path, *overrides: str, **by_strategy: ScenarioOverride) -> RunData:
    """A finished smoke run."""
    return data_of(finished_run(results, scenario_from("smoke", *overrides), by_strategy))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    """A smoke run whose plots were drawn."""
    run = smoke(tmp_path_factory.mktemp("drawn"))
    draw(run)
    return run


def test_every_plot_comes_as_png_and_svg(drawn: RunData) -> None:
    folder = drawn.run.folder
    assert sorted(path.name for path in folder.plots.iterdir()) == sorted(
        f"{name}.{kind}" for name in NAMES for kind in ("png", "svg")
    )
    for name in NAMES:
        assert (folder.plots / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (folder.plots / f"{name}.svg").read_text()


def test_the_same_run_gives_the_same_picture(drawn: RunData) -> None:
    folder = drawn.run.folder
    first = {path.name: path.read_bytes() for path in folder.plots.iterdir()}
    draw(data_of(folder))
    assert {path.name: path.read_bytes() for path in folder.plots.iterdir()} == first


@pytest.mark.parametrize(
    "overrides",
    [
        ("strategies=[baseline]", "claims=[]", "published={}"),
        ("service.stall=", "claims=[]"),
        ("design.blocks=2",),
        ("workload.timeout=100ms",),
        ("workload.requests=5",),
    ],
    ids=["no strategy hedges", "nothing stalls", "no intervals", "the baseline times out", "a request a block"],
)
def test_runs_that_lack_something_are_drawn_all_the_same(
    overrides: tuple[str, ...], tmp_path: Path, laid_out: list[str]
) -> None:
    draw(smoke(tmp_path, *overrides))
    assert laid_out == NAMES


def test_a_run_where_nothing_was_answered_in_time_is_drawn_all_the_same(tmp_path: Path, laid_out: list[str]) -> None:
    draw(smoke(tmp_path, kernel=ScenarioOverride(too_late=frozenset(range(500)))))
    assert laid_out == NAMES


def test_early_hedges_are_drawn_too(tmp_path: Path, laid_out: list[str]) -> None:
    draw(smoke(tmp_path, kernel=ScenarioOverride(lateness_ns=-1_000_000)))
    assert laid_out == NAMES


def test_the_lateness_of_early_hedges_leaves_the_others_apart(tmp_path: Path) -> None:
    """Seven hedges that left 48 ms early must not press all others into one line."""
    (arm,) = smoke(tmp_path).arms
    late_ns = arm.measures["kernel"].lateness
    arm.measures["kernel"].lateness = Rounds(np.array([-48e6, *late_ns.merged[1:]]), np.zeros(10, int), 5)
    (axes,) = lateness_ecdf(arm).axes
    assert axes.get_xscale() == "symlog"
    assert "kernel, n = 10, 1 early" in axes.get_legend_handles_labels()[1]
    place = axes.transData.transform([(x, 0.5) for x in (50.0, 100.0, 1000.0)])[:, 0]
    assert place[1] - place[0] > 10
    assert place[2] - place[1] > 30


@pytest.mark.parametrize("closed", [True, False])
def test_pictures_say_from_when_latencies_count(tmp_path: Path, closed: bool) -> None:
    """They travel without their page."""
    run = smoke(tmp_path) if closed else data_of(finished_run(tmp_path, experiment_from(tmp_path, ARMS)))
    words = "closed loop, from the time of sending" if closed else "from the intended time of sending"
    for plot in PLOTS:
        for _, figure in plot.figures(run):
            if plot.name != "lateness-ecdf":
                texts = [text.get_text() for text in figure.findobj(Text)]
                assert any(words in text for text in texts), plot.name


def test_marks_that_lie_on_each_other_are_rings(tmp_path: Path) -> None:
    run = smoke(tmp_path)
    (arm,) = run.arms
    arm.measures["app-deadline"] = arm.measures["kernel"]
    marks = {MARKS[strategy] for strategy in arm.measures if strategy != "baseline"}
    drawn = [line for line in extra_load(run).axes[0].get_lines() if line.get_marker() in marks]
    drawn = [line for line in drawn if len(np.asarray(line.get_xdata())) == 1]
    sizes = [line.get_markersize() for line in drawn]
    assert len(sizes) == len(marks)
    assert all(outer > inner + 4 for inner, outer in itertools.pairwise(sizes))
    assert [line.get_markerfacecolor() == "none" for line in drawn] == [False, *(True for _ in drawn[1:])]


def test_a_new_plot_needs_a_row_and_a_function_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = Plot(
        "rates", "Rates", "How often.", per_arm=True, draw=lambda _, arm: canvas("Rates", "x", "y", arm.name)[0]
    )
    monkeypatch.setattr(plots, "PLOTS", (new,))
    run = smoke(tmp_path)
    made = draw(run)
    assert {path.name for path in run.run.folder.plots.iterdir()} == {"rates.png", "rates.svg"}
    (part,) = gather(run.run, made).parts
    (picture,) = part.pictures
    assert (picture.name, picture.title, picture.caption) == ("rates", "Rates", "How often.")
    assert "<title>Rates. How often.</title>" in picture.svg


def test_every_strategy_has_a_line_of_its_own() -> None:
    strategies = scenario_json_schema()["properties"]["strategies"]["items"]["enum"]
    assert set(STYLES) == set(strategies)
    assert len({str(style) for style in STYLES.values()}) == len(STYLES)
