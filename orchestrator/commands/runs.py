"""`orchestrator ls` and `orchestrator show`: which runs there are, and what one of them found."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from orchestrator.collect.folder import RunFolder, find_run, list_runs
from orchestrator.commands.options import DEFAULT_RESULTS, AsJson, ResultsFolder, print_json
from orchestrator.errors import RunError
from orchestrator.report.terminal import print_summary


def ls(results: ResultsFolder = DEFAULT_RESULTS, as_json: AsJson = False) -> None:
    """List the runs, oldest first, with their verdicts."""
    runs = [_entry(run) for run in list_runs(results)]
    if as_json:
        print_json({"runs": runs})
        return
    width = max((len(run["run"]) for run in runs), default=0)
    for run in runs:
        typer.echo(f"{run['run']:<{width}}  {run['state']}")
    if not runs:
        typer.echo(f"no runs in {results}", err=True)


def show(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="A run's name, a beginning or end of it, a path, or last.", show_default=False
        ),
    ],
    results: ResultsFolder = DEFAULT_RESULTS,
    as_json: AsJson = False,
) -> None:
    """Print what a run found: the published figures beside ours, and the verdict on each claim."""
    folder = find_run(results, run)
    summary = _summary(folder)
    if summary is None:
        raise RunError(f"{folder.name} has no summary.json", "it did not finish; see log.txt in the folder")
    if as_json:
        typer.echo(folder.summary.read_text(), nl=False)
    else:
        print_summary(summary)


def _entry(run: RunFolder) -> dict[str, Any]:
    summary = _summary(run)
    if summary is None:
        return {"run": run.name, "state": "unfinished", "verdict": None}
    verdict = summary.get("verdict")
    return {"run": run.name, "state": verdict or "no claims", "verdict": verdict}


def _summary(run: RunFolder) -> dict[str, Any] | None:
    """What summary.json says, None where the run left none; RunError where it is torn."""
    if not run.summary.exists():
        return None
    try:
        summary: dict[str, Any] = json.loads(run.summary.read_text())
    except ValueError as error:
        raise RunError(f"{run.summary} is not JSON: {error}", "make it anew from the run's tables") from error
    return summary
