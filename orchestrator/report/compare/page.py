"""comparison.html, and pictures of the tails of both runs over each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.analysis.run_data import ArmData, RunData
from orchestrator.report import html
from orchestrator.report.compare import view
from orchestrator.report.compare.model import CAUTION, LETTERS, Comparison
from orchestrator.report.plots import file_endings
from orchestrator.report.plots.distributions import compared_ccdf
from orchestrator.report.plots.style import save
from orchestrator.runfolder.folder import make_folder
from orchestrator.runfolder.safe_files import replace_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from markupsafe import Markup

PAGE = "comparison.html"
_CAPTION = (
    "Share of the requests slower than x, both axes logarithmic, with 95 % bands: the further left and down, the "
    "better."
)


@dataclass(frozen=True)
class Tail:
    """The tails of one arm in both runs, drawn over each other."""

    arm: str | None
    name: str
    svg: Markup


def write_comparison(comparison: Comparison, folder: Path) -> Path:
    """Draw the tails into `folder` (made if missing), write the page there, and return the page's path.

    Raises RunError where a run lacks its tables, ScenarioError where this version cannot read its scenario.
    """
    runs = tuple(RunData.of(run) for run in comparison.runs)
    make_folder(folder)
    tails = list(_tails(comparison, runs, folder))
    page = folder / PAGE
    replace_text(page, render(comparison, tails))
    return page


def render(comparison: Comparison, tails: Sequence[Tail]) -> str:
    """The page."""
    return html.render(
        "comparison.html.j2",
        comparison=comparison,
        tails=tails,
        view=view,
        letters=LETTERS,
        caution=CAUTION,
        caption=_CAPTION,
    )


def _tails(comparison: Comparison, runs: Sequence[RunData], folder: Path) -> Iterator[Tail]:
    names = [f"{letter}: {run.name}" for letter, run in zip(LETTERS, comparison.runs, strict=True)]
    endings = file_endings(comparison.arms)
    for arm in comparison.arms:
        name = f"compared-ccdf{endings[arm]}"
        figure = compared_ccdf(runs, [_arm(run, arm) for run in runs], comparison.strategies(arm), names)
        save(folder, name, figure)
        title = f"The tails{'' if arm is None else f' of {arm}'}. {_CAPTION}"
        yield Tail(arm, name, html.picture(folder / f"{name}.svg", title))


def _arm(run: RunData, name: str | None) -> ArmData:
    return next(arm for arm in run.arms if arm.name == name)
