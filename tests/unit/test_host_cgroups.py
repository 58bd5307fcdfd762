"""Which trees of control groups a host has, read from what the kernel says is mounted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import PrerequisiteError, RunError
from orchestrator.host import cgroups, locks
from orchestrator.host.cgroups import (
    CPU,
    FREEZER,
    Group,
    Hierarchy,
    hierarchies,
    prepare,
    release_controller,
    remove,
)

if TYPE_CHECKING:
    from pathlib import Path

FIRST_VERSION = """\
30 25 0:26 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw
32 30 0:28 / /sys/fs/cgroup/systemd rw,nosuid - cgroup cgroup rw,xattr,name=systemd
33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:15 - cgroup cgroup rw,cpu,cpuacct
34 30 0:30 / /sys/fs/cgroup/freezer rw,nosuid shared:16 - cgroup cgroup rw,freezer
35 30 0:31 / /sys/fs/cgroup/memory rw,nosuid shared:17 - cgroup cgroup rw,memory
"""


def test_the_first_versions_trees_come_before_the_second_versions() -> None:
    found = hierarchies(FIRST_VERSION)
    assert [(tree.path.name, tree.version, set(tree.controllers)) for tree in found] == [
        ("cpu,cpuacct", 1, {CPU}),
        ("freezer", 1, {FREEZER}),
        ("unified", 2, {FREEZER}),
    ]


def test_the_second_version_limits_cpu_time_where_it_has_the_controller(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    (tree,) = hierarchies(f"30 25 0:26 / {tmp_path} rw,nosuid,nodev - cgroup2 cgroup2 rw,nsdelegate\n")
    assert (tree.version, set(tree.controllers)) == (2, {CPU, FREEZER})


def test_a_host_without_control_groups_gets_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "hierarchies", list)
    with pytest.raises(PrerequisiteError, match="controller 'freezer'") as caught:
        prepare("hr-0123ab-client", frozenset({FREEZER}))
    assert "mount" in caught.value.remedy


@pytest.fixture
def second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hierarchy:
    """A tree of the second version: files stand in for the kernel's, and hold what it would be asked."""
    tree = Hierarchy(tmp_path / "cgroup", 2, frozenset({CPU, FREEZER}))
    tree.path.mkdir()
    monkeypatch.setattr(locks, "ROOT", tmp_path / "run")
    monkeypatch.setattr(cgroups, "hierarchies", lambda: [tree])
    (tree.path / "cgroup.subtree_control").touch()
    return tree


def test_one_directory_serves_both_controllers_where_one_tree_has_them(second: Hierarchy) -> None:
    (second.path / "cgroup.subtree_control").write_text("cpu memory\n")
    group = Group("hr-0123ab-client", {CPU: second, FREEZER: second})
    group.make()
    directory = second.path / "hr-0123ab-client"
    assert group.entrances == [directory / "cgroup.procs"]
    (directory / "cpu.max").touch()
    (directory / "cpu.stat").write_text("usage_usec 5\nnr_periods 7\nnr_throttled 3\nthrottled_usec 9\n")
    group.limit(12.5)
    assert (directory / "cpu.max").read_text() == "12500 100000"
    assert group.throttled == 3
    (directory / "cgroup.freeze").touch()
    (directory / "cgroup.events").write_text("populated 1\nfrozen 1\n")
    group.freeze()
    assert (directory / "cgroup.freeze").read_text() == "1"
    assert group.frozen


def test_removing_a_group_that_is_gone_finds_nothing_to_do(tmp_path: Path) -> None:
    remove(tmp_path / "hr-0123ab-client")


def asked_of(tree: Hierarchy) -> str:
    """What was last written into the file by which the root hands controllers down; then it reads as the kernel's."""
    path = tree.path / "cgroup.subtree_control"
    asked = path.read_text().strip()
    path.write_text({"+cpu": "cpu\n", "-cpu": ""}.get(asked, asked))
    return asked


def test_of_two_runs_at_once_the_last_gives_the_cpu_controller_back(second: Hierarchy) -> None:
    groups = [Group(f"hr-{run_id}-client", {CPU: second}) for run_id in ("0123ab", "cd4567")]
    groups[0].make()
    assert asked_of(second) == "+cpu"
    groups[1].make()
    assert asked_of(second) == "cpu"
    (second.path / "hr-0123ab-client").rmdir()
    release_controller()
    assert asked_of(second) == "cpu"
    (second.path / "hr-cd4567-client").rmdir()
    release_controller()
    assert asked_of(second) == "-cpu"
    release_controller()
    assert asked_of(second) == ""
    assert list(locks.ROOT.iterdir()) == []


def test_a_controller_that_the_host_itself_handed_down_stays(second: Hierarchy) -> None:
    (second.path / "cgroup.subtree_control").write_text("cpu\n")
    Group("hr-0123ab-client", {CPU: second}).make()
    (second.path / "hr-0123ab-client").rmdir()
    release_controller()
    assert asked_of(second) == "cpu"


def test_a_limit_that_cannot_be_set_is_an_error_and_lifting_it_is_none(second: Hierarchy) -> None:
    group = Group("hr-0123ab-client", {CPU: second})
    group.make()
    with pytest.raises(RunError, match="no limit of CPU time"):
        group.limit(50)
    group.limit(None)
