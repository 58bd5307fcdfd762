"""What stands between this system and the machine: a hypervisor, a container, a control group with a quota."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.host.facts.tree import Tree

_GROUPS = "sys/fs/cgroup"
_VERSION_1 = (f"{_GROUPS}/cpu", f"{_GROUPS}/cpu,cpuacct")  #: the hierarchy that shares out the CPU, by its names
#: In the control groups' names by the engines that make them; and of files that they leave in containers.
_CONTAINER_GROUPS = ("docker", "containerd", "crio", "kubepods", "libpod", "lxc")
_CONTAINER_FILES = (".dockerenv", "run/.containerenv")


def virtualisation_facts(tree: Tree) -> dict[str, Any]:
    """Hypervisor, machine, marks of a container, control groups."""
    return {
        "hypervisor": hypervisor(tree),
        "virtualisation": {
            "vendor": tree.text("sys/class/dmi/id/sys_vendor"),
            "product": tree.text("sys/class/dmi/id/product_name"),
            "type": tree.text("sys/hypervisor/type") or ("xen" if tree.exists("proc/xen") else None),
            "container_marks": container_marks(tree),
        },
        "cgroup": {"version": cgroup_version(tree), "cpu_quota_percent": cpu_quota_percent(tree)},
    }


def hypervisor(tree: Tree) -> bool | None:
    """Whether a hypervisor is beneath; x86 processors say so themselves, of others None says that nothing did."""
    if tree.exists("sys/hypervisor/type") or tree.exists("proc/xen") or tree.exists("proc/device-tree/hypervisor"):
        return True
    flags = re.search(r"^flags\s*: (.*)$", tree.text("proc/cpuinfo") or "", re.MULTILINE)
    return None if flags is None else "hypervisor" in flags[1].split()


def container_marks(tree: Tree) -> list[str]:
    """What hints at a container, not what is one: images are also unpacked and booted, with their marks in them."""
    marks = [f"/{path}" for path in _CONTAINER_FILES if tree.exists(path)]
    told = tree.text("run/systemd/container")
    if told:
        marks.append(f"systemd: {told}")
    groups = tree.text("proc/1/cgroup") or ""
    marks += [f"cgroup: {name}" for name in _CONTAINER_GROUPS if name in groups]
    match = re.search(r"(?:^|\0)container=([^\0]*)", tree.text("proc/1/environ") or "")
    return [*marks, f"environment: {match[1]}"] if match else marks


def cgroup_version(tree: Tree) -> int | None:
    """By which of the two the CPU is shared out: 1 also where a bare version 2 hierarchy stands beside."""
    if tree.exists(f"{_GROUPS}/cgroup.controllers"):
        return 2
    return 1 if any(tree.exists(hierarchy) for hierarchy in _VERSION_1) else None


def cpu_quota_percent(tree: Tree) -> float | None:
    """What our control groups leave us of CPU time, 100 being one CPU; None where they leave all of it."""
    quotas = []
    for group in _own_groups(tree):
        quota, period = (tree.text(f"{group}/cpu.max") or "max 100000").split()
        if quota == "max":
            version_1 = [tree.number(f"{group}/cpu.cfs_{name}_us") for name in ("quota", "period")]
            quota, period = (str(number or -1) for number in version_1)
        if int(quota) > 0 and int(period) > 0:
            quotas.append(100 * int(quota) / int(period))
    return min(quotas, default=None)


def throttled_periods(tree: Tree) -> int | None:
    """How often our control groups had used up their quota and had to wait; None where nothing counts it."""
    told = [tree.text(f"{group}/cpu.stat") or "" for group in _own_groups(tree)]
    counts = [int(count) for text in told for count in re.findall(r"^nr_throttled (\d+)$", text, re.MULTILINE)]
    return sum(counts) if counts else None


def _own_groups(tree: Tree) -> list[str]:
    """The folders of our control group and of all above it, in the hierarchy that shares out the CPU.

    In a container the path may be the host's, of which only the end is to be seen; the root is in any case.
    """
    version = cgroup_version(tree)
    if version is None:
        return []
    hierarchy = _GROUPS if version == 2 else next(path for path in _VERSION_1 if tree.exists(path))
    line = r"^0::(/.*)$" if version == 2 else r"^\d+:(?:[^:]*,)?cpu(?:,[^:]*)?:(/.*)$"
    match = re.search(line, tree.text("proc/self/cgroup") or "", re.MULTILINE)
    parts = match[1].strip("/").split("/") if match and match[1].strip("/") else []
    return ["/".join([hierarchy, *parts[:count]]) for count in range(len(parts), -1, -1)]
