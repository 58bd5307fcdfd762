"""`orchestrator schema`: the reference of scenario files, for editors and programs."""

from __future__ import annotations

from orchestrator.commands.options import print_json
from orchestrator.scenario.schema import scenario_json_schema


def schema() -> None:
    """Print the JSON Schema of scenario files, every key described."""
    print_json(scenario_json_schema())
