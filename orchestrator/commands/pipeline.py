"""From raw records to tables, summary and plots: what `run` does after measuring, and `analyze` any time later.

numpy, pyarrow and matplotlib are imported only when these functions are called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from orchestrator.commands.options import print_json
from orchestrator.errors import ExitCode
from orchestrator.plan.blocks import make_plan
from orchestrator.runfolder.folder import RunFolder
from orchestrator.runfolder.integrity import (
    accepted_before,
    changed_files,
    changed_rows,
    marked,
    refuse_changes,
    write_checksums,
)
from orchestrator.runfolder.run import Run
from orchestrator.runfolder.summary import Summary

if TYPE_CHECKING:
    from orchestrator.analysis.run_data import RunData

#: What helps where a run folder of others cannot be written.
WRITABLE_COPY = "analyse a copy of the folder that you may write: cp -r"
_VERDICT_CODES = {"refuted": ExitCode.REFUTED, "inconclusive": ExitCode.INCONCLUSIVE}


def evaluate(folder: RunFolder, report: bool, accept_changes: bool = False) -> Summary:
    """Tables from the raw records where these are still there, summary.json, plots and report.html if wanted,
    checksums; the summary.

    Raises RunError where the folder lacks something, or is not as it was measured (unless `accept_changes`, which
    marks the summary), ScenarioError where its scenario cannot be read.
    """
    from orchestrator.analysis.run_data import RunData  # noqa: PLC0415
    from orchestrator.analysis.summarise import summarise  # noqa: PLC0415
    from orchestrator.runfolder.tables import write_tables  # noqa: PLC0415

    run = Run(folder)
    accepted, changes = accepted_before(folder), changed_files(run)

    def refuse() -> None:
        refuse_changes(folder, [] if accept_changes else [change for change in changes if change not in accepted])

    refuse()
    if folder.raw.exists():
        experiment = run.experiment
        replicas = {arm.name: arm.scenario.topology.replicas for arm in experiment.arms}
        write_tables(folder, make_plan(experiment), replicas)
    changes += changed_rows(run)
    refuse()
    write_checksums(folder)  # before there is a summary: from then on a folder without checksums is a changed one
    data = RunData.of(run)
    run.summary = marked(summarise(data), run.manifest, (*accepted, *changes))
    run.summary.write(folder)
    if report:
        make_report(data)
    write_checksums(folder)
    return run.summary


def make_report(data: RunData) -> None:
    """Plots and report.html of a run that has its summary."""
    from orchestrator.report.page import write_report  # noqa: PLC0415
    from orchestrator.report.plots import draw  # noqa: PLC0415

    write_report(data.run, draw(data))


def print_result(summary: Summary, as_json: bool) -> None:
    """The summary on stdout, as JSON or as the table for people."""
    if as_json:
        print_json(summary.to_json())
        return
    from orchestrator.report.terminal import print_summary  # noqa: PLC0415

    print_summary(summary)


def exit_with(summary: Summary) -> typer.Exit:
    """What to raise so that the exit code says the verdict."""
    return typer.Exit(_VERDICT_CODES.get(summary.verdict or "", ExitCode.DONE))
