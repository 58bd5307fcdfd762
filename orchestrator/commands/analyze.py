"""`orchestrator analyze`: tables, statistics and plots of a run again, from its folder alone, on any machine."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.commands.ci_outputs import CiOutputs
from orchestrator.commands.options import DEFAULT_RESULTS, AsJson, JunitFile, NoReport, ResultsFolder
from orchestrator.commands.pipeline import WRITABLE_COPY, evaluate, exit_with, print_result
from orchestrator.errors import file_errors
from orchestrator.runfolder.folder import find_run


def analyze(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run's name, a beginning or end of it, a path, or last.")
    ],
    results: ResultsFolder = DEFAULT_RESULTS,
    as_json: AsJson = False,
    no_report: NoReport = False,
    junit: JunitFile = None,
    accept_changes: Annotated[
        bool,
        typer.Option(
            "--accept-changes", help="Analyse a run that was changed after it was measured; every report says so."
        ),
    ] = False,
) -> None:
    """Recompute a run from what it recorded: same folder, same figures. The exit code is the verdict's."""
    with CiOutputs(junit, run, step_summary=True) as outputs, file_errors(WRITABLE_COPY):
        folder = find_run(results, run)
        outputs.subject = folder.name
        summary = outputs.summary = evaluate(folder, not no_report, accept_changes)
        print_result(summary, as_json)
    raise exit_with(summary)
