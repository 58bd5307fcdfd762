"""`orchestrator run --backend docker`: the same results as in namespaces, and nothing left, however it ends."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from orchestrator.host.engine import things_of
from support.engine_state import CHECKOUT, container, docker, inspect
from support.scenario_files import NEVER_TOO_LATE, Finished, finish, orchestrate, start_run, wait_for, write_scenario

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root

STRATEGIES = "baseline, app-deadline, kernel"


def assert_sound(run: Finished) -> None:
    """What must be in a run of `write_scenario`, on any host and however busy that is."""
    kernel = run.summary["strategies"]["kernel"]
    assert (kernel["answered"], kernel["duplicates_delivered"]) == (200, 0)
    copies = pq.read_table(run.folder / "server.parquet").to_pylist()
    hedges = pq.read_table(run.folder / "hedges.parquet").to_pylist()
    for strategy in run.summary["strategies"]:
        stalled = {row["request_id"] for row in copies if row["strategy"] == strategy and row["action"] == "stalled"}
        hedged = {row["request_id"] for row in hedges if row["strategy"] == strategy}
        assert stalled == {0, 1, 100, 101}
        assert stalled <= hedged if strategy != "baseline" else not hedged


def measuring(results: Path) -> str:
    """The id of the only run in the folder, once its first block is under way."""
    wait_for(lambda: any(results.glob("*/journal.jsonl")), "a run folder")
    (journal,) = results.glob("*/journal.jsonl")
    wait_for(lambda: '"event":"block"' in journal.read_text(), "the first block")
    return journal.parent.name.rsplit("-", 1)[1]


def test_smoke_supports_what_it_supports_in_namespaces(tmp_path: Path) -> None:
    run = finish(start_run(CHECKOUT / "scenarios" / "smoke.yaml", tmp_path, "--json", backend="docker"))
    assert run.code in (0, 1, 3), run.errors
    assert (run.summary["backend"], run.manifest["status"]) == ("docker", "complete")
    verdicts = {claim["id"]: claim["verdict"] for claim in run.summary["claims"]}
    for exact in ("stalls-hedged", "no-duplicates"):
        assert verdicts[exact] == "supported"
    assert "topology up in" in run.errors
    assert "topology down in" in run.errors
    assert {name.partition("-")[2] for name in run.manifest["images"]} == {"server", "client", "hedger"}
    engine = docker("version", "--format={{.Server.Version}}").stdout.strip()
    assert run.manifest["container_engine"]["version"] == engine
    assert run.manifest["environment"]["after"]["interface"]["name"] == "eth0"
    for image in run.manifest["images"].values():
        assert image["id"].startswith("sha256:")
        assert "python3" in image["packages"]
    assert "python3-bpfcc" in run.manifest["images"]["hedgerow-hedger"]["packages"]
    token = run.folder.name.rsplit("-", 1)[1]
    undos = [record["undo"] for record in run.journal if record["event"] == "change"]
    assert {"do": "remove-project", "run": token} in undos
    assert "server-0 | " in (run.folder / "log.txt").read_text()


def test_two_runs_side_by_side(tmp_path: Path) -> None:
    scenario = write_scenario(tmp_path, strategies=STRATEGIES, timeout=NEVER_TOO_LATE)
    started = [
        start_run(scenario, tmp_path / name, "--json", "--no-report", backend="docker") for name in ("one", "two")
    ]
    for run in [finish(process) for process in started]:
        assert_sound(run)


def test_with_the_least_privilege_the_result_is_the_same(tmp_path: Path) -> None:
    scenario = write_scenario(tmp_path, strategies=STRATEGIES, timeout=NEVER_TOO_LATE)
    files = "compose.yaml:compose.least-privilege.yaml"
    process = start_run(scenario, tmp_path / "out", "--json", "--no-report", backend="docker", COMPOSE_FILE=files)
    token = measuring(tmp_path / "out")
    described = inspect(container(f"hedgerow-{token}", "hedger"))["HostConfig"]
    assert (described["Privileged"], described["CapDrop"]) == (False, ["ALL"])
    assert {name.removeprefix("CAP_") for name in described["CapAdd"]} == {
        "DAC_OVERRIDE",
        "NET_ADMIN",
        "BPF",
        "PERFMON",
    }
    assert_sound(finish(process))


@pytest.mark.parametrize("node", ["server-0", "client", "hedger"])
def test_a_container_killed_from_outside_fails_the_run_by_name(tmp_path: Path, node: str) -> None:
    scenario = write_scenario(tmp_path, requests=5_000)
    process = start_run(scenario, tmp_path / "out", "--json", backend="docker")
    token = measuring(tmp_path / "out")
    assert docker("kill", container(f"hedgerow-{token}", node.partition("-")[0])).returncode == 0
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 5, errors
    message = json.loads(output)["error"]["message"]
    assert message == f"{node} ended in the middle of the run (killed by SIGKILL)"
    (manifest,) = (tmp_path / "out").glob("*/manifest.json")
    assert json.loads(manifest.read_text())["status"] == f"failed: {message}"


def test_a_container_removed_from_outside_fails_the_run_too(tmp_path: Path) -> None:
    process = start_run(write_scenario(tmp_path, requests=5_000), tmp_path / "out", "--json", backend="docker")
    token = measuring(tmp_path / "out")
    docker("rm", "--force", container(f"hedgerow-{token}", "server"))
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 5, errors
    assert json.loads(output)["error"]["message"].startswith("server-0 ended in the middle of the run")


@pytest.mark.parametrize("moment_s", [0.0, 0.3, 0.8, 1.3, 2.0, 3.0])
def test_interrupted_while_standing_up_or_measuring(tmp_path: Path, moment_s: float) -> None:
    process = start_run(write_scenario(tmp_path, requests=5_000), tmp_path / "out", backend="docker")
    wait_for(lambda: any((tmp_path / "out").glob("*/journal.jsonl")), "a run folder")
    time.sleep(moment_s)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("journal_kept", [True, False], ids=["by its journal", "by its marks"])
@pytest.mark.parametrize("standing_up", [True, False], ids=["standing up", "measuring"])
def test_killed_with_minus_nine_down_gives_the_engine_back(
    tmp_path: Path, standing_up: bool, journal_kept: bool
) -> None:
    process = start_run(write_scenario(tmp_path, requests=5_000), tmp_path / "out", backend="docker")
    wait_for(lambda: any((tmp_path / "out").glob("*/journal.jsonl")), "a run folder")
    (journal,) = (tmp_path / "out").glob("*/journal.jsonl")
    token = journal.parent.name.rsplit("-", 1)[1]
    if standing_up:
        wait_for(lambda: bool(things_of(token)), "a first container or network")
    else:
        measuring(tmp_path / "out")
    process.kill()
    process.communicate(timeout=60)
    if not journal_kept:
        journal.unlink()
    done = orchestrate("down")
    assert (done.returncode, done.stdout) == (0, f"cleaned up after run {token}\n"), done.stderr


def test_while_no_engine_answers_a_killed_run_is_not_taken_for_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start_run(write_scenario(tmp_path, requests=5_000), tmp_path / "out", backend="docker")
    token = measuring(tmp_path / "out")
    process.kill()
    process.communicate(timeout=60)
    with monkeypatch.context() as without:
        without.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
        done = orchestrate("down")
    assert done.returncode == 6, done.stderr
    assert f"run {token} cannot be undone: no Docker engine answers" in done.stderr
    assert things_of(token)
    done = orchestrate("down")
    assert (done.returncode, done.stdout) == (0, f"cleaned up after run {token}\n"), done.stderr


def test_auto_takes_docker_where_it_is_ready_and_says_why(tmp_path: Path) -> None:
    run = finish(start_run(write_scenario(tmp_path), tmp_path, "--json", "--no-report", backend="auto"))
    assert run.summary["backend"] == "docker"
    assert "backend docker (an engine answers and the images are there)" in run.errors


def test_build_makes_the_images_that_are_missing_and_runs_in_containers(tmp_path: Path) -> None:
    """The tag alone is taken away: building it again costs nothing."""
    assert docker("rmi", "hedgerow-hedger").returncode == 0
    run = finish(start_run(write_scenario(tmp_path), tmp_path, "--json", "--no-report", "--build", backend="auto"))
    assert run.summary["backend"] == "docker"
    assert "building hedgerow-server, " in run.errors.splitlines()[0]


def test_without_an_engine_auto_takes_netns_and_docker_is_refused(tmp_path: Path) -> None:
    nowhere = f"unix://{tmp_path}/no.sock"
    run = finish(
        start_run(write_scenario(tmp_path), tmp_path, "--json", "--no-report", backend="auto", DOCKER_HOST=nowhere)
    )
    assert run.summary["backend"] == "netns"
    assert "backend netns (no Docker engine answers)" in run.errors
    refused = start_run(write_scenario(tmp_path), tmp_path, "--json", backend="docker", DOCKER_HOST=nowhere)
    output, _ = refused.communicate(timeout=60)
    assert refused.returncode == 4
    assert json.loads(output)["error"]["message"] == "no Docker engine answers"
