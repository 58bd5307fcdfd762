"""Plots are drawn from the run folder alone, for every sort of run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.report import plots
from orchestrator.report.page import gather
from orchestrator.report.plots import PLOTS, Plot, draw
from orchestrator.report.plots.style import STYLES, canvas
from orchestrator.scenario.schema import scenario_json_schema
from support.run_folder_factory import ScenarioOverride, data_of, finished_run, scenario_from

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
