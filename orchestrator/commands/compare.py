"""`orchestrator compare`: two runs beside each other, from their folders alone, on any machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.commands.options import DEFAULT_RESULTS, AsJson, ResultsFolder, print_json
from orchestrator.errors import UsageError, file_errors
from orchestrator.report.compare.model import compare as compare_runs
from orchestrator.report.compare.view import view
from orchestrator.report.terminal import print_view
from orchestrator.runfolder.folder import find_run
from orchestrator.runfolder.run import Run

#: In the results folder; no run can be called that, since the names of runs end with a time and a token.
FOLDER = "comparisons"

_RUN = typer.Argument(
    metavar="RUN", help="A run's name, a beginning or end of it, a path, or last.", show_default=False
)


def compare(
    first: Annotated[str, _RUN],
    second: Annotated[str, _RUN],
    results: ResultsFolder = DEFAULT_RESULTS,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="DIR",
            help=f"The folder for page and pictures, instead of {FOLDER}/A--B in the results folder.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
    no_report: Annotated[bool, typer.Option("--no-report", help="Skip page and pictures.")] = False,
) -> None:
    """Print what differs: environment, scenario, figures, verdicts. It judges nothing, so it exits 0."""
    with file_errors("check path and permissions"):
        comparison = compare_runs(Run(find_run(results, first)), Run(find_run(results, second)))
    page = None
    if not no_report:
        from orchestrator.report.compare.page import write_comparison  # noqa: PLC0415 - matplotlib takes a second

        folder = output or results / FOLDER / comparison.name
        for place in () if output else (folder, folder.parent):
            if place.is_symlink():
                raise UsageError(f"{place} is a link", "remove it, or use --output DIR")
        try:
            page = write_comparison(comparison, folder)
        except OSError as error:
            remedy = "--output DIR writes elsewhere, --no-report nothing"
            raise UsageError(f"{folder} cannot be written: {error.strerror or error}", remedy) from error
    if as_json:
        print_json({**comparison.as_json(), "report": None if page is None else str(page)})
    else:
        print_view(view(comparison))
    if page is not None:
        typer.echo(str(page.parent), err=True)
