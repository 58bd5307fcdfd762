"""What topologies need of the host, looked at beforehand: each check says what it found and what would help."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from orchestrator.host.live import live_runs
from orchestrator.topology.checks import Check, State
from orchestrator.topology.doctor_docker import look_at_docker
from orchestrator.topology.programs import HEDGER

OLDEST_KERNEL = (5, 10)
#: The tools that are called, by the package that holds them.
_TOOLS = {"iproute2": ("ip", "tc"), "util-linux": ("nsenter", "setpriv", "unshare")}


def examine() -> list[Check]:
    """All checks, in the order in which their remedies are best followed."""
    return [check for look in _LOOKS for check in look()]


def _root() -> Iterator[Check]:
    if os.geteuid() == 0:
        yield Check("root", State.OK, "yes")
    else:
        yield Check("root", State.MISSING, "no", "run as root (sudo): namespaces and eBPF programs need it")


def _kernel() -> Iterator[Check]:
    release = platform.release()
    match = re.match(r"(\d+)\.(\d+)", release)
    new_enough = match is not None and (int(match[1]), int(match[2])) >= OLDEST_KERNEL
    remedy = f"a kernel of {'.'.join(map(str, OLDEST_KERNEL))} or newer is needed (ring buffers, redirects)"
    yield Check("kernel", State.OK if new_enough else State.MISSING, release, "" if new_enough else remedy)


def _tools() -> Iterator[Check]:
    for package, tools in _TOOLS.items():
        missing = [tool for tool in tools if not shutil.which(tool)]
        if missing:
            yield Check(package, State.MISSING, f"no {', '.join(missing)}", f"apt install {package}")
        else:
            yield Check(package, State.OK, "installed")


def _bcc() -> Iterator[Check]:
    if find_spec("bcc") is None:
        yield Check("bcc", State.MISSING, f"{sys.executable} has no module bcc", "make setup")
    else:
        yield Check("bcc", State.OK, "installed")


def _hedger() -> Iterator[Check]:
    """The hedger itself tries, in a network namespace that goes with it."""
    if os.geteuid() != 0:
        yield Check("eBPF programs", State.MISSING, "not tried without root", "run as root (sudo)")
        return
    done = subprocess.run(
        ["unshare", "--net", sys.executable, str(HEDGER), "--probe"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        words = (done.stderr.strip().splitlines() or ["no word from it"])[-1]
        yield Check("eBPF programs", State.MISSING, words, "make setup; see the hedger's requirements in README.md")
        return
    offer: dict[str, Any] = json.loads(done.stdout)
    if offer["programs"] is None:
        yield Check("eBPF programs", State.OK, "compile and load")
    else:
        yield Check("eBPF programs", State.MISSING, offer["programs"], "apt install linux-libc-dev python3-bpfcc")
    here = [name for name, refusal in offer["delay_lines"].items() if refusal is None]
    absent = [name for name in offer["delay_lines"] if name not in here]
    state = State.OK if here else State.MISSING
    found = f"{', '.join(here) or 'none'}" + (f" (not here: {', '.join(absent)})" if absent else "")
    yield Check("delay line", state, found, "" if here else "install the kernel's extra modules package")


def _quiet() -> Iterator[Check]:
    cpus = os.cpu_count() or 1
    load = os.getloadavg()[0]
    busy = load > cpus / 2
    yield Check(
        "load",
        State.WARNING if busy else State.OK,
        f"{load:.2f} on {cpus} CPUs",
        "stop what else is running: it will show in the tails" if busy else "",
    )
    if cpus < 2:
        yield Check("CPUs", State.WARNING, str(cpus), "with fewer than 2, client and server disturb each other")
    yield from _setting(
        "clocksource",
        Path("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        ("tsc", "arch_sys_counter", "kvm-clock"),
        "reading the clock is slow here and widens every latency",
    )
    yield from _setting(
        "governor",
        Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        ("performance",),
        "cpupower frequency-set -g performance",
    )


def _setting(name: str, path: Path, good: tuple[str, ...], remedy: str) -> Iterator[Check]:
    if path.exists():
        value = path.read_text().strip()
        yield Check(name, State.OK if value in good else State.WARNING, value, "" if value in good else remedy)


def _dead_runs() -> Iterator[Check]:
    runs = [run.run_id for run in live_runs()]
    if runs:
        yield Check("runs", State.WARNING, f"open: {', '.join(runs)}", "orchestrator down, unless they are at work")


_LOOKS: tuple[Callable[[], Iterator[Check]], ...] = (
    _root,
    _kernel,
    _tools,
    _bcc,
    _hedger,
    look_at_docker,
    _quiet,
    _dead_runs,
)
