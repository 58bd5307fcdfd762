"""What a result depends on beside the scenario: the machine, and the versions of all programs that took part."""

from __future__ import annotations

import platform
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from orchestrator.host.observe.facts import HostFacts, host_facts
from orchestrator.runfolder.command import without_paths
from orchestrator.runfolder.observed import GitState

_PACKAGES = ("hedgerow", "pyroute2", "pydantic", "numpy", "pyarrow", "matplotlib")


@dataclass(frozen=True)
class Provenance:
    """Host, versions (None: not installed), commit and command line of a run."""

    host: HostFacts
    versions: dict[str, str | None]
    git: GitState
    command: tuple[str, ...]


def provenance() -> Provenance:
    """Of this process."""
    return Provenance(
        host=host_facts(),
        versions={
            "python": platform.python_version(),
            **{package: _version(package) for package in _PACKAGES},
            "bcc": _bcc_version(),
            "iproute2": _first_line(["ip", "-Version"]),
        },
        git=git_state(Path(__file__)),
        command=without_paths((Path(sys.argv[0]).name, *sys.argv[1:])),
    )


def git_state(source: Path) -> GitState:
    """The state of the checkout that has `source` among its tracked files.

    A repository that merely surrounds the file, as one with a virtual environment in it, says nothing about it.
    """
    git = ["git", "-C", str(source.parent)]
    if _output([*git, "ls-files", "--error-unmatch", "--", source.name]) is None:
        return GitState()
    changes = _output([*git, "status", "--porcelain"])
    return GitState(
        commit=_first_line([*git, "rev-parse", "HEAD"]), dirty=None if changes is None else bool(changes.strip())
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _bcc_version() -> str | None:
    """Asked of another process: importing bcc loads a compiler."""
    return _first_line([sys.executable, "-c", "import bcc; print(bcc.__version__)"])


def _first_line(command: list[str]) -> str | None:
    lines = (_output(command) or "").splitlines()
    return lines[0] if lines else None


def _output(command: list[str]) -> str | None:
    """What the command prints on stdout; None where it is missing or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
