"""Faults of containers, watched through the engine while they last, and what becomes of them in the middle."""

from __future__ import annotations

import json
import os
import signal
import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import pytest
from docker.errors import NotFound

from docker import from_env
from orchestrator.host.engine import things_of
from orchestrator.host.undo import carry_out
from orchestrator.runfolder.journal import ReleaseContainers
from support.engine_state import container, docker, inspect
from support.fault_run import no_longer_than_this, run_with_faults, write_fault_scenario
from support.quick_variant import SCENARIOS, run_quick_variant
from support.scenario_files import orchestrate, start_run, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.root

FAULTS = (
    "fault: freeze, target: server-0, at: 500ms, duration: 1500ms",
    "fault: freeze, target: client, at: 2500ms, duration: 1500ms",
    "fault: cpu-stress, target: server-1, at: 700ms, duration: 1500ms",
    "fault: cpu-quota, target: server-1, at: 700ms, duration: 1500ms, percent: 20",
    "fault: pause, target: server-2, at: 4300ms, duration: 200ms",
    "fault: kill, target: server-0, at: 4300ms, duration: 200ms",
    "fault: cpu-stress, target: client, at: 4800ms, duration: 300ms",
    "fault: loss, target: server-1, at: 4800ms, duration: 300ms, percent: 30%",
)


class Watch(threading.Thread):
    """Which states and quotas the containers of a run were seen in, by the engine's API: its command takes much more
    of the processors that are being measured.
    """

    def __init__(self, results: Path) -> None:
        super().__init__(daemon=True)
        self._results, self._over = results, threading.Event()
        self.seen: dict[str, set[tuple[str, int]]] = {}

    def run(self) -> None:
        """The thread's work."""
        wait_for(lambda: any(self._results.glob("*/journal.jsonl")), "a run folder")
        (folder,) = self._results.iterdir()
        project = f"com.docker.compose.project=hedgerow-{folder.name.rsplit('-', 1)[1]}"
        with closing(from_env()) as engine:
            while not self._over.wait(0.05):
                for found in engine.api.containers(all=True, filters={"label": project}):
                    # One that is gone by now has been seen before.
                    with suppress(NotFound):
                        self._note(engine.api.inspect_container(found["Id"]))

    def _note(self, described: dict[str, Any]) -> None:
        labels = described["Config"]["Labels"]
        service, number = labels["com.docker.compose.service"], labels["com.docker.compose.container-number"]
        node = f"server-{int(number) - 1}" if service == "server" else service
        state = (described["State"]["Status"], described["HostConfig"]["CpuQuota"])
        self.seen.setdefault(node, set()).add(state)

    def finish(self) -> None:
        """Looks no more."""
        self._over.set()
        self.join()


def test_faults_reach_containers_and_leave_them(tmp_path: Path) -> None:
    watch = Watch(tmp_path / "out")
    watch.start()
    try:
        scenario = write_fault_scenario(tmp_path, *FAULTS, requests=1200)
        faulty = run_with_faults(scenario, tmp_path / "out", backend="docker")
    finally:
        watch.finish()
    assert [record["proven"] for record in faulty.records()] == [True] * len(FAULTS)
    frozen = {node for node, states in watch.seen.items() if any(state == "paused" for state, _ in states)}
    assert frozen == {"server-0", "client"}
    quotas = {node: {quota for _, quota in states} - {0, -1} for node, states in watch.seen.items()}
    assert {node: quota for node, quota in quotas.items() if quota} == {"server-1": {20_000}}
    record = faulty.record("freeze", "client")
    held_up = [row for row in faulty.samples if record["applied_ns"] < row["intended_ns"] < record["undone_ns"]]
    assert held_up
    assert all(row["sent_ns"] >= record["undone_ns"] or row["sent_ns"] <= record["applied_ns"] for row in held_up)
    last = [row for row in faulty.samples if row["intended_ns"] > faulty.samples[-1]["intended_ns"] - 200_000_000]
    assert {row["outcome"] for row in last} == {"answered"}


@pytest.mark.parametrize("name", ["gc_pause", "packet_loss", "replica_crash", "engines"])
def test_the_quick_variants_of_scenarios_run_and_prove_their_faults(name: str, tmp_path: Path) -> None:
    run_quick_variant(SCENARIOS / f"{name}.yaml", tmp_path, backend="docker")


def test_a_frozen_container_goes_with_the_others_after_minus_nine(tmp_path: Path) -> None:
    freeze = "fault: freeze, target: server-0, at: 300ms, duration: 40s"
    quota = "fault: cpu-quota, target: client, at: 300ms, percent: 50"
    scenario = write_fault_scenario(tmp_path, freeze, quota, requests=10_000)
    process = start_run(scenario, tmp_path / "out", backend="docker")
    with no_longer_than_this(process):
        token = paused_run(tmp_path / "out")
        process.kill()
        process.communicate(timeout=60)
    assert things_of(token)
    done = orchestrate("down")
    assert done.returncode == 0, done.stderr
    assert f"cleaned up after run {token}\n" in done.stdout
    assert things_of(token) == []


def test_an_interrupt_resumes_a_frozen_container_and_takes_it_down(tmp_path: Path) -> None:
    freeze = "fault: freeze, target: server-0, at: 300ms, duration: 40s"
    process = start_run(write_fault_scenario(tmp_path, freeze, requests=10_000), tmp_path / "out", backend="docker")
    with no_longer_than_this(process):
        token = paused_run(tmp_path / "out")
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert things_of(token) == []


def paused_run(results: Path) -> str:
    """The id of the only run in the folder, once its first server stands still."""
    wait_for(lambda: any(results.glob("*/journal.jsonl")), "a run folder")
    (folder,) = results.iterdir()
    token = folder.name.rsplit("-", 1)[1]
    server = container(f"hedgerow-{token}", "server")

    def is_paused() -> bool:
        state: dict[str, Any] = inspect(server)["State"]
        return bool(state["Paused"])

    wait_for(is_paused, "a paused server")
    return token


@pytest.fixture
def outliving() -> Iterator[str]:
    """A container that bears no run's mark, as those of `docker compose up`, which stay when their run ends."""
    made = docker("run", "--detach", "--rm", "--network=none", "--init", "hedgerow-server", "sleep", "600")
    assert made.returncode == 0, made.stderr
    name = made.stdout.strip()
    yield name
    docker("rm", "--force", name)


def test_the_undo_of_faults_releases_containers_that_outlive_the_run(outliving: str) -> None:
    docker("update", "--cpu-period=100000", "--cpu-quota=2000", outliving)
    docker("pause", outliving)
    for _ in range(2):
        carry_out(ReleaseContainers((outliving, "0" * 64)))
        described = inspect(outliving)
        assert described["State"]["Status"] == "running"
        assert described["HostConfig"]["CpuQuota"] in (0, -1)


def test_more_replicas_than_containers_are_refused_and_auto_takes_netns(tmp_path: Path) -> None:
    scenario = write_fault_scenario(
        tmp_path, "fault: pause, target: server-0, at: 100ms, duration: 50ms", requests=100
    )
    options = ["--set", "topology.replicas=4", "--json", "--no-report"]
    refused = start_run(scenario, tmp_path / "refused", *options, backend="docker")
    output, _ = refused.communicate(timeout=60)
    assert refused.returncode == 2
    assert "topology.replicas is 4, compose.yaml has 3 servers" in json.loads(output)["error"]["message"]
    assert not (tmp_path / "refused").exists()
    taken = start_run(scenario, tmp_path / "out", *options, backend="auto")
    output, errors = taken.communicate(timeout=120)
    assert "backend netns (topology.replicas is 4, compose.yaml has 3 servers)" in errors
    assert json.loads(output)["backend"] == "netns"
