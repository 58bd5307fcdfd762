"""What topologies need of the host, looked at beforehand: each check says what it found and what would help."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from orchestrator.host.cgroups import CPU, FREEZER, described
from orchestrator.host.live import live_runs
from orchestrator.topology.checks import Check, State
from orchestrator.topology.doctor_docker import look_at_docker
from orchestrator.topology.doctor_noise import look_at_noise
from orchestrator.topology.programs import HEDGER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


def _control_groups() -> Iterator[Check]:
    """For two faults only: freeze and cpu-quota, on the netns backend."""
    faults = {FREEZER: "freeze", CPU: "cpu-quota"}
    for controller, found in described():
        remedy = f"mount cgroup v2 (mount -t cgroup2 none /sys/fs/cgroup), for faults of kind {faults[controller]}"
        state = State.WARNING if found is None else State.OK
        yield Check(f"{controller} groups", state, found or "none", "" if found else remedy)


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
    look_at_noise,
    _control_groups,
    _dead_runs,
)
