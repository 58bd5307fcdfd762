"""`orchestrator images`: builds what the docker backend runs."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.errors import PrerequisiteError
from orchestrator.host.engine import engine
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
) -> None:
    """Build all images; where no registry answers, the base image is made from the host's own Debian mirror."""
    with engine() as client:
        if client is None:
            raise PrerequisiteError("no Docker engine answers", "start it; orchestrator doctor says more")
        build_images(client, offline, lambda text: typer.echo(text, err=True))
