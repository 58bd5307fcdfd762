"""What a result depends on beside the scenario: the machine, its kernel, the versions of all that took part."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = ("hedgerow", "pyroute2", "pydantic", "numpy", "pyarrow", "matplotlib")
_ROOT = Path(__file__).resolve().parents[2]


def environment() -> dict[str, Any]:
    """Host and versions, as far as this host tells; what it does not tell is null."""
    return {
        "host": {
            "kernel": platform.release(),
            "machine": platform.machine(),
            "system": _os_release(),
            "cpu": _cpu_model(),
            "cpus": os.cpu_count(),
            "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
            "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            "clocksource": _read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            "hypervisor": "hypervisor" in (_read("/proc/cpuinfo") or "").split(),
            "load_average": list(os.getloadavg()),
        },
        "versions": {
            "python": platform.python_version(),
            **{package: _version(package) for package in _PACKAGES},
            "bcc": _bcc_version(),
            "iproute2": _first_line(["ip", "-Version"]),
        },
        "git": {"commit": _git("rev-parse", "HEAD"), "dirty": _dirty()},
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def _os_release() -> str | None:
    match = re.search(r'^PRETTY_NAME="?(.*?)"?$', _read("/etc/os-release") or "", re.M)
    return match[1] if match else None


def _cpu_model() -> str | None:
    match = re.search(r"^model name\s*: (.*)$", _read("/proc/cpuinfo") or "", re.M)
    return match[1] if match else None


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
