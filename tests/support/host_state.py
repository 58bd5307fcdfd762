"""A picture of what runs and hedgers may change on a host, to compare before and after.

Only what bears their names and marks is in it: others on the host come and go as they please.

Layers of tests may run side by side, each in a lane with processes, network and runs of its own (`.ci/lane`). BPF
objects and control groups alone are the kernel's, so within a lane those of other lanes are seen too. There a program
that is left behind shows by what holds it, a process or a namespace of the lane; and after the last lane the whole
host is compared: `python -m support.host_state COMMAND…` runs a command and then fails if anything is left.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from hedgerow_hedger.delay_link import LINK_PREFIX, QDISC_HANDLE
from hedgerow_hedger.faults.netem import HANDLE as NETEM_HANDLE
from orchestrator.host.cgroups import hierarchies
from support.bpf_objects import Kind, objects

if TYPE_CHECKING:
    from collections.abc import Iterator

_SETTLE_S = 40.0  #: the kernel frees namespaces and programs a little later
_POLL_S = 0.05
#: How words of our programs' command lines end.
_PROGRAMS = (
    *(f"/{role}.py".encode() for role in ("server", "client", "hedger")),
    *(f"hedgerow_{role}".encode() for role in ("server", "client", "hedger")),
    b"bin/orchestrator",
)
LANE = "HEDGEROW_LANE"  #: in the environment of tests beside which other lanes are at work
_OF_ALL_LANES = {"programs", "maps"}
#: Of our qdiscs: the delay line's, and netem's root with the qdiscs of its fifteen classes.
_HANDLES = {QDISC_HANDLE, *range(NETEM_HANDLE, NETEM_HANDLE + 16)}


@dataclass(frozen=True)
class HostState:
    """What there is."""

    namespaces: frozenset[str]
    links: frozenset[str]
    qdiscs: frozenset[str]
    programs: frozenset[int]
    maps: frozenset[int]
    live_runs: frozenset[str]
    processes: frozenset[int]
    control_groups: frozenset[str]

    def difference(self, before: HostState) -> dict[str, object]:
        """What is new since `before`, by kind."""
        new = {field.name: getattr(self, field.name) - getattr(before, field.name) for field in fields(self)}
        return {name: items for name, items in new.items() if items}


def host_state() -> HostState:
    """What there is now."""
    return HostState(
        namespaces=_marked(_names("/run/netns")),
        links=_marked(frozenset(link["ifname"] for link in _asked("ip", "-json", "link", "show"))),
        qdiscs=frozenset(_qdiscs()),
        programs=objects(Kind.PROGRAM),
        maps=objects(Kind.MAP),
        live_runs=_names("/run/hedgerow"),
        processes=_hedgerow_processes(),
        control_groups=frozenset(
            str(path) for tree in hierarchies() for path in tree.path.glob("hr-*") if path.is_dir()
        ),
    )


def assert_as_before(before: HostState) -> None:
    """Fails unless, after the kernel has settled, nothing is there that was not there before.

    Another run that is at work is waited for: its programs look like leftovers.
    """
    quiet_since_s = time.monotonic()
    first = host_state()
    while new := _left(host_state(), first, before):
        if any(at_work(run_id) for run_id in host_state().live_runs):
            quiet_since_s = time.monotonic()
        assert time.monotonic() - quiet_since_s < _SETTLE_S, f"left behind: {new}"
        time.sleep(_POLL_S)


def _left(now: HostState, first: HostState, before: HostState) -> dict[str, object]:
    """What is new since `before`; in a lane without what other lanes brought since the `first` look."""
    new = now.difference(before)
    if LANE in os.environ:
        new = {name: items for name, items in new.items() if name not in _OF_ALL_LANES}
        if "control_groups" in new and not now.control_groups & first.control_groups - before.control_groups:
            del new["control_groups"]
    return new


def at_work(run_id: str) -> bool:
    """Whether a process holds the run's lock."""
    try:
        with (Path("/run/hedgerow") / run_id / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError):  # it is gone, or is one of the locks of all runs
        return False
    except BlockingIOError:
        return True
    return False


def _names(directory: str) -> frozenset[str]:
    path = Path(directory)
    return frozenset(entry.name for entry in path.iterdir()) if path.is_dir() else frozenset()


def _marked(names: frozenset[str]) -> frozenset[str]:
    return frozenset(name for name in names if name.startswith(LINK_PREFIX))


def _qdiscs() -> Iterator[str]:
    """Those on our links, those with our handles, and wherever programs can be attached: that has no name."""
    for qdisc in _asked("tc", "-json", "qdisc", "show"):
        handle = int(qdisc["handle"].rstrip(":") or "0", 16)
        if qdisc["kind"] == "clsact" or handle in _HANDLES or qdisc["dev"].startswith(LINK_PREFIX):
            yield f"{qdisc['dev']} {qdisc['kind']} {qdisc['handle']}"


def _asked(*command: str) -> list[dict[str, str]]:
    """What one of the tools of iproute2 tells as JSON."""
    told: list[dict[str, str]] = json.loads(subprocess.check_output(command))
    return told


def _hedgerow_processes() -> frozenset[int]:
    """Those of this lane, or of the host: the ones in containers and in other lanes have pids of their own."""
    found, own = set(), Path("/proc/self/ns/pid").readlink()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if (entry / "ns" / "pid").readlink() != own:
                    continue
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(word.endswith(_PROGRAMS) for word in words):
                found.add(int(entry.name))
    return frozenset(found)


if __name__ == "__main__":
    found = host_state()
    code = subprocess.run(sys.argv[1:], check=False).returncode
    assert_as_before(found)
    sys.exit(code)
