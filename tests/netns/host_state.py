"""A picture of what runs and hedgers may change on a host, to compare before and after."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import struct
import subprocess
import time
from dataclasses import dataclass, fields
from pathlib import Path

from orchestrator.host.cgroups import hierarchies

_BPF_SYSCALL = {"x86_64": 321, "aarch64": 280}
_BPF_PROG_GET_NEXT_ID, _BPF_MAP_GET_NEXT_ID = 11, 12
_SETTLE_S = 40.0  #: the kernel frees namespaces and programs a little later, other users of the host in their time
_POLL_S = 0.05


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
        namespaces=_names("/run/netns"),
        links=_names("/sys/class/net"),
        qdiscs=frozenset(
            f"{qdisc['dev']} {qdisc['kind']} {qdisc.get('handle')}"
            for qdisc in json.loads(subprocess.check_output(["tc", "-json", "qdisc", "show"]))
        ),
        programs=_bpf_ids(_BPF_PROG_GET_NEXT_ID),
        maps=_bpf_ids(_BPF_MAP_GET_NEXT_ID),
        live_runs=_names("/run/hedgerow"),
        processes=_hedgerow_processes(),
        control_groups=frozenset(
            str(path) for tree in hierarchies() for path in tree.path.glob("hr-*") if path.is_dir()
        ),
    )


def assert_as_before(before: HostState) -> None:
    """Fails unless, after the kernel has settled, nothing is there that was not there before.

    A run that somebody else has at work meanwhile is waited for: its programs cannot be told from leftovers.
    """
    quiet_since_s = time.monotonic()
    while new := host_state().difference(before):
        if any(at_work(run_id) for run_id in host_state().live_runs):
            quiet_since_s = time.monotonic()
        assert time.monotonic() - quiet_since_s < _SETTLE_S, f"left behind: {new}"
        time.sleep(_POLL_S)


def at_work(run_id: str) -> bool:
    """Whether a process holds the run's lock."""
    try:
        with (Path("/run/hedgerow") / run_id / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _names(directory: str) -> frozenset[str]:
    path = Path(directory)
    return frozenset(entry.name for entry in path.iterdir()) if path.is_dir() else frozenset()


def _hedgerow_processes() -> frozenset[int]:
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(
                word.endswith((b"/server.py", b"/client.py", b"/hedger.py", b"bin/orchestrator")) for word in words
            ):
                found.add(int(entry.name))
    return frozenset(found)


def _bpf_ids(command: int) -> frozenset[int]:
    libc = ctypes.CDLL(None, use_errno=True)
    number = _BPF_SYSCALL[os.uname().machine]
    ids: set[int] = set()
    attributes = bytearray(16)
    buffer = (ctypes.c_char * 16).from_buffer(attributes)
    current = 0
    while True:
        struct.pack_into("II", attributes, 0, current, 0)
        if libc.syscall(number, command, buffer, 16) != 0:
            return frozenset(ids)
        current = struct.unpack_from("I", attributes, 4)[0]
        ids.add(current)
