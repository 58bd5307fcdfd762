"""The plots that a reader of tails expects, as PNG for the README and SVG for everything else; one module a plot.

Of each arm (or of the run, where it has none): latency-ccdf, hedged-ecdf, lateness-ecdf, latency-over-time, with the
arm's name behind. Of the whole run: extra-load-p99, and sweep where it is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.analysis.run_data import read_run
from orchestrator.report.plot_names import file_endings
from orchestrator.report.plots.extra_load import extra_load
from orchestrator.report.plots.hedged_ecdf import hedged_ecdf
from orchestrator.report.plots.latency_ccdf import latency_ccdf
from orchestrator.report.plots.latency_over_time import latency_over_time
from orchestrator.report.plots.lateness_ecdf import lateness_ecdf
from orchestrator.report.plots.style import STYLES, save
from orchestrator.report.plots.sweep import sweep

if TYPE_CHECKING:
    from orchestrator.runfolder.folder import RunFolder

__all__ = ["STYLES", "draw"]


def draw(folder: RunFolder) -> None:
    """Draw the plots of a run into its plots/ folder, each as .png and .svg; RunError where tables are missing."""
    run = read_run(folder)
    folder.plots.mkdir(exist_ok=True)
    endings = file_endings(arm.name for arm in run.arms)
    for arm in run.arms:
        ending = endings[arm.name]
        save(folder.plots, f"latency-ccdf{ending}", latency_ccdf(arm, run.resamples))
        save(folder.plots, f"hedged-ecdf{ending}", hedged_ecdf(arm))
        save(folder.plots, f"lateness-ecdf{ending}", lateness_ecdf(arm))
        save(folder.plots, f"latency-over-time{ending}", latency_over_time(arm))
    save(folder.plots, "extra-load-p99", extra_load(run))
    if run.matrix:
        save(folder.plots, "sweep", sweep(run))
    folder.give_to_owner()
