"""The options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

ScenarioFile = Annotated[Path, typer.Argument(metavar="FILE", help="A scenario file (YAML).", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a key, e.g. --set workload.requests=500. May be repeated."
    ),
]
Smoke = Annotated[
    bool,
    typer.Option("--smoke", help="The quick variant: one block of baseline and kernel, no claims; see `smoke:`."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, errors included.")]
ResultsFolder = Annotated[Path, typer.Option("--results", metavar="DIR", help="The folder that holds the runs.")]

NoReport = Annotated[
    bool, typer.Option("--no-report", help="Skip plots and report.html; tables and summary are made.")
]
JunitFile = Annotated[
    Path | None,
    typer.Option(
        "--junit", metavar="FILE", help="Write the verdicts as JUnit XML too, for CI systems.", show_default=False
    ),
]

DEFAULT_RESULTS = Path("results")


def print_json(value: object) -> None:
    """Print `value` on stdout as JSON that people can read too, whatever letters stdout can carry."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=not prints_unicode()))


def prints_unicode() -> bool:
    """Whether stdout can carry every letter."""
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "") == "utf8"
