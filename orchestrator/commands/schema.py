"""`orchestrator schema`: the reference of scenario files, for editors and programs."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.commands.options import print_json
from orchestrator.scenario.schema import scenario_json_schema


def schema(
    as_json: Annotated[  # noqa: ARG001 - so that every command takes it
        bool, typer.Option("--json", help="Nothing else is ever printed; errors are JSON, too.")
    ] = False,
) -> None:
    """Print the JSON Schema of scenario files, every key described."""
    print_json(scenario_json_schema())
