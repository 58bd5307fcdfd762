"""The plots of a run, as PNG for the README and SVG for everything else.

To add one, write a function that draws it and add a row to `PLOTS`: file names, the captions on the page and the
tests of every run folder are taken from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.report.plots.distributions import hedged_ecdf, latency_ccdf, lateness_ecdf
from orchestrator.report.plots.load import extra_load
from orchestrator.report.plots.over_time import latency_over_time
from orchestrator.report.plots.style import save
from orchestrator.report.plots.sweep import sweep
from orchestrator.runfolder.folder import make_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from matplotlib.figure import Figure

    from orchestrator.analysis.run_data import ArmData, RunData


def always(_: RunData) -> bool:
    """For a plot that every run has."""
    return True


@dataclass(frozen=True)
class Plot:
    """One kind of plot: its file name, its title and caption on the page, and what draws it.

    `needs` says whether a run has what the plot shows. `draw` gets the run and an arm: each arm in turn for a plot
    `per_arm`, the first one otherwise.
    """

    name: str
    title: str
    caption: str
    per_arm: bool
    draw: Callable[[RunData, ArmData], Figure]
    needs: Callable[[RunData], bool] = always

    def figures(self, run: RunData) -> Iterator[tuple[str | None, Figure]]:
        """Each figure of `run` with the name of its arm, None where it is about the whole run."""
        if not self.needs(run):
            return
        if self.per_arm:
            yield from ((arm.name, self.draw(run, arm)) for arm in run.arms)
        else:
            yield None, self.draw(run, run.arms[0])


#: In the order of the page.
PLOTS = (
    Plot(
        "latency-ccdf",
        "The tail",
        "Share of the requests slower than x, both axes logarithmic: the further left and down, the better. The 95 % "
        "bands end at the rarest share that a sample of this size bounds, about 3.7 divided by its requests; the "
        "faint curve beyond it is what was seen, not what to expect.",
        per_arm=True,
        draw=lambda run, arm: latency_ccdf(arm, run.resamples),
    ),
    Plot(
        "hedged-ecdf",
        "Requests in trouble",
        "Only the requests that were stalled or hedged: what hedging does for those it is for.",
        per_arm=True,
        draw=lambda _, arm: hedged_ecdf(arm),
    ),
    Plot(
        "lateness-ecdf",
        "Lateness of the hedges",
        "How long after its deadline each hedge left, seen by one kernel tap for every strategy. The deadline counts "
        "from the request's departure, so that a client that sent late is forgiven; the table also has the lateness "
        "from the intended time. A hedge left early where its client was stopped between reading its clock and "
        "sending the request: by that reading it hedged on time.",
        per_arm=True,
        draw=lambda _, arm: lateness_ecdf(arm),
    ),
    Plot(
        "latency-over-time",
        "Latency over time",
        "Each request at its intended time within the block. Faults, where there are any, are shaded as they were "
        "carried out.",
        per_arm=True,
        draw=lambda _, arm: latency_over_time(arm),
    ),
    Plot(
        "sweep",
        "Over the swept values",
        "P50 and P99 with 95 % intervals, a line a strategy. Faint marks are of too few requests.",
        per_arm=False,
        draw=lambda run, _: sweep(run),
        needs=lambda run: bool(run.matrix),
    ),
    Plot(
        "extra-load-p99",
        "What it costs",
        "Extra load on the servers against P99: towards the lower left is better. Where marks lie on each other, the "
        "outer ones are rings; faint marks are of too few requests.",
        per_arm=False,
        draw=lambda run, _: extra_load(run),
    ),
)


@dataclass(frozen=True)
class Drawn:
    """A plot that was drawn, of an arm, or of the whole run (None), and the name of its files without the ending."""

    plot: Plot
    arm: str | None
    name: str


def draw(data: RunData) -> list[Drawn]:
    """Draw the plots of a run into its plots/ folder, each as .png and .svg; which these are, in the page's order."""
    folder = data.run.folder
    make_folder(folder.plots)
    drawn = []
    endings = file_endings(arm.name for arm in data.arms)
    for plot in PLOTS:
        for arm, figure in plot.figures(data):
            of_arms = plot.per_arm
            found = Drawn(plot, arm if of_arms else None, f"{plot.name}{endings[arm] if of_arms else ''}")
            save(folder.plots, found.name, figure)
            drawn.append(found)
    return drawn


def file_endings(arms: Iterable[str | None]) -> dict[str | None, str]:
    """The end of the file names of each arm's plots, e.g. "-client-paused"; "" where there are no arms (None)."""
    endings: dict[str | None, str] = {}
    for arm in arms:
        ending = "" if arm is None else "-" + _for_a_file(arm)
        while ending in endings.values():
            ending += "_"
        endings[arm] = ending
    return endings


def _for_a_file(name: str) -> str:
    """`name` in characters that need no escape in a path or an address: rate=100/s → rate-100-per-s."""
    spelt = name.replace("/", "-per-").replace("%", "-percent").replace(",", "_")
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in spelt)
