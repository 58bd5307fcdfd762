"""Which backend a run gets: the one that was named, or the one that this host is ready for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestrator.errors import PrerequisiteError, UsageError
from orchestrator.host.engine import engine
from orchestrator.topology.docker import SERVICES, DockerTopology, inside
from orchestrator.topology.images import missing_images
from orchestrator.topology.netns import NetnsTopology

BACKENDS = ("auto", "docker", "netns")


@dataclass(frozen=True)
class Choice:
    """A backend, and why it."""

    topology: Any
    reason: str

    @property
    def name(self) -> str:
        """The backend's name."""
        return str(self.topology.backend)


def choose(wanted: str) -> Choice:
    """The backend for `--backend wanted`; nothing is built for it.

    Raises UsageError where there is none of that name, PrerequisiteError where docker is named and not ready.
    """
    if wanted not in BACKENDS:
        raise UsageError(f"--backend {wanted}: there is no such backend", f"use {', '.join(BACKENDS)}")
    if wanted == "netns":
        return Choice(NetnsTopology, "named")
    refusal, remedy = (None, "") if inside() else _docker_refusal()
    if wanted == "docker":
        if refusal is not None:
            raise PrerequisiteError(refusal, remedy)
        return Choice(DockerTopology, "named")
    if refusal is None:
        return Choice(DockerTopology, "an engine answers and the images are there")
    return Choice(NetnsTopology, refusal)


def _docker_refusal() -> tuple[str | None, str]:
    """Why docker cannot be had, and what would help; None where it can."""
    with engine() as client:
        if client is None:
            return "no Docker engine answers", "start it, or --backend netns; orchestrator doctor says more"
        missing = missing_images(client, SERVICES)
        if missing:
            return f"no image {', '.join(missing)}", "orchestrator images build"
    return None, ""
