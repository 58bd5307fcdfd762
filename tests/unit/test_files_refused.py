"""Disks that are full, folders that may not be written, streams that are closed: a clear error, never a traceback."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.cli import run
from orchestrator.host.observe.provenance import provenance
from orchestrator.report.page import command
from orchestrator.report.plots import draw
from orchestrator.runfolder.command import without_paths
from orchestrator.runfolder.folder import RunFolder
from orchestrator.runfolder.manifest import Manifest
from support.run_folder_factory import ROOT, data_of, experiment_from, finished_run

if TYPE_CHECKING:
    from collections.abc import Iterator

CLOSED = next((ROOT / "tests" / "golden" / "0.1.0").glob("closed-*"))
ORCHESTRATOR = str(Path(sys.executable).parent / "orchestrator")
NOBODY = 65534
AS_ROOT = pytest.mark.root  # mounts, and becomes another user


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(shutil.copytree(CLOSED, tmp_path / "results" / CLOSED.name))


def shell(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The end of a shell script that has the command as `$0`."""
    return subprocess.run(
        ["bash", "-c", script, ORCHESTRATOR, *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "script",
    ['"$0" show "$1" >&-', '"$0" show "$1" <&- >&- 2>&-', '"$0" show "$1" --json >&-', '"$0" analyze "$1" >&-'],
)
def test_a_closed_stdout_changes_no_exit_code(folder: RunFolder, script: str) -> None:
    wanted = shell(script.replace(">&-", ">/dev/null"), folder.path)
    closed = shell(script, folder.path)
    assert (closed.returncode, closed.stderr) == (wanted.returncode, wanted.stderr)
    assert wanted.returncode in (0, 3)


def test_what_a_closed_stdout_was_for_ends_up_in_no_file(folder: RunFolder) -> None:
    shell('"$0" analyze "$1" >&- 2>&-', folder.path)
    for path in folder.path.rglob("*"):
        assert not path.is_file() or b"Verdict: " not in path.read_bytes()


@pytest.mark.parametrize("options", ["", "--json"])
def test_a_stdout_for_ascii_alone_gets_what_it_can_carry(folder: RunFolder, options: str) -> None:
    done = shell(f'LC_ALL=C PYTHONIOENCODING=ascii PYTHONUTF8=0 "$0" show "$1" {options}', folder.path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    if options:
        assert json.loads(done.stdout) == json.loads(folder.summary.read_text())
    else:
        assert "?s" in done.stdout  # µs


@pytest.mark.parametrize("command", ["ls", "show last", "analyze last", "report last", "report --index"])
@pytest.mark.parametrize("kind", ["long", "long path"])
def test_a_results_folder_with_an_impossible_name(
    kind: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "r" * 300 if kind == "long" else "/".join(["r" * 200] * 30)
    assert run([*command.split(), "--results", name]) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert "remedy: " in said


def test_a_run_into_a_results_folder_with_an_impossible_name(capsys: pytest.CaptureFixture[str]) -> None:
    scenario = str(ROOT / "scenarios" / "smoke.yaml")
    assert run(["run", scenario, "--results", "r" * 300, "--backend", "netns"]) in (2, 4)
    assert "Traceback" not in capsys.readouterr().err


def _as_nobody(folder: RunFolder, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The end of the command as a user who may read the folder and not write to it, on a file system of its own."""
    script = f'mount --bind \'{folder.path.parent}\' /mnt && mount -o remount,bind,ro /mnt && exec "$0" "$@"'
    return subprocess.run(
        ["unshare", "--mount", "bash", "-c", script, ORCHESTRATOR, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@AS_ROOT
@pytest.mark.root
@pytest.mark.parametrize("command", [f"analyze /mnt/{CLOSED.name}", f"report /mnt/{CLOSED.name}", "report --index"])
def test_a_folder_that_may_not_be_written_is_a_usage_error(folder: RunFolder, command: str) -> None:
    results = ["--results", "/mnt"]
    done = _as_nobody(folder, *command.split(), *results)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "Read-only file system" in done.stderr
    assert "remedy: " in done.stderr
    assert not list(folder.path.parent.rglob(".*"))


def _on_a_full_disk(script: str, folder: Path, size: str) -> subprocess.CompletedProcess[str]:
    """The end of `script` with a file system of `size` at /mnt, in a mount namespace of its own."""
    prepared = f'mount -t tmpfs -o size={size} none /mnt && cp -r "$1" /mnt/ && {script}'
    return subprocess.run(
        ["unshare", "--mount", "bash", "-c", prepared, ORCHESTRATOR, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )


@AS_ROOT
@pytest.mark.root
@pytest.mark.parametrize("command", ["analyze", "report"])
def test_a_full_disk_is_said_with_a_remedy_and_leaves_what_there_was(folder: RunFolder, command: str) -> None:
    name = folder.name
    script = (
        f'dd if=/dev/zero of=/mnt/filler bs=4k status=none; "$0" {command} /mnt/{name}; code=$?; '
        f"ls -A /mnt/{name}; sha256sum /mnt/{name}/summary.json; exit $code"
    )
    done = _on_a_full_disk(f"{script} 2>&1", folder.path, "1M")
    assert done.returncode == 5, done.stdout + done.stderr
    said = done.stdout + done.stderr
    assert "No space left on device" in said
    assert "remedy: make room on the disk" in said
    assert "Traceback" not in said
    kept = subprocess.run(["sha256sum", folder.summary], capture_output=True, text=True, check=True).stdout[:64]
    assert kept in done.stdout
    assert "\n." not in done.stdout


@AS_ROOT
@pytest.mark.root
@pytest.mark.parametrize("blocks", [0, 1, 2])
def test_a_run_on_a_full_disk_leaves_no_empty_folder(tmp_path: Path, blocks: int) -> None:
    """Whichever of its first files finds no room."""
    (tmp_path / "x").mkdir()
    scenario = ROOT / "scenarios" / "smoke.yaml"
    script = (
        "mkdir /mnt/results; dd if=/dev/zero of=/mnt/filler bs=4k status=none; "
        f"truncate --size=-{blocks * 4096} /mnt/filler; "
        f'"$0" run {scenario} --backend netns --results /mnt/results; code=$?; ls -A /mnt/results; exit $code'
    )
    done = _on_a_full_disk(script, tmp_path / "x", "256k")
    assert done.returncode in (2, 5), done.stderr
    assert "No space left on device" in done.stderr
    assert "remedy: " in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_published_command_carries_no_path_of_its_author(monkeypatch: pytest.MonkeyPatch) -> None:
    words = (
        *(
            "orchestrator",
            "run",
            "scenarios/paper.yaml",
            "--results=/home/alice/secret",
            "--junit",
            "/home/alice/j.xml",
        ),
        *("--set", "workload.requests=5", "--results", "../alice/elsewhere", "--smoke", "--junit=out/alice/j.xml"),
    )
    monkeypatch.setattr(sys, "argv", ["/home/alice/.venv/bin/orchestrator", *words[1:]])
    kept = provenance().command
    assert kept == (
        *("orchestrator", "run", "scenarios/paper.yaml", "--results=secret", "--junit", "j.xml"),
        *("--set", "workload.requests=5", "--results", "elsewhere", "--smoke", "--junit=j.xml"),
    )
    shown = ".venv/bin/orchestrator run scenarios/paper.yaml --set workload.requests=5 --smoke"
    assert command(Manifest(command=kept)) == command(Manifest(command=words)) == shown


@pytest.mark.parametrize("path", ["/home/alice/mine.yaml", "../alice/mine.yaml", "~alice/mine.yaml"])
def test_a_scenario_from_elsewhere_is_named_without_its_folder(path: str) -> None:
    assert without_paths(("orchestrator", "run", path)) == ("orchestrator", "run", path.rpartition("/")[2])
    assert without_paths(("orchestrator", "run", "--set", "description=/a/b")) == (
        *("orchestrator", "run", "--set", "description=/a/b"),
    )


def test_an_arm_with_dollars_in_its_name_is_drawn_as_it_is(tmp_path: Path) -> None:
    """The name of a sweep's arm holds the value, and a description may hold anything: this is bad TeX."""
    matrix = "matrix: {description: ['$x$', '$\\frac$']}\n"
    base = (ROOT / "scenarios" / "smoke.yaml").read_text()
    folder = finished_run(tmp_path / "results", experiment_from(tmp_path, base + matrix))
    drawn = draw(data_of(folder))
    texts = {one.name: (folder.plots / f"{one.name}.svg").read_text() for one in drawn}
    of_arm = [texts[one.name] for one in drawn if one.arm is not None and "frac" in one.arm]
    assert of_arm
    assert all("$\\frac$" in text for text in of_arm)
    assert all("mathdefault" not in text for text in texts.values())


@pytest.fixture(autouse=True)
def _no_temporary_files_left(folder: RunFolder) -> Iterator[None]:
    yield
    assert not list(folder.path.rglob(".*-*"))
