"""An engine that answers and then fails is told as what it is, in every command that asks it."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import pytest
import requests
from docker.errors import DockerException

from orchestrator.cli import run
from orchestrator.commands import images
from orchestrator.doctor import docker as doctor_docker
from orchestrator.doctor.checks import State
from orchestrator.topology import backends
from orchestrator.topology.backends import choose

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(
    params=[DockerException("it is unwell"), requests.ReadTimeout("it is unwell")], ids=["refused", "silent"]
)
def unwell(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """An engine in place of this host's."""
    client = MagicMock()
    client.images.list.side_effect = client.version.side_effect = request.param
    return lambda: nullcontext(client)


def test_auto_takes_namespaces_and_says_why(unwell: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "engine", unwell)
    chosen = choose("auto")
    assert (chosen.name, chosen.reason) == ("netns", "the Docker engine: it is unwell")


def test_the_doctor_goes_on(unwell: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_docker, "engine", unwell)
    (check,) = doctor_docker.look_at_docker()
    assert (check.state, check.found) == (State.WARNING, "it is unwell")


def test_images_cannot_be_built(
    unwell: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(images, "engine", unwell)
    assert run(["images", "build"]) == 4
    assert capsys.readouterr().err == "the Docker engine: it is unwell\nremedy: see dockerd's log\n"
