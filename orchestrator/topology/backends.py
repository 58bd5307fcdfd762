"""Chooses a run's backend: the one that was named, or the one that this host is ready for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.errors import PrerequisiteError, UsageError
from orchestrator.host.engine import engine, engine_errors
from orchestrator.topology.docker import MAX_REPLICAS, SERVICES, DockerTopology, inside
from orchestrator.topology.images import missing_images
from orchestrator.topology.netns import NetnsTopology

if TYPE_CHECKING:
    from orchestrator.topology.base import MakeTopology

BACKENDS = ("auto", "docker", "netns")


@dataclass(frozen=True)
class Choice:
    """A backend by its name, what makes its topology, and the reason for it."""

    name: str
    make_topology: MakeTopology
    reason: str


def choose(wanted: str, replicas: int = 1) -> Choice:
    """The backend for `--backend wanted` and a scenario of so many servers; nothing is built for it.

    Raises UsageError where there is none of that name or docker is named and has too few servers,
    PrerequisiteError where it is named and not ready.
    """
    if wanted not in BACKENDS:
        raise UsageError(f"--backend {wanted}: there is no such backend", f"use {', '.join(BACKENDS)}")
    if wanted == "netns":
        return Choice("netns", NetnsTopology, "named")
    if replicas > MAX_REPLICAS:
        too_many = f"topology.replicas is {replicas}, compose.yaml has {MAX_REPLICAS} servers"
        if wanted == "docker":
            raise UsageError(too_many, f"use {MAX_REPLICAS} replicas at most, or --backend netns")
        return Choice("netns", NetnsTopology, too_many)
    refusal, remedy = (None, "") if inside() else _docker_refusal()
    if wanted == "docker":
        if refusal is not None:
            raise PrerequisiteError(refusal, remedy)
        return Choice("docker", DockerTopology, "named")
    if refusal is None:
        return Choice("docker", DockerTopology, "an engine answers and the images are there")
    return Choice("netns", NetnsTopology, refusal)


def _docker_refusal() -> tuple[str | None, str]:
    """Why docker cannot be had, and what would help; None where it can."""
    with engine() as client:
        if client is None:
            return "no Docker engine answers", "start it, or --backend netns; orchestrator doctor says more"
        try:
            missing = missing_images(client, SERVICES)
        except engine_errors() as error:
            return f"the Docker engine: {error}", "see dockerd's log, or --backend netns"
        if missing:
            return f"no image {', '.join(missing)}", "orchestrator images build"
    return None, ""
