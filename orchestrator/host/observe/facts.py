"""What a host is, as /proc and /sys tell: its processors, its kernel, and what stands between it and the machine.

This stays as it is for the length of a run: the manifest's `host`. Everything is read, nothing is changed, no process
is started. Whatever a host does not tell is null: kernels, machines and containers differ in that.
"""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

CPUS = "sys/devices/system/cpu"
KHZ_PER_MHZ = 1000
_CLOCKSOURCE = "sys/devices/system/clocksource/clocksource0"
_SCHEDULER = "sys/kernel/debug/sched"

#: Boot flags that change how fast or how evenly programs run. Others may hold secrets.
_FLAGS = (
    *("isolcpus", "nohz", "nohz_full", "rcu_nocbs", "rcu_nocb_poll", "irqaffinity", "threadirqs", "skew_tick"),
    *("nosmt", "maxcpus", "nr_cpus", "idle", "nohlt", "cpuidle.*", "cpuidle_haltpoll.*", "haltpoll.*"),
    *("processor.*", "intel_idle.*", "intel_pstate", "amd_pstate", "cpufreq.*", "clocksource", "tsc", "hpet"),
    *("highres", "preempt", "nowatchdog", "nmi_watchdog", "nosoftlockup", "numa_balancing"),
    *("transparent_hugepage", "psi", "mitigations", "nopti", "pti", "nospectre_v1", "nospectre_v2"),
    *("spectre_v2*", "spec_store_bypass_disable", "spec_rstack_overflow", "retbleed", "l1tf", "mds", "srbds"),
    *("mmio_stale_data", "tsx", "tsx_async_abort", "gather_data_sampling", "reg_file_data_sampling"),
    *("spectre_bhi", "vmscape", "tsa", "indirect_target_selection", "cgroup_no_v1", "cgroup_disable"),
    *("systemd.unified_cgroup_hierarchy", "workqueue.*", "kvm*", "nomodule"),
)
_GROUPS = "sys/fs/cgroup"
_VERSION_1 = (f"{_GROUPS}/cpu", f"{_GROUPS}/cpu,cpuacct")  #: the hierarchy that shares out the CPU, by its names
#: In the control groups' names by the engines that make them; and of files that they leave in containers.
_CONTAINER_GROUPS = ("docker", "containerd", "crio", "kubepods", "libpod", "lxc")
_CONTAINER_FILES = (".dockerenv", "run/.containerenv")


@dataclass(frozen=True)
class Tree:
    """The files below `root`: a host's own, or a copy of some of them."""

    root: Path = Path("/")

    def text(self, path: str) -> str | None:
        """What the file at `path` (without a leading slash) says, stripped; None where it says nothing."""
        try:
            return (self.root / path).read_text(errors="replace", encoding="utf-8").strip() or None
        except OSError:
            return None

    def number(self, path: str) -> int | None:
        """The decimal number in the file at `path`; None where there is none."""
        return as_number(self.text(path))

    def exists(self, path: str) -> bool:
        """Whether there is something at `path`."""
        try:
            return (self.root / path).exists()
        except OSError:
            return False

    def paths(self, pattern: str) -> list[str]:
        """The paths that match the glob `pattern`, numbers in them in their order (cpu2 before cpu10)."""
        try:
            found = [str(path.relative_to(self.root)) for path in self.root.glob(pattern)]
        except OSError:
            return []
        return sorted(found, key=lambda path: (len(path), path))


def as_number(text: str | None) -> int | None:
    """`text` as a decimal number, None where it is none."""
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


@dataclass(frozen=True)
class Idle:
    """How CPUs idle: the deepest state that is allowed takes `exit_latency_us` to wake up from."""

    driver: str | None
    governor: str | None
    exit_latency_us: int | None


@dataclass(frozen=True)
class Virtualisation:
    """The machine as its firmware names it, a hypervisor's type, and what hints at a container."""

    vendor: str | None
    product: str | None
    type: str | None
    container_marks: tuple[str, ...]


@dataclass(frozen=True)
class ControlGroups:
    """The version in use, and what our groups leave us of CPU time (100 is one CPU, None all of it)."""

    version: int | None
    cpu_quota_percent: float | None


@dataclass(frozen=True, kw_only=True)
class HostFacts:
    """A host as it stays during a run; None stands for what this host does not tell.

    `frequency_limits_mhz` are the lowest and the highest; `scheduler` holds slices and latencies, ns; the
    `load_average` is that of before the run.
    """

    kernel: str
    machine: str
    system: str | None
    cpus: int | None
    cpus_allowed: int
    memory_mib: int
    cpu: str | None
    microcode: str | None
    sockets: int | None
    cores: int | None
    smt: bool | None
    numa_nodes: int | None
    isolated_cpus: str | None
    governor: str | None
    frequency_driver: str | None
    frequency_limits_mhz: tuple[float, float] | None
    turbo: bool | None
    idle: Idle
    mitigations: dict[str, str] | None
    kernel_version: str | None
    kernel_flags: tuple[str, ...] | None
    preemption: str | None
    scheduler: dict[str, int] | None
    transparent_hugepages: str | None
    clocksource: str | None
    clocksources: tuple[str, ...] | None
    hypervisor: bool | None
    virtualisation: Virtualisation
    cgroup: ControlGroups
    load_average: tuple[float, ...]


def host_facts(tree: Tree | None = None) -> HostFacts:
    """This host, as far as `tree` tells."""
    tree = tree or Tree()
    return HostFacts(
        kernel=platform.release(),
        machine=platform.machine(),
        system=_os_release(tree),
        cpus=os.cpu_count(),
        cpus_allowed=len(os.sched_getaffinity(0)),
        memory_mib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        cpu=_cpuinfo(tree, "model name"),
        microcode=_cpuinfo(tree, "microcode"),
        sockets=_count(tree, "physical_package_id"),
        cores=_count(tree, "physical_package_id", "core_id"),
        smt=smt(tree),
        numa_nodes=len(tree.paths("sys/devices/system/node/node[0-9]*")) or None,
        isolated_cpus=tree.text(f"{CPUS}/isolated") or ("none" if tree.exists(f"{CPUS}/isolated") else None),
        governor=tree.text(f"{CPUS}/cpu0/cpufreq/scaling_governor"),
        frequency_driver=tree.text(f"{CPUS}/cpu0/cpufreq/scaling_driver"),
        frequency_limits_mhz=frequency_limits_mhz(tree),
        turbo=turbo(tree),
        idle=idle(tree),
        mitigations=mitigations(tree),
        kernel_version=tree.text("proc/sys/kernel/version"),
        kernel_flags=kernel_flags(tree),
        preemption=_chosen(tree.text(f"{_SCHEDULER}/preempt"), "()"),
        scheduler=_scheduler(tree),
        transparent_hugepages=_chosen(tree.text("sys/kernel/mm/transparent_hugepage/enabled"), "[]"),
        clocksource=tree.text(f"{_CLOCKSOURCE}/current_clocksource"),
        clocksources=tuple((tree.text(f"{_CLOCKSOURCE}/available_clocksource") or "").split()) or None,
        hypervisor=hypervisor(tree),
        virtualisation=virtualisation(tree),
        cgroup=ControlGroups(cgroup_version(tree), cpu_quota_percent(tree)),
        load_average=os.getloadavg(),
    )


def _os_release(tree: Tree) -> str | None:
    match = re.search(r'^PRETTY_NAME="?(.*?)"?$', tree.text("etc/os-release") or "", re.MULTILINE)
    return match[1] if match else None


def governors(tree: Tree) -> tuple[str, ...] | None:
    """The frequency governors in use, each once; None where the host scales no frequency that we could see."""
    found = {tree.text(path) for path in tree.paths(f"{CPUS}/cpu[0-9]*/cpufreq/scaling_governor")}
    return tuple(sorted(governor for governor in found if governor is not None)) or None


def frequency_limits_mhz(tree: Tree) -> tuple[float, float] | None:
    """The lowest and the highest frequency that the first CPU may take, MHz."""
    lowest_khz, highest_khz = (tree.number(f"{CPUS}/cpu0/cpufreq/scaling_{end}_freq") for end in ("min", "max"))
    if lowest_khz is None or highest_khz is None:
        return None
    return lowest_khz / KHZ_PER_MHZ, highest_khz / KHZ_PER_MHZ


def turbo(tree: Tree) -> bool | None:
    """Whether CPUs may run above their nominal frequency while there is power and cold to spare."""
    no_turbo = tree.text(f"{CPUS}/intel_pstate/no_turbo")
    if no_turbo is not None:
        return no_turbo == "0"
    boost = tree.text(f"{CPUS}/cpufreq/boost")
    return None if boost is None else boost == "1"


def smt(tree: Tree) -> bool | None:
    """Whether two or more CPUs share a core."""
    active = tree.text(f"{CPUS}/smt/active")
    return None if active is None else active == "1"


def idle(tree: Tree) -> Idle:
    """The idle states of the first CPU, which stand for all."""
    latencies = [
        tree.number(f"{state}/latency")
        for state in tree.paths(f"{CPUS}/cpu0/cpuidle/state[0-9]*")
        if tree.text(f"{state}/disable") != "1"
    ]
    known = [latency for latency in latencies if latency is not None]
    return Idle(
        driver=tree.text(f"{CPUS}/cpuidle/current_driver"),
        governor=tree.text(f"{CPUS}/cpuidle/current_governor") or tree.text(f"{CPUS}/cpuidle/current_governor_ro"),
        exit_latency_us=max(known, default=None),
    )


def mitigations(tree: Tree) -> dict[str, str] | None:
    """What the kernel does about each flaw of the processor that it knows: some of it makes system calls slow."""
    found = {path.rpartition("/")[2]: tree.text(path) for path in sorted(tree.paths(f"{CPUS}/vulnerabilities/*"))}
    return {name: text for name, text in found.items() if text is not None} or None


def _cpuinfo(tree: Tree, name: str) -> str | None:
    match = re.search(rf"^{name}\s*: (.*)$", tree.text("proc/cpuinfo") or "", re.MULTILINE)
    return match[1].strip() if match else None


def _count(tree: Tree, *names: str) -> int | None:
    """How many different places the CPUs have, a place being what the topology files `names` say."""
    places = {
        tuple(tree.text(f"{topology}/{name}") for name in names)
        for topology in tree.paths(f"{CPUS}/cpu[0-9]*/topology")
    }
    return len({place for place in places if None not in place}) or None


def kernel_flags(tree: Tree) -> tuple[str, ...] | None:
    """Those of the boot flags that timing depends on, as they were written; None where they cannot be read."""
    line = tree.text("proc/cmdline")
    if line is None:
        return None
    return tuple(
        word
        for word in line.split()
        if any(fnmatchcase(word.partition("=")[0].replace("-", "_"), flag) for flag in _FLAGS)
    )


def _chosen(text: str | None, brackets: str) -> str | None:
    """The word in brackets, by which the kernel marks the choice that holds: `always [madvise] never`."""
    left, right = (re.escape(bracket) for bracket in brackets)
    match = re.search(rf"{left}(\w+){right}", text or "")
    return match[1] if match else None


def _scheduler(tree: Tree) -> dict[str, int] | None:
    """The scheduler's slices and latencies, ns; in debugfs, which many hosts do not have."""
    values = {path.rpartition("/")[2]: tree.number(path) for path in sorted(tree.paths(f"{_SCHEDULER}/*_ns"))}
    return {name: value for name, value in values.items() if value is not None} or None


def hypervisor(tree: Tree) -> bool | None:
    """Whether a hypervisor is beneath; x86 processors say so themselves, of others None means that none was seen."""
    if tree.exists("sys/hypervisor/type") or tree.exists("proc/xen") or tree.exists("proc/device-tree/hypervisor"):
        return True
    flags = re.search(r"^flags\s*: (.*)$", tree.text("proc/cpuinfo") or "", re.MULTILINE)
    return None if flags is None else "hypervisor" in flags[1].split()


def virtualisation(tree: Tree) -> Virtualisation:
    """What stands between this system and the machine."""
    return Virtualisation(
        vendor=tree.text("sys/class/dmi/id/sys_vendor"),
        product=tree.text("sys/class/dmi/id/product_name"),
        type=tree.text("sys/hypervisor/type") or ("xen" if tree.exists("proc/xen") else None),
        container_marks=container_marks(tree),
    )


def container_marks(tree: Tree) -> tuple[str, ...]:
    """What hints at a container. It proves none: images are also unpacked and booted, with these files in them."""
    marks = [f"/{path}" for path in _CONTAINER_FILES if tree.exists(path)]
    manager = tree.text("run/systemd/container")
    marks += [f"systemd: {manager}"] if manager else []
    groups = tree.text("proc/1/cgroup") or ""
    marks += [f"cgroup: {name}" for name in _CONTAINER_GROUPS if name in groups]
    match = re.search(r"(?:^|\0)container=([^\0]*)", tree.text("proc/1/environ") or "")
    return (*marks, f"environment: {match[1]}") if match else tuple(marks)


def cgroup_version(tree: Tree) -> int | None:
    """By which of the two the CPU is shared out: 1 also where a bare version 2 hierarchy stands beside."""
    if tree.exists(f"{_GROUPS}/cgroup.controllers"):
        return 2
    return 1 if any(tree.exists(hierarchy) for hierarchy in _VERSION_1) else None


def cpu_quota_percent(tree: Tree) -> float | None:
    """What our control groups leave us of CPU time, 100 being one CPU; None where they leave all of it."""
    quotas = []
    for group in own_groups(tree):
        quota, period = (tree.text(f"{group}/cpu.max") or "max 100000").split()
        if quota == "max":
            version_1 = [tree.number(f"{group}/cpu.cfs_{name}_us") for name in ("quota", "period")]
            quota, period = (str(number or -1) for number in version_1)
        if int(quota) > 0 and int(period) > 0:
            quotas.append(100 * int(quota) / int(period))
    return min(quotas, default=None)


def own_groups(tree: Tree) -> list[str]:
    """The folders of our control group and of all above it, in the hierarchy that shares out the CPU.

    In a container the path may be the host's, of which only the last part is visible; the root always is.
    """
    version = cgroup_version(tree)
    if version is None:
        return []
    hierarchy = _GROUPS if version == 2 else next(path for path in _VERSION_1 if tree.exists(path))
    line = r"^0::(/.*)$" if version == 2 else r"^\d+:(?:[^:]*,)?cpu(?:,[^:]*)?:(/.*)$"
    match = re.search(line, tree.text("proc/self/cgroup") or "", re.MULTILINE)
    parts = match[1].strip("/").split("/") if match and match[1].strip("/") else []
    return ["/".join([hierarchy, *parts[:count]]) for count in range(len(parts), -1, -1)]
