"""The form of a check, and those of the host itself: privileges, kernel, tools, eBPF, control groups, open runs."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypedDict

from orchestrator.host.cgroups import CPU, FREEZER, describe_controllers
from orchestrator.host.live import live_runs
from orchestrator.topology.programs import HEDGER

if TYPE_CHECKING:
    from collections.abc import Iterator

OLDEST_KERNEL = (5, 10)
#: The tools that are called, by the package that holds them.
_TOOLS = {"iproute2": ("ip", "tc"), "util-linux": ("nsenter", "setpriv", "unshare")}


class State(StrEnum):
    """How a check came out: `MISSING` prevents runs, `WARNING` costs precision or one of the backends."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"


@dataclass(frozen=True)
class Check:
    """One thing looked at: its state, what was found, and what would help where that is not as it should be."""

    name: str
    state: State
    found: str
    remedy: str = ""


class _Offer(TypedDict):
    """What the hedger's `--probe` prints of an engine: for each part why it cannot be had, null where it can."""

    programs: str | None
    delay_lines: dict[str, str | None]


def look_at_root() -> Iterator[Check]:
    """Whether this process has the privileges that namespaces and eBPF programs need."""
    if os.geteuid() == 0:
        yield Check("root", State.OK, "yes")
    else:
        yield Check("root", State.MISSING, "no", "run as root (sudo): namespaces and eBPF programs need it")


def look_at_kernel() -> Iterator[Check]:
    """Whether it has the ring buffers and redirects that the programs use."""
    release = platform.release()
    match = re.match(r"(\d+)\.(\d+)", release)
    new_enough = match is not None and (int(match[1]), int(match[2])) >= OLDEST_KERNEL
    remedy = f"a kernel of {'.'.join(map(str, OLDEST_KERNEL))} or newer is needed (ring buffers, redirects)"
    yield Check("kernel", State.OK if new_enough else State.MISSING, release, "" if new_enough else remedy)


def look_at_tools() -> Iterator[Check]:
    """The command-line tools that runs call."""
    for package, tools in _TOOLS.items():
        missing = [tool for tool in tools if not shutil.which(tool)]
        if missing:
            yield Check(package, State.MISSING, f"no {', '.join(missing)}", f"apt install {package}")
        else:
            yield Check(package, State.OK, "installed")


def look_at_bcc() -> Iterator[Check]:
    """The compiler of the eBPF programs, as a module of this interpreter."""
    if find_spec("bcc") is None:
        yield Check("bcc", State.MISSING, f"{sys.executable} has no module bcc", "make setup")
    else:
        yield Check("bcc", State.OK, "installed")


def look_at_hedger() -> Iterator[Check]:
    """What there is of what each engine needs: the hedger tries, in a namespace of its own."""
    if os.geteuid() != 0:
        yield Check("eBPF programs", State.MISSING, "not tried without root", "run as root (sudo)")
        return
    done = subprocess.run(
        ["unshare", "--net", sys.executable, *HEDGER, "--probe"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        words = (done.stderr.strip().splitlines() or ["no output"])[-1]
        yield Check("eBPF programs", State.MISSING, words, "make setup; see the hedger's requirements in README.md")
        return
    offers: dict[str, _Offer] = json.loads(done.stdout)["engines"]
    engines = [_engine(name, offer) for name, offer in offers.items()]
    is_any = any(engine.state is State.OK for engine in engines)
    yield from (replace(engine, state=State.WARNING) if is_any and engine.remedy else engine for engine in engines)


def _engine(name: str, offer: _Offer) -> Check:
    """What the engine needs, one of its delay lines included, and what of it is here."""
    lines = offer["delay_lines"]
    here = [line for line, refusal in lines.items() if refusal is None]
    if offer["programs"] is not None:
        return Check(f"engine {name}", State.MISSING, offer["programs"], "apt install linux-libc-dev python3-bpfcc")
    found = f"programs load, delay line {', '.join(here) or 'none'} (one of {', '.join(lines)} is needed)"
    remedy = "" if here else "install the kernel's extra modules package (linux-modules-extra)"
    return Check(f"engine {name}", State.OK if here else State.MISSING, found, remedy)


def look_at_control_groups() -> Iterator[Check]:
    """What two faults need on the netns backend: freeze and cpu-quota."""
    faults = {FREEZER: "freeze", CPU: "cpu-quota"}
    for controller, found in describe_controllers():
        remedy = f"mount cgroup v2 (mount -t cgroup2 none /sys/fs/cgroup), for faults of kind {faults[controller]}"
        state = State.WARNING if found is None else State.OK
        yield Check(f"{controller} groups", state, found or "none", "" if found else remedy)


def look_at_open_runs() -> Iterator[Check]:
    """Runs whose directory is there: at work, or dead and not yet cleaned up."""
    runs = [run.run_id for run in live_runs()]
    if runs:
        yield Check("runs", State.WARNING, f"open: {', '.join(runs)}", "orchestrator down, unless they are at work")
