"""An engine that answers and then fails: every command that uses it reports that."""

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


@pytest.fixture(params=[DockerException("it fails"), requests.ReadTimeout("it fails")], ids=["refused", "silent"])
def failing(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """An engine in place of this host's."""
    client = MagicMock()
    client.images.list.side_effect = client.version.side_effect = request.param
    return lambda: nullcontext(client)


def test_auto_takes_namespaces_and_says_why(failing: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "engine", failing)
    chosen = choose("auto")
    assert (chosen.name, chosen.reason) == ("netns", "the Docker engine: it fails")


def test_the_doctor_goes_on(failing: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_docker, "engine", failing)
    (check,) = doctor_docker.look_at_docker()
    assert (check.state, check.found) == (State.WARNING, "it fails")


def test_images_cannot_be_built(
    failing: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(images, "engine", failing)
    assert run(["images", "build"]) == 4
    assert capsys.readouterr().err == "the Docker engine: it fails\nremedy: see dockerd's log\n"
