"""A comparison's page and pictures: where they are written, that they stand alone, that they read well."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from orchestrator.cli import run
from orchestrator.report.compare.model import compare
from orchestrator.report.compare.page import render, write_comparison
from orchestrator.runfolder.run import Run
from support import browser
from support.arms_scenarios import ARMS
from support.comparisons import ELSEWHERE, described
from support.run_folder_factory import ScenarioOverride, experiment_from, finished_run, scenario_from

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.runfolder.folder import RunFolder

pytestmark = pytest.mark.xdist_group("compare-page")  # they share what was drawn or made once a session


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, RunFolder]:
    """Two smoke runs that differ in environment, scenario, figures and verdicts."""
    results = tmp_path_factory.mktemp("results")
    first = finished_run(results, scenario_from("smoke"))
    by_strategy = {"baseline": ScenarioOverride(unanswered=frozenset(range(0, 500, 10)))}
    changed = scenario_from("smoke", "hedging.delay=12ms", "claims.1.expect=p99(kernel) <= 5ms")
    return described(first), described(finished_run(results, changed, by_strategy), **ELSEWHERE)


@pytest.fixture(scope="module")
def page(runs: tuple[RunFolder, RunFolder], tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_comparison(compare(*map(Run, runs)), tmp_path_factory.mktemp("page")).read_text()


def test_it_goes_to_a_folder_of_its_own_beside_the_runs(
    runs: tuple[RunFolder, RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    results = runs[0].path.parent
    assert run(["compare", runs[0].name, runs[1].name, "--results", str(results)]) == 0
    folder = results / "comparisons" / f"{runs[0].name}--{runs[1].name}"
    assert capsys.readouterr().err.splitlines()[-1] == str(folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "compared-ccdf.png",
        "compared-ccdf.svg",
        "comparison.html",
    ]
    assert (folder / "compared-ccdf.png").read_bytes().startswith(b"\x89PNG")
    assert {path.owner() for path in (folder.parent, folder, *folder.iterdir())} == {results.owner()}


def test_it_goes_where_it_is_told_and_leaves_what_is_there_alone(
    runs: tuple[RunFolder, RunFolder], tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert run(["compare", *(str(folder.path) for folder in runs), "--output", str(tmp_path / "deep" / "er")]) == 0
    assert (tmp_path / "deep" / "er" / "comparison.html").exists()
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_named_with_a_remedy(
    runs: tuple[RunFolder, RunFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert run(["compare", *(str(folder.path) for folder in runs), "--output", str(tmp_path / "file" / "x")]) == 2
    assert "--no-report" in capsys.readouterr().err


def test_it_says_the_environment_before_any_figure(page: str) -> None:
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    places = [text.index(words) for words in ("host.kernel", "hedging.delay", "P99.9", "Claims with another verdict")]
    assert places[0] < places[1] < places[2]
    assert "not proof of a difference" in text
    assert "apart" in text
    assert "overlap" in text
    assert '<span class="verdict refuted">refuted</span>' in page


def test_it_stands_alone(page: str) -> None:
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?!#|data:image)', page)


def test_it_reads_well_on_desk_and_phone_in_light_and_dark(page: str) -> None:
    browser.assert_reads_well(page, *browser.VIEWS)


def test_every_arm_that_both_have_has_its_picture(tmp_path: Path) -> None:
    whole = described(finished_run(tmp_path / "results", experiment_from(tmp_path, ARMS)))
    few = described(finished_run(tmp_path / "results", experiment_from(tmp_path, ARMS, "design.blocks=1")))
    written = write_comparison(compare(Run(whole), Run(few)), tmp_path / "page")
    assert sorted(path.name for path in written.parent.glob("*.svg")) == [
        "compared-ccdf-client-paused.svg",
        "compared-ccdf-one-server-paused.svg",
    ]
    assert "of the run that has enough blocks" in (written.parent / "compared-ccdf-client-paused.svg").read_text()
    browser.assert_reads_well(written.read_text(), browser.DESKTOP, browser.PHONE)


def test_the_same_runs_give_the_same_files(runs: tuple[RunFolder, RunFolder], page: str, tmp_path: Path) -> None:
    assert write_comparison(compare(*map(Run, runs)), tmp_path).read_text() == page


def test_words_of_a_scenario_cannot_become_markup(tmp_path: Path) -> None:
    plain = described(finished_run(tmp_path, scenario_from("smoke")))
    bad = described(finished_run(tmp_path, scenario_from("smoke", "description='<img src=x onerror=alert(1)>'")))
    text = render(compare(Run(plain), Run(bad)), [])
    assert "&lt;img" in text
    assert "<img" not in text
