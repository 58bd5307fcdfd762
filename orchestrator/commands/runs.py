"""`orchestrator ls` and `orchestrator show`: which runs there are, and what one of them found."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import typer

from orchestrator.commands.ci_outputs import CiOutputs
from orchestrator.commands.options import (
    DEFAULT_RESULTS,
    AsJson,
    JunitFile,
    ResultsFolder,
    print_json,
    prints_unicode,
)
from orchestrator.errors import RunError, UsageError, file_errors
from orchestrator.report.listing import Entry, entries, entry_of, view
from orchestrator.report.terminal import as_text, print_summary
from orchestrator.runfolder.folder import RunFolder, find_run
from orchestrator.runfolder.summary import Summary

#: In the order in which a reader wants to know of them.
_STATES = {
    state: place
    for place, state in enumerate(("refuted", "inconclusive", "supported", "no claims", "unfinished", "unreadable"))
}


class SortKey(StrEnum):
    """What `ls` sorts by."""

    TIME = "time"
    SCENARIO = "scenario"
    VERDICT = "verdict"
    CLAIMS = "claims"
    BACKEND = "backend"
    ENGINE = "engine"
    RUN = "run"


_SORTED_BY: dict[SortKey, Callable[[Entry], str | int]] = {
    SortKey.TIME: lambda entry: str(entry.began or ""),
    SortKey.SCENARIO: lambda entry: entry.scenario,
    SortKey.VERDICT: lambda entry: _STATES.get(entry.state, len(_STATES)),
    SortKey.CLAIMS: lambda entry: sum(entry.claims.values()),
    SortKey.BACKEND: lambda entry: entry.backend or "",
    SortKey.ENGINE: lambda entry: entry.engine or "",
    SortKey.RUN: lambda entry: entry.folder.name,
}


def ls(
    results: ResultsFolder = DEFAULT_RESULTS,
    sort: Annotated[
        str, typer.Option("--sort", metavar="|".join(SortKey), help="What to sort by; equals by time.")
    ] = SortKey.TIME.value,
    reverse: Annotated[bool, typer.Option("--reverse", help="Turn the order round.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the runs with their verdicts, oldest first; `--sort verdict` lists the worst first."""
    with file_errors("check --results"):
        missing = not results.is_dir()
    if missing and (results != DEFAULT_RESULTS or results.exists()):  # before the first run, none is there
        raise UsageError(f"there is no folder {results}", "run a scenario first, or use --results")
    if sort not in list(SortKey):
        raise UsageError(f"--sort {sort}: there is no such key", f"use {', '.join(SortKey)}")
    with file_errors("check --results"):
        listed = entries(results)
    found = sorted(listed, key=_SORTED_BY[SortKey(sort)])
    if reverse:
        found.reverse()
    if as_json:
        print_json({"runs": [entry.as_json() for entry in found]})
    elif found:
        # also on a terminal as plain lines: a name that was folded to fit could not be copied
        typer.echo(as_text(view(found)), nl=False)
    else:
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
    junit: JunitFile = None,
) -> None:
    """Print what a run found: the published figures beside ours, and the verdict on each claim."""
    with CiOutputs(junit, run) as outputs, file_errors("check path and permissions"):
        folder = find_run(results, run)
        outputs.subject = folder.name
        if not folder.summary.exists():
            raise RunError(f"{folder.name} has no summary.json", _remedy(folder))
        summary = outputs.summary = Summary.read(folder.summary)
        if as_json and prints_unicode():
            typer.echo(folder.summary.read_text(encoding="utf-8"), nl=False)
        elif as_json:
            print_json(summary.to_json())
        else:
            print_summary(summary)


def _remedy(folder: RunFolder) -> str:
    """What helps where there is no summary: a run that was measured needs only to be analysed."""
    status = entry_of(folder).manifest.status
    tables = all(table.exists() for table in (folder.samples, folder.hedges, folder.server))
    if tables or (folder.raw.exists() and status == "complete"):
        return f"it was measured; orchestrator analyze {folder.path} does the rest"
    return "it did not finish; see log.txt in the folder"
