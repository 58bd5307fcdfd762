"""Chooses a run's backend: the one that was named, or the one that this host is ready for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.errors import PrerequisiteError, UsageError
from orchestrator.host.engine import engine, engine_errors
from orchestrator.topology.docker import MAX_REPLICAS, SERVICES, DockerTopology, inside
from orchestrator.topology.images import ROOT, missing_images
from orchestrator.topology.images import build as build_images
from orchestrator.topology.netns import NetnsTopology

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.topology.base import MakeTopology

BACKENDS = ("auto", "docker", "netns")


@dataclass(frozen=True)
class Choice:
    """A backend by its name, what makes its topology, and the reason for it."""

    name: str
    make_topology: MakeTopology
    reason: str
    remedy: str = ""  #: what would make it docker; empty where there is nothing to do


def choose(wanted: str, replicas: int = 1, build: Callable[[str], None] | None = None) -> Choice:
    """The backend for `--backend wanted` and a scenario of so many servers.

    With `build`, which is called with each line of progress, images that are missing are made and the run takes
    docker; without, nothing is made. Raises UsageError where there is no backend of that name, or docker is asked
    for and has too few servers, PrerequisiteError where it is asked for and not ready.
    """
    if wanted not in BACKENDS:
        raise UsageError(f"--backend {wanted}: there is no such backend", f"use {', '.join(BACKENDS)}")
    if wanted == "netns":
        if build is not None:
            raise UsageError("--build has no effect with --backend netns", "leave one of them out")
        return Choice("netns", NetnsTopology, "named")
    if replicas > MAX_REPLICAS:
        too_many = f"topology.replicas is {replicas}, compose.yaml has {MAX_REPLICAS} servers"
        if wanted == "docker" or build is not None:
            raise UsageError(too_many, f"use {MAX_REPLICAS} replicas at most, or --backend netns")
        return Choice("netns", NetnsTopology, too_many)
    refusal, remedy = (None, "") if inside() else _docker_refusal(build)
    if refusal is None:
        named = wanted == "docker"
        return Choice("docker", DockerTopology, "named" if named else "an engine answers and the images are there")
    if wanted == "docker" or build is not None:
        raise PrerequisiteError(refusal, f"{remedy}, or --backend netns")
    return Choice("netns", NetnsTopology, refusal, remedy)


def _docker_refusal(build: Callable[[str], None] | None) -> tuple[str | None, str]:
    """Why docker cannot be used, and what would help; None where it can."""
    if not (ROOT / "compose.yaml").exists():
        return "this installation has no compose.yaml", "run from a checkout"
    with engine() as client:
        if client is None:
            return "no Docker engine answers", "start it (orchestrator doctor says more)"
        try:
            missing = missing_images(client, SERVICES)
            if missing and build is not None:
                build_images(client, offline=False, say=build)
                missing = missing_images(client, SERVICES)
        except engine_errors() as error:
            return f"the Docker engine: {error}", "see dockerd's log"
    if missing:
        return f"no image {', '.join(missing)}", "`orchestrator images build` (or --build) makes them in about 2 min"
    return None, ""
