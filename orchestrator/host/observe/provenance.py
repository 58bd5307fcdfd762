"""What a result depends on beside the scenario: the machine, its kernel, the versions of all that took part."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from orchestrator.host.observe.facts import host_facts

_PACKAGES = ("hedgerow", "pyroute2", "pydantic", "numpy", "pyarrow", "matplotlib")
_ROOT = Path(__file__).resolve().parents[2]


def provenance() -> dict[str, Any]:
    """Host and versions, as far as this host tells; what it does not tell is null."""
    return {
        "host": host_facts(),
        "versions": {
            "python": platform.python_version(),
            **{package: _version(package) for package in _PACKAGES},
            "bcc": _bcc_version(),
            "iproute2": _first_line(["ip", "-Version"]),
        },
        "git": {"commit": _git("rev-parse", "HEAD"), "dirty": _dirty()},
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _bcc_version() -> str | None:
    """Asked of another process: importing bcc loads a compiler."""
    return _first_line([sys.executable, "-c", "import bcc; print(bcc.__version__)"])


def _git(*arguments: str) -> str | None:
    return _first_line(["git", "-C", str(_ROOT), *arguments])


def _dirty() -> bool | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(_ROOT), "status", "--porcelain"], capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return bool(done.stdout.strip()) if done.returncode == 0 else None


def _first_line(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    lines = done.stdout.splitlines()
    return lines[0] if done.returncode == 0 and lines else None
