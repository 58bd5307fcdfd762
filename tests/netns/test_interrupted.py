"""Runs that do not end by themselves: whatever ends them, the host is given back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

import pytest

from hedgerow_node.control import ControlClient
from orchestrator.host.audit import namespaces_of, processes_of
from support.scenario_files import ORCHESTRATOR, orchestrate, start_run, wait_for, write_scenario

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

LIVE = Path("/run/hedgerow")


@pytest.fixture
def long_scenario(tmp_path: Path) -> Path:
    return write_scenario(tmp_path, requests=5_000)


def token_of(results: Path) -> str:
    """The id of the only run in the folder, once it is there."""
    wait_for(lambda: results.exists() and any(results.iterdir()), "a run folder")
    (folder,) = results.iterdir()
    return folder.name.rsplit("-", 1)[1]


def measuring(results: Path) -> str:
    """The id of that run, once its first block is under way."""
    token = token_of(results)
    (folder,) = results.iterdir()
    journal = folder / "journal.jsonl"
    wait_for(lambda: journal.exists() and '"event":"block"' in journal.read_text(), "the first block")
    return token


def assert_nothing_bears(token: str) -> None:
    assert namespaces_of(token) == []
    assert processes_of(token) == []
    assert not (LIVE / token).exists()


def status(results: Path) -> str:
    (folder,) = results.iterdir()
    said: str = json.loads((folder / "manifest.json").read_text())["status"]
    return said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_measuring(tmp_path: Path, long_scenario: Path, number: signal.Signals) -> None:
    process = start_run(long_scenario, tmp_path / "results")
    token = measuring(tmp_path / "results")
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert f"interrupted by {number.name}" in errors
    assert status(tmp_path / "results") == "interrupted"
    assert_nothing_bears(token)


@pytest.mark.parametrize("moment_s", [0.0, 0.03, 0.06, 0.1, 0.2, 0.4])
def test_interrupted_while_standing_up(tmp_path: Path, long_scenario: Path, moment_s: float) -> None:
    """At moments spread over the time from the run folder's making to the first block, wherever that falls."""
    process = start_run(long_scenario, tmp_path / "results")
    token = token_of(tmp_path / "results")
    time.sleep(moment_s)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert_nothing_bears(token)


def test_an_impatient_second_interrupt_does_not_disturb_the_cleaning(tmp_path: Path, long_scenario: Path) -> None:
    process = start_run(long_scenario, tmp_path / "results")
    token = measuring(tmp_path / "results")
    for _ in range(5):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.01)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert_nothing_bears(token)


@pytest.fixture
def links() -> Iterator[list[str]]:
    """Names of links, which are gone afterwards."""
    names: list[str] = []
    yield names
    for name in names:
        subprocess.run(["ip", "link", "delete", name], capture_output=True, check=False)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9), (None, 6)])
def test_leftovers_are_reported_and_down_finds_them_until_they_are_gone(
    tmp_path: Path, links: list[str], number: signal.Signals | None, code: int
) -> None:
    """A link that bears the run's id and that nothing takes away stands for whatever may be left one day."""
    process = start_run(write_scenario(tmp_path, requests=5_000 if number else 200), tmp_path / "results", "--json")
    token = measuring(tmp_path / "results")
    links.append(f"hr{token}x0")
    subprocess.run(["ip", "link", "add", links[0], "type", "bridge"], check=True)
    if number is not None:
        os.killpg(process.pid, number)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    message = f"left behind on the host: link {links[0]}"
    if number is not signal.SIGKILL:
        error = json.loads(output)["error"]
        assert (error["code"], error["remedy"]) == (code, "orchestrator down")
        assert error["message"].endswith(message)
        assert f"{message}; orchestrator down tries again" in errors
    for _ in range(2):
        down = orchestrate("down")
        assert (down.returncode, down.stdout) == (6, "")
        assert f"run {token} cannot be undone: still there: link {links[0]}" in down.stderr
    subprocess.run(["ip", "link", "delete", links[0]], check=True)
    done = orchestrate("down")
    assert (done.returncode, done.stdout) == (0, f"cleaned up after run {token}\n")
    assert_nothing_bears(token)


def test_nohup_keeps_a_run_from_ending_with_its_terminal(tmp_path: Path) -> None:
    scenario = write_scenario(tmp_path)
    command = ["nohup", str(ORCHESTRATOR), "run", str(scenario), "--results", str(tmp_path / "results")]
    process = subprocess.Popen(
        [*command, "--backend", "netns", "--no-report"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    measuring(tmp_path / "results")
    os.killpg(process.pid, signal.SIGHUP)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (0, 1, 3), errors
    assert status(tmp_path / "results") == "complete"


def kill_nine(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate(timeout=60)


def test_killed_with_minus_nine_down_gives_the_host_back(tmp_path: Path, long_scenario: Path) -> None:
    process = start_run(long_scenario, tmp_path / "results")
    token = measuring(tmp_path / "results")
    kill_nine(process)
    assert namespaces_of(token)
    done = orchestrate("down")
    assert (done.returncode, done.stdout) == (0, f"cleaned up after run {token}\n")
    assert_nothing_bears(token)
    assert orchestrate("down").stdout == "nothing to clean up\n"


def test_killed_with_minus_nine_and_its_results_gone_down_still_finds_what_it_made(
    tmp_path: Path, long_scenario: Path
) -> None:
    process = start_run(long_scenario, tmp_path / "results")
    token = measuring(tmp_path / "results")
    kill_nine(process)
    (folder,) = (tmp_path / "results").iterdir()
    (folder / "journal.jsonl").unlink()
    assert orchestrate("down").returncode == 0
    assert_nothing_bears(token)


def test_the_next_run_cleans_up_after_one_that_was_killed(tmp_path: Path, long_scenario: Path) -> None:
    process = start_run(long_scenario, tmp_path / "results")
    token = measuring(tmp_path / "results")
    kill_nine(process)
    successor = start_run(write_scenario(tmp_path), tmp_path / "other", "--no-report")
    _, errors = successor.communicate(timeout=120)
    assert f"cleaned up after runs that died: {token}" in errors
    assert successor.returncode in (0, 1, 3), errors
    assert_nothing_bears(token)


def test_down_leaves_a_run_at_work_alone_without_all(tmp_path: Path, long_scenario: Path) -> None:
    process = start_run(long_scenario, tmp_path / "results")
    token = measuring(tmp_path / "results")
    assert f"run {token} is at work: left alone (--all ends it)" in orchestrate("down").stdout
    assert process.poll() is None
    done = orchestrate("down", "--all")
    assert (done.returncode, done.stdout) == (0, f"cleaned up after run {token}\n")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert_nothing_bears(token)


@pytest.mark.parametrize("node", ["server-0", "client", "hedger"])
def test_a_program_that_dies_in_the_middle_fails_the_run_by_name(
    tmp_path: Path, long_scenario: Path, node: str
) -> None:
    process = start_run(long_scenario, tmp_path / "results", "--json")
    token = measuring(tmp_path / "results")
    program = f"hedgerow_{node.partition('-')[0]}".encode()
    (victim,) = [pid for pid in processes_of(token) if is_supervisor(pid, program)]
    os.kill(victim, signal.SIGKILL)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 5, errors
    message = json.loads(output)["error"]["message"]
    assert message == f"{node} ended in the middle of the run (killed by SIGKILL)"
    assert status(tmp_path / "results") == f"failed: {message}"
    assert_nothing_bears(token)


def is_supervisor(pid: int, program: bytes) -> bool:
    """Whether `pid` is the main process of a program rather than a worker of it."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes()
    parent = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    return program in words and program not in Path(f"/proc/{parent}/cmdline").read_bytes()


def test_the_servers_worker_dying_fails_the_run_too(tmp_path: Path, long_scenario: Path) -> None:
    process = start_run(long_scenario, tmp_path / "results", "--json")
    token = measuring(tmp_path / "results")
    with ControlClient(LIVE / token / "server-0.sock", 10) as control:
        os.kill(control.call("ping")["worker_pid"], signal.SIGKILL)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 5, errors
    assert "worker" in json.loads(output)["error"]["message"]
    assert_nothing_bears(token)


def test_a_hedger_that_is_killed_while_it_compiles_leaves_no_headers(tmp_path: Path, long_scenario: Path) -> None:
    before = {*Path(gettempdir()).glob("hedgerow-kernel-*")}
    process = start_run(long_scenario, tmp_path / "results")
    token = token_of(tmp_path / "results")
    wait_for(lambda: any((LIVE / token).glob("hedgerow-kernel-*")), "the hedger's headers")
    (victim,) = [pid for pid in processes_of(token) if is_supervisor(pid, b"hedgerow_hedger")]
    os.kill(victim, signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 5, errors
    assert {*Path(gettempdir()).glob("hedgerow-kernel-*")} <= before
    assert_nothing_bears(token)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with room for a megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "none", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_disk_that_fills_while_it_measures_fails_the_run_with_a_remedy(
    small_disk: Path, long_scenario: Path
) -> None:
    results = small_disk / "results"
    process = start_run(long_scenario, results)
    token = measuring(results)
    subprocess.run(["dd", "if=/dev/zero", f"of={small_disk / 'filler'}", "bs=4k"], capture_output=True, check=False)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 5, errors
    assert "No space left on device" in errors
    assert "remedy: " in errors
    assert "Traceback" not in errors
    assert str(small_disk) not in status(results)
    assert_nothing_bears(token)
