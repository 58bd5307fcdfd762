"""`docker compose up` on a host that has nothing but Docker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from support.engine_state import CHECKOUT, PATIENCE_S, container, docker, inspect
from support.scenario_files import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.root

PROJECT = "hedgerow-test"


@pytest.fixture
def results(tmp_path: Path) -> Iterator[Path]:
    """A results folder of ours, and the project's containers gone afterwards."""
    yield tmp_path
    done = docker("compose", "--project-name", PROJECT, "down", "--volumes")
    assert done.returncode == 0, done.stderr


def up(results: Path, *options: str, scenario: str = "smoke") -> tuple[int, str]:
    """The command that a reviewer types; its exit code and what it printed."""
    command = ["compose", "--project-name", PROJECT, "up", "--build", "--exit-code-from", "orchestrator", *options]
    done = docker(*command, SCENARIO=scenario, HEDGEROW_RESULTS=str(results))
    return done.returncode, done.stdout + done.stderr


def test_twice_in_a_row(results: Path) -> None:
    for count in (1, 2):
        code, said = up(results)
        assert code in (0, 1, 3), said
        assert "Verdict: " in said
        summaries = [json.loads(path.read_text()) for path in results.glob("*/summary.json")]
        assert len(summaries) == count
        for summary in summaries:
            assert (summary["backend"], summary["scenario"]) == ("docker", "smoke")
            assert summary["strategies"]["kernel"]["answered"] == 500
            assert summary["strategies"]["kernel"]["duplicates_delivered"] == 0


def test_the_exit_code_is_the_runs(results: Path) -> None:
    code, said = up(results, scenario="no-such")
    assert code == 2, said
    assert "no-such.yaml" in said


def test_a_second_run_in_the_same_containers_is_refused_and_the_first_is_whole(results: Path) -> None:
    """Both would tell the same client and servers what to do."""
    first = ThreadPoolExecutor(1).submit(up, results)
    wait_for(
        lambda: any('"event":"block"' in path.read_text() for path in results.glob("*/journal.jsonl")), "a block"
    )
    command = ["compose", "--project-name", PROJECT, "run", "--rm", "--no-deps", "orchestrator"]
    command += ["run", "scenarios/smoke.yaml", "--backend", "docker", "--json"]
    second = docker(*command, HEDGEROW_RESULTS=str(results))
    assert second.returncode == 4, second.stderr
    assert json.loads(second.stdout)["error"]["message"] == "another run uses these containers"
    code, said = first.result()
    assert code in (0, 1, 3), said
    (summary,) = [json.loads(path.read_text()) for path in results.glob("*/summary.json")]
    assert summary["strategies"]["kernel"]["answered"] == 500


def test_health_checks_ask_the_programs(results: Path) -> None:
    command = ["compose", "--project-name", PROJECT, "up", "--detach", "--wait", "server", "client", "hedger"]
    done = docker(*command, HEDGEROW_CHECK_INTERVAL="1s", HEDGEROW_RESULTS=str(results))
    assert done.returncode == 0, done.stderr
    for service in ("server", "client", "hedger"):
        node = container(PROJECT, service)

        def answered(node: str = node, service: str = service) -> bool:
            """Some check: the first ones may come before the program has its socket."""
            health = inspect(node)["State"]["Health"]
            answers = [check["Output"] for check in health["Log"] if check["ExitCode"] == 0]
            return health["Status"] == "healthy" and any(f'"role":"{service}"' in answer for answer in answers)

        wait_for(answered, f"a health check that {service} answers")


def test_up_without_options_ends_with_verdict_report_and_how_to_stop(results: Path) -> None:
    """And it goes on: nothing tells Compose that the orchestrator's end is the end."""
    process = subprocess.Popen(
        ["docker", "compose", "--project-name", PROJECT, "up"],
        cwd=CHECKOUT,
        env={**os.environ, "SCENARIO": "smoke", "HEDGEROW_RESULTS": str(results)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line.partition(" | ")[2].strip() or line.strip())
        if "docker compose down -v" in line:
            break
    (folder,) = results.iterdir()
    verdict = json.loads((folder / "summary.json").read_text())["verdict"]
    assert said[-3:-1] == [f"verdict: {verdict}", f"report:  {folder}/report.html"]
    assert said[-1].startswith("stop:    docker compose down -v")
    assert (folder / "report.html").exists()
    assert inspect(container(PROJECT, "client"))["State"]["Running"]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE_S)


def test_the_scenarios_are_the_checkouts_and_only_read() -> None:
    mounts = json.loads(docker("compose", "config", "--format", "json").stdout)["services"]["orchestrator"]["volumes"]
    (scenarios,) = [mount for mount in mounts if mount["target"] == "/hedgerow/scenarios"]
    assert (scenarios["source"], scenarios["read_only"]) == (str(CHECKOUT / "scenarios"), True)
