"""`orchestrator validate`: is this scenario one that can be run and judged? All its problems at once if not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.commands.options import AsJson, Overrides, Smoke, print_json
from orchestrator.errors import Finding, ScenarioError
from orchestrator.plan.checks import load_plan


def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Scenario files.", show_default=False)],
    overrides: Overrides = None,
    smoke: Smoke = False,
    as_json: AsJson = False,
) -> None:
    """Check scenario files; exit 2 and name every problem with its line and key where there is one."""
    findings: list[Finding] = []
    valid: list[dict[str, str]] = []
    for file in files:
        try:
            valid.append({"file": str(file), "scenario": load_plan(file, overrides or (), smoke)[0].name})
        except ScenarioError as error:
            findings += error.findings
    if findings:
        raise ScenarioError(findings)
    if as_json:
        print_json({"valid": valid})
    else:
        for entry in valid:
            typer.echo(f"{entry['file']}: valid")
