"""`orchestrator schema`: the reference of scenario files, for editors and programs."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.commands.options import print_json
from orchestrator.scenario.schema import scenario_json_schema


def schema(
    as_json: Annotated[  # noqa: ARG001 - so that every command takes it
        bool, typer.Option("--json", help="Output is always JSON; with this, errors are too.")
    ] = False,
) -> None:
    """Print the JSON Schema of scenario files, every key described."""
    print_json(scenario_json_schema())
