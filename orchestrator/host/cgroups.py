"""Control groups that freeze a node or limit its CPU time, one a node, their names bearing the run's id.

Kernels offer them in two versions. Where the first version's hierarchies are mounted they are taken: on such hosts
systemd keeps its own accounts of sessions in the second version's tree, which stays undisturbed. In the first version
a frozen process does not even die of SIGKILL until it is thawed, so groups are thawed before processes are ended.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import PrerequisiteError, RunError
from orchestrator.host import locks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FREEZER, CPU = "freezer", "cpu"
_REAL_TIME = "cpu.rt_runtime_us"
_REAL_TIME_US = 20_000  #: in each second, and sixteen servers and a client must not need more than one
PERIOD_US = 100_000  #: in which a quota is counted, the kernel's own default
_FREEZE_TIMEOUT_S = 1.0
_EMPTY_TIMEOUT_S = 3.0
_POLL_S = 0.001
#: In /run/hedgerow while the cpu controller is handed down because a run did it, not the host's own systemd.
_HANDED_DOWN = "cpu-controller"
#: In these files a group's first file system type and the version it speaks.
_VERSIONS = {"cgroup": 1, "cgroup2": 2}


@dataclass(frozen=True)
class Hierarchy:
    """A mounted tree of control groups."""

    path: Path
    version: int
    controllers: frozenset[str]

    def group(self, name: str) -> Path:
        """The directory of a group right below the root."""
        return self.path / name


def hierarchies(mountinfo: str | None = None) -> list[Hierarchy]:
    """The mounted ones with a freezer or a cpu controller, the first version's first; `mountinfo` as in proc(5).

    Every group of the second version can be frozen, whichever controllers there are.
    """
    text = Path("/proc/self/mountinfo").read_text(encoding="utf-8") if mountinfo is None else mountinfo
    found: dict[tuple[int, frozenset[str]], Hierarchy] = {}
    for line in text.splitlines():
        mount, _, kind = line.partition(" - ")
        words = kind.split()
        version = _VERSIONS.get(words[0] if words else "")
        if version is None:
            continue
        path = Path(mount.split()[4])
        options = set(words[2].split(",")) if version == 1 else {FREEZER, *_words(path / "cgroup.controllers")}
        controllers = frozenset(options & {FREEZER, CPU})
        if controllers:
            found.setdefault((version, controllers), Hierarchy(path, version, controllers))
    return sorted(found.values(), key=lambda hierarchy: hierarchy.version)


def hierarchy_of(controller: str) -> Hierarchy | None:
    """The tree to use for `FREEZER` or `CPU`, None where the host has none."""
    return next((hierarchy for hierarchy in hierarchies() if controller in hierarchy.controllers), None)


def group_name(run_id: str, node: str) -> str:
    """The group of a node."""
    return f"hr-{run_id}-{node}"


def groups_of(run_id: str) -> list[Path]:
    """The groups that bear the id, in all trees."""
    prefix = group_name(run_id, "")
    return sorted({path for tree in hierarchies() for path in tree.path.glob(f"{prefix}*") if path.is_dir()})


class Group:
    """The control groups of one node: one directory for each controller, or one for both."""

    def __init__(self, name: str, trees: Mapping[str, Hierarchy]) -> None:
        """`trees` holds the hierarchy of each controller that is wanted."""
        self._name, self._trees = name, dict(trees)

    def make(self) -> None:
        """Makes the directories; PrerequisiteError where that is forbidden."""
        try:
            for controller, tree in self._trees.items():
                with _controller_held(tree) if controller == CPU else nullcontext():
                    tree.group(self._name).mkdir(exist_ok=True)
                _permit_real_time(tree.group(self._name))
        except OSError as error:
            raise PrerequisiteError(
                f"control group {self._name}: {error.strerror} ({error.filename})", _REMEDY
            ) from error

    @property
    def entrances(self) -> list[Path]:
        """The files into which a process writes 0 to get in."""
        return sorted({tree.group(self._name) / "cgroup.procs" for tree in self._trees.values()})

    def freeze(self) -> None:
        """Stops every process inside; RunError where one does not stop within a second."""
        self._set_frozen(True)

    def thaw(self) -> None:
        """Resumes them; harmless where they run."""
        self._set_frozen(False)

    @property
    def frozen(self) -> bool:
        """Whether all processes inside are stopped."""
        return _is_frozen(self._directory(FREEZER))

    def limit(self, percent: float | None) -> None:
        """Gives all processes inside together `percent` of one CPU's time; None lifts the limit."""
        _limit(self._directory(CPU), percent)

    @property
    def throttled(self) -> int:
        """In how many periods so far they had used up their time and had to wait."""
        return int(_pairs(self._directory(CPU) / "cpu.stat").get("nr_throttled", "0"))

    def _directory(self, controller: str) -> Path:
        return self._trees[controller].group(self._name)

    def _set_frozen(self, frozen: bool) -> None:
        directory = self._directory(FREEZER)
        _write_frozen(directory, frozen)
        deadline_s = time.monotonic() + _FREEZE_TIMEOUT_S
        while _is_frozen(directory) != frozen:
            if time.monotonic() > deadline_s:
                raise RunError(f"{directory} does not {'freeze' if frozen else 'thaw'}", "see its cgroup.procs")
            time.sleep(_POLL_S)


_REMEDY = "root is needed, and a cgroup file system that may be written (in a container: --privileged)"


def prepare(name: str, controllers: frozenset[str]) -> Group:
    """The group `name` with these controllers, not made yet; PrerequisiteError where the host lacks one."""
    trees = {}
    for controller in sorted(controllers):
        tree = hierarchy_of(controller)
        if tree is None:
            raise PrerequisiteError(
                f"no control groups with the controller {controller!r} are mounted",
                "mount -t cgroup2 none /sys/fs/cgroup, or a scenario without freeze and cpu-quota",
            )
        trees[controller] = tree
    return Group(name, trees)


def remove(directory: Path) -> None:
    """Thaws and unlimits a group, moves its processes to the root of its tree and removes it; it may be gone.

    What processes are inside was started for the run, and is ended right after.
    """
    if not directory.is_dir():
        return
    _write_frozen(directory, False)
    _limit(directory, None)
    deadline_s = time.monotonic() + _EMPTY_TIMEOUT_S
    while True:
        for pid in _words(directory / "cgroup.procs"):
            _move(pid, directory.parent / "cgroup.procs")
        try:
            directory.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(_POLL_S)
        else:
            return


def release_controller() -> None:
    """Takes the cpu controller back to the second version's root, if a run handed it down and none uses it any more.

    Other programs may use it by now; then it stays.
    """
    for tree in hierarchies():
        if tree.version == 2 and CPU in tree.controllers:
            with locks.locked() as directory:
                marker = directory / _HANDED_DOWN
                if marker.exists() and not list(tree.path.glob("hr-*")):
                    try:
                        _write(tree.path / "cgroup.subtree_control", f"-{CPU}")
                    except OSError as error:
                        if error.errno != errno.EBUSY:
                            raise
                    marker.unlink()


def needs_controller() -> bool:
    """Whether groups with a CPU limit have the controller only if the root hands it down: in the second version.

    Then every run that makes groups has to call `release_controller` at its end, since the last one gives it back.
    """
    tree = hierarchy_of(CPU)
    return tree is not None and tree.version == 2


@contextmanager
def _controller_held(tree: Hierarchy) -> Iterator[None]:
    """While a group is made: its parent has the cpu controller, which no other run takes back until it is made."""
    if tree.version == 1:
        yield
        return
    with locks.locked() as directory:
        if not handed_down(tree):
            (directory / _HANDED_DOWN).touch()
            _write(tree.path / "cgroup.subtree_control", f"+{CPU}")
        yield


def handed_down(tree: Hierarchy) -> bool:
    """Whether groups below the root of a tree of the second version have the cpu controller."""
    return CPU in _words(tree.path / "cgroup.subtree_control")


def _permit_real_time(directory: Path) -> None:
    """Lets a node's supervisor run at real-time priority, by which faults keep their times.

    Some kernels count real-time processes by group, in the first version, and give new groups none. Where other
    groups have taken all that there is, faults are less exact, which shows in their proofs.
    """
    with suppress(OSError):
        if (directory / _REAL_TIME).exists():
            _write(directory / _REAL_TIME, str(_REAL_TIME_US))


def _write_frozen(directory: Path, frozen: bool) -> None:
    for name, words in (("freezer.state", ("THAWED", "FROZEN")), ("cgroup.freeze", ("0", "1"))):
        if (directory / name).exists():
            _write(directory / name, words[frozen])


def _is_frozen(directory: Path) -> bool:
    if (directory / "freezer.state").exists():
        return (directory / "freezer.state").read_text(encoding="utf-8").strip() == "FROZEN"
    return _pairs(directory / "cgroup.events").get("frozen") == "1"


def _limit(directory: Path, percent: float | None) -> None:
    quota_us = None if percent is None else round(percent / 100 * PERIOD_US)
    if (directory / "cpu.cfs_quota_us").exists():
        _write(directory / "cpu.cfs_period_us", str(PERIOD_US))
        _write(directory / "cpu.cfs_quota_us", str(-1 if quota_us is None else quota_us))
    elif (directory / "cpu.max").exists():
        _write(directory / "cpu.max", f"{'max' if quota_us is None else quota_us} {PERIOD_US}")
    elif quota_us is not None:
        raise RunError(f"{directory} has no limit of CPU time", "see cgroup.subtree_control of the directory above")


def _move(pid: str, entrance: Path) -> None:
    if pid == "0":  # of another process namespace: not ours to name, and 0 would mean ourselves
        return
    try:
        _write(entrance, pid)
    except ProcessLookupError:
        return


def _write(path: Path, text: str) -> None:
    """One write(2), as these files want it."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _words(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split() if path.exists() else []


def _pairs(path: Path) -> dict[str, str]:
    lines = (line.split(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines())
    return {words[0]: words[1] for words in lines if len(words) == 2}


def describe_controllers() -> Iterator[tuple[str, str | None]]:
    """Each controller with the kind of tree that has it, None where none has."""
    for controller in (FREEZER, CPU):
        tree = hierarchy_of(controller)
        yield controller, None if tree is None else f"cgroup v{tree.version} at {tree.path}"
