"""`orchestrator plan`: what a run would do, how long it would take, and whether its sample carries its claims."""

from __future__ import annotations

import typer

from orchestrator.commands.options import AsJson, Overrides, ScenarioFile, Smoke, print_json
from orchestrator.plan.checks import load_plan
from orchestrator.plan.outline import as_json as plan_as_json
from orchestrator.plan.outline import as_text


def plan(file: ScenarioFile, overrides: Overrides = None, smoke: Smoke = False, as_json: AsJson = False) -> None:
    """Print a run's blocks in their order, its faults, how long it takes, and whether its claims can be judged."""
    experiment, blocks = load_plan(file, overrides or (), smoke)
    if as_json:
        print_json(plan_as_json(experiment, blocks))
        return
    for line in as_text(experiment, blocks):
        typer.echo(line)
