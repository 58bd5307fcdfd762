"""The docker backend without an engine: compose is not waited for for ever, and every step down is taken."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import LeftoversError, PrerequisiteError, RunError
from orchestrator.host.live import LiveRun
from orchestrator.run.interrupts import Interrupted, Interrupts
from orchestrator.runfolder.folder import RunFolder
from orchestrator.runfolder.journal import EndProcesses, Journal, ReleaseContainers, RemoveProject, Undo
from orchestrator.topology import docker as docker_module
from orchestrator.topology.base import Layout
from orchestrator.topology.docker import DockerTopology
from support.scenario_files import wait_for

if TYPE_CHECKING:
    from pathlib import Path

RUN_ID = "0123ab"
STUBBORN = "trap '' TERM; echo up >&2; while :; do sleep 0.1; done"


def compose(script: str) -> subprocess.Popen[str]:
    """A stand-in for compose, started as the backend starts it, once it has said something."""
    return subprocess.Popen(["sh", "-c", script], stderr=subprocess.PIPE, text=True, start_new_session=True)


def alive(group: int) -> bool:
    """Whether a process group has members."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_module, "_COMPOSE_TIMEOUT_S", 0.2)
    monkeypatch.setattr(docker_module, "_COMPOSE_END_S", 0.2)


def test_what_compose_says_is_kept() -> None:
    assert docker_module._words_of(compose("echo no such image >&2; exit 1")) == "no such image\n"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("script", ["echo up >&2; sleep 60", STUBBORN])
def test_compose_that_does_not_end_is_ended_and_fails_the_run(script: str, impatient: None) -> None:
    process = compose(script)
    with pytest.raises(RunError, match=r"docker compose up takes longer than 0\.2 s"):
        docker_module._words_of(process)
    assert process.returncode in {-signal.SIGTERM, -signal.SIGKILL}
    wait_for(lambda: not alive(process.pid), "the end of what compose has started")


@pytest.mark.timeout(20)
def test_an_interrupt_waits_for_compose_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_module, "_COMPOSE_END_S", 0.2)
    process = compose(STUBBORN)
    began_s = time.monotonic()
    with Interrupts(), pytest.raises(Interrupted):
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
        docker_module._words_of(process)
    assert time.monotonic() - began_s >= 0.4
    assert process.returncode == -signal.SIGKILL


def test_a_step_that_fails_keeps_no_other_from_being_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder.create(tmp_path, "example")
    journal = Journal(folder.journal)
    topology = DockerTopology(Layout(port=9000), LiveRun(RUN_ID), journal, folder)
    topology._made, topology._releases = True, ["one"]
    kept: list[bool] = []
    monkeypatch.setattr(topology, "_keep_logs", lambda: kept.append(True))
    undone: list[Undo] = []

    def refusing(undo: Undo) -> None:
        undone.append(undo)
        if not isinstance(undo, RemoveProject):
            raise LeftoversError("the engine is busy")

    monkeypatch.setattr(docker_module, "carry_out", refusing)
    with pytest.raises(LeftoversError, match="busy"):
        topology.down()
    assert undone == [ReleaseContainers(("one",)), EndProcesses(RUN_ID), RemoveProject(RUN_ID)]
    assert kept == [True]
    journal.close()


def test_of_two_runs_in_the_same_containers_the_second_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_module, "CONTROL_INSIDE", tmp_path)
    another = pytest.raises(PrerequisiteError, match="another run uses these containers")
    with docker_module._alone(), another, docker_module._alone():
        pytest.fail("both have them")
    with docker_module._alone():
        """The first is over."""


def test_a_run_inside_has_the_containers_until_it_is_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_module, "CONTROL_INSIDE", tmp_path)
    monkeypatch.setenv("HEDGEROW_INSIDE", "1")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    folder = RunFolder.create(tmp_path, "example")
    journal = Journal(folder.journal)
    first, second = (DockerTopology(Layout(port=9000), LiveRun(RUN_ID), journal, folder) for _ in range(2))
    for topology, refusal in ((first, "no Docker engine answers"), (second, "another run uses these containers")):
        with pytest.raises(PrerequisiteError, match=refusal):
            topology.up()
    first.down()
    with docker_module._alone():
        """They are free again."""
    journal.close()
