"""`orchestrator images`: builds what the docker backend runs."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.commands.options import AsJson, print_json
from orchestrator.errors import PrerequisiteError
from orchestrator.host.engine import engine, engine_errors
from orchestrator.topology.images import ROLES, image_name
from orchestrator.topology.images import build as build_images

app = typer.Typer(help="The images of the docker backend.", no_args_is_help=True)


@app.callback()
def images() -> None:
    """The images of the docker backend."""


@app.command()
def build(
    offline: Annotated[
        bool, typer.Option("--offline", help="Make the base image from this host's Debian mirror, pull nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Build all images; where no registry answers, the base image is made from the host's own Debian mirror."""
    with engine() as client:
        if client is None:
            raise PrerequisiteError("no Docker engine answers", "start it; orchestrator doctor says more")
        try:
            build_images(client, offline, lambda text: typer.echo(text, err=True))
            built = {role: client.images.get(image_name(role)).id for role in ROLES} if as_json else {}
        except engine_errors() as error:
            raise PrerequisiteError(f"the Docker engine: {error}", "see dockerd's log") from error
    if as_json:
        print_json(
            {"images": [{"role": role, "name": image_name(role), "id": found} for role, found in built.items()]}
        )
