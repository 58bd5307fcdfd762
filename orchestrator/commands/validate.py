"""`orchestrator validate`: is this scenario one that can be run and judged? All its problems at once if not."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.commands.options import AsJson, Overrides, Smoke, print_json
from orchestrator.errors import Finding, ScenarioError
from orchestrator.plan.checks import load_plan
from orchestrator.plan.sample_size import too_few_blocks


@dataclass(frozen=True)
class _Valid:
    """A scenario that can be run, and what it will not show."""

    file: str
    scenario: str
    warnings: list[str]


def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Scenario files.", show_default=False)],
    overrides: Overrides = None,
    smoke: Smoke = False,
    as_json: AsJson = False,
) -> None:
    """Check scenario files; exit 2 and name every problem with its line and key where there is one."""
    findings: list[Finding] = []
    valid: list[_Valid] = []
    for file in files:
        try:
            experiment, _ = load_plan(file, overrides or (), smoke)
            valid.append(_Valid(str(file), experiment.name, too_few_blocks(experiment)))
        except ScenarioError as error:
            findings += error.findings
    if findings:
        raise ScenarioError(findings)
    if as_json:
        print_json({"valid": [asdict(entry) for entry in valid]})
    else:
        for entry in valid:
            typer.echo(f"{entry.file}: valid")
            for warning in entry.warnings:
                typer.echo(f"{entry.file}: warning: {warning}")
