"""What runs make in the engine, looked at with its own command line, not with the code under test."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from support.scenario_files import wait_for

CHECKOUT = Path(__file__).resolve().parents[2]
PATIENCE_S = 240.0


def docker(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A docker command in the checkout, to its end."""
    return subprocess.run(
        ["docker", *arguments],
        cwd=CHECKOUT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@dataclass(frozen=True)
class EngineState:
    """Everything that the engine holds but images, ours or not."""

    containers: frozenset[str]
    networks: frozenset[str]
    volumes: frozenset[str]

    def difference(self, before: EngineState) -> dict[str, object]:
        """What is new since `before`, by kind."""
        new = {field.name: getattr(self, field.name) - getattr(before, field.name) for field in fields(self)}
        return {kind: names for kind, names in new.items() if names}


def engine_state() -> EngineState:
    """What there is now."""
    return EngineState(
        containers=frozenset(docker("ps", "--all", "--quiet", "--no-trunc").stdout.split()),
        networks=frozenset(docker("network", "ls", "--quiet", "--no-trunc").stdout.split()),
        volumes=frozenset(docker("volume", "ls", "--quiet").stdout.split()),
    )


def container(project: str, service: str, number: int = 1) -> str:
    """The container of a service, once it is there."""
    labels = [f"project={project}", f"service={service}", f"container-number={number}"]
    filters = [part for label in labels for part in ("--filter", f"label=com.docker.compose.{label}")]

    def found() -> list[str]:
        return docker("ps", "--all", "--quiet", *filters).stdout.split()

    wait_for(lambda: bool(found()), f"a container of {service}")
    (one,) = found()
    return one


def inspect(name: str) -> Any:
    """All that the engine tells of a container."""
    return json.loads(docker("inspect", name).stdout)[0]
