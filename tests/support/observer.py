"""Looks at a run from outside, every few milliseconds: what the kernel says of its processes and control groups.

Each look notes when it began and ended, so that a test can say for certain whether it fell into a fault.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.host.audit import processes_of
from orchestrator.host.cgroups import group_name, hierarchies

if TYPE_CHECKING:
    from collections.abc import Iterator

_INTERVAL_S = 0.004
_PROGRAMS = (b"/server.py", b"/client.py", b"hedgerow_server", b"hedgerow_client")


@dataclass(frozen=True)
class Sight:
    """One process of a node at one look; `depth` is 0 for the supervisor, 1 for those it has forked."""

    from_ns: int
    to_ns: int
    node: str
    pid: int
    depth: int
    state: str
    cpu_ticks: int


@dataclass(frozen=True)
class GroupSight:
    """The control groups of a node at one look."""

    from_ns: int
    to_ns: int
    node: str
    frozen: bool
    quota: str


class Observer(threading.Thread):
    """Watches the run `token` from `start` until `finish`; then `sights` and `groups` are complete."""

    def __init__(self, token: str, nodes: tuple[str, ...]) -> None:
        super().__init__(daemon=True)
        self._token, self._nodes = token, nodes
        self._over = threading.Event()
        self.sights: list[Sight] = []
        self.groups: list[GroupSight] = []
        self.datagrams: dict[str, dict[str, int]] = {}  #: by node: its kernel's counters of UDP, at the last look

    def run(self) -> None:
        """The thread's work."""
        supervisors: dict[str, int] = {}
        while not self._over.wait(_INTERVAL_S):
            if len(supervisors) < len(self._nodes):
                supervisors = self._find()
            for node, pid in supervisors.items():
                self._look(node, pid)
                self._look_at_groups(node)

    def finish(self) -> None:
        """Looks no more."""
        self._over.set()
        self.join()

    def of(self, node: str, record: dict[str, int], depth: int = 1) -> list[Sight]:
        """What was seen of the node's processes while the fault of the journal's `record` was in force."""
        return [
            sight
            for sight in self.sights
            if (sight.node, sight.depth) == (node, depth) and within(sight, record["applied_ns"], record["undone_ns"])
        ]

    def after(self, node: str, at_ns: int, depth: int = 1) -> list[Sight]:
        """What was seen of them afterwards."""
        return [s for s in self.sights if (s.node, s.depth) == (node, depth) and s.from_ns > at_ns]

    def _find(self) -> dict[str, int]:
        found = {}
        for pid in processes_of(self._token):
            words = _read(Path(f"/proc/{pid}/cmdline")).encode().split(b"\0")
            name = next((Path(word.decode()).stem for word in words if word.endswith(b".sock")), "")
            forked = _read(Path(f"/proc/{_parent(pid)}/cmdline")).encode().split(b"\0") == words
            if name in self._nodes and not forked and any(word.endswith(_PROGRAMS) for word in words):
                found[name] = pid
        return found

    def _look(self, node: str, supervisor: int) -> None:
        for depth, pid in ((0, supervisor), *((1, child) for child in _children(supervisor))):
            from_ns = time.monotonic_ns()
            stat = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
            if stat:
                ticks = int(stat[11]) + int(stat[12])
                self.sights.append(Sight(from_ns, time.monotonic_ns(), node, pid, depth, stat[0], ticks))
        lines = [line.split() for line in _read(Path(f"/proc/{supervisor}/net/snmp")).splitlines() if "Udp:" in line]
        if len(lines) >= 2:
            named = zip(lines[0][1:], lines[1][1:], strict=True)
            self.datagrams[node] = {name: int(number) for name, number in named}

    def _look_at_groups(self, node: str) -> None:
        frozen, quota, from_ns = False, "", time.monotonic_ns()
        for tree in hierarchies():
            directory = tree.path / group_name(self._token, node)
            frozen |= _read(directory / "freezer.state").strip() == "FROZEN"
            frozen |= "frozen 1" in _read(directory / "cgroup.events")
            quota += _read(directory / "cpu.cfs_quota_us") + _read(directory / "cpu.max")
        self.groups.append(GroupSight(from_ns, time.monotonic_ns(), node, frozen, quota.strip()))


def within(sight: Sight | GroupSight, from_ns: int, to_ns: int) -> bool:
    """Whether the whole look fell into that time."""
    return from_ns <= sight.from_ns and sight.to_ns <= to_ns


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # gone meanwhile, or not there on this kernel
        return ""


def _parent(pid: int) -> int:
    stat = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return int(stat[1]) if stat else 0


def _children(pid: int) -> Iterator[int]:
    return (int(word) for word in _read(Path(f"/proc/{pid}/task/{pid}/children")).split())
