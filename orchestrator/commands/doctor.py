"""`orchestrator doctor`: can this host run scenarios, and what would help?"""

from __future__ import annotations

from dataclasses import asdict

import typer

from orchestrator.commands.options import AsJson, print_json
from orchestrator.doctor import examine
from orchestrator.doctor.checks import State
from orchestrator.errors import ExitCode


def doctor(as_json: AsJson = False) -> None:
    """Check what runs need of this host; exit 4 where something is missing."""
    checks = examine()
    missing = any(check.state is State.MISSING for check in checks)
    if as_json:
        print_json({"ready": not missing, "checks": [asdict(check) for check in checks]})
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            typer.echo(f"{check.state:<7}  {check.name:<{width}}  {check.found}")
            if check.remedy:
                typer.echo(f"{'':7}  {'':{width}}  remedy: {check.remedy}")
    raise typer.Exit(ExitCode.PREREQUISITE if missing else ExitCode.DONE)
