"""`orchestrator report`: the page of a run again, or the index of all runs, from what their folders hold."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.commands.options import DEFAULT_RESULTS, AsJson, ResultsFolder, print_json
from orchestrator.commands.pipeline import WRITABLE_COPY, make_report
from orchestrator.errors import UsageError, file_errors
from orchestrator.runfolder.folder import find_run
from orchestrator.runfolder.run import Run


def report(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="A run's name, a beginning or end of it, a path, or last.")
    ] = None,
    index: Annotated[bool, typer.Option("--index", help="Write index.html over all runs instead.")] = False,
    results: ResultsFolder = DEFAULT_RESULTS,
    as_json: AsJson = False,
) -> None:
    """Draw the plots of a run and write its report.html, without computing its figures again; print the path."""
    if index == (run is not None):
        raise UsageError("report takes a run, or --index", "orchestrator report last, or orchestrator report --index")
    with file_errors(WRITABLE_COPY):
        if run is None:
            from orchestrator.report.listing import write_index  # noqa: PLC0415

            if not results.is_dir():
                raise UsageError(f"there is no folder {results}", "run a scenario first, or use --results")
            path = write_index(results)
        else:
            from orchestrator.analysis.run_data import RunData  # noqa: PLC0415
            from orchestrator.runfolder.integrity import write_checksums  # noqa: PLC0415

            folder = find_run(results, run)
            make_report(RunData.of(Run(folder)))
            write_checksums(folder)
            path = folder.report
    if as_json:
        print_json({"report": str(path)})
    else:
        typer.echo(str(path))
