"""What a host does while a run measures: observed before and after, with the differences.

Steal, throttling, swapping or pressure that a run did not cause itself come first when a tail is to be explained.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, TypeVar

from hedgerow_node.clock import now_ns
from hedgerow_node.units import NS_PER_S
from orchestrator.host.observe.facts import CPUS, KHZ_PER_MHZ, Tree, as_number, governors, own_groups
from orchestrator.runfolder.observed import (
    Activity,
    ActivityDifferences,
    HostPressed,
    InterfaceDifferences,
    Pressure,
    changes,
    minus,
)

if TYPE_CHECKING:
    from hedgerow_node.protocol.hedger import InterfaceState

_CPU_TIMES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")
_RESOURCES = ("cpu", "io", "memory")

N = TypeVar("N", int, float)

#: Settings that a run depends on and never touches, named as sysctl names them.
_SYSCTLS = (
    *("net.core.default_qdisc", "net.core.rmem_default", "net.core.rmem_max", "net.core.wmem_default"),
    *("net.core.wmem_max", "net.core.netdev_max_backlog", "net.core.netdev_budget", "net.core.netdev_budget_usecs"),
    *("net.core.busy_poll", "net.core.busy_read", "net.core.bpf_jit_enable", "net.core.bpf_jit_harden"),
    *("net.ipv4.udp_mem", "net.ipv4.udp_rmem_min", "net.ipv4.ip_forward"),
    *("net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables"),
    *("kernel.timer_migration", "kernel.numa_balancing", "kernel.watchdog", "kernel.nmi_watchdog"),
    *("kernel.bpf_stats_enabled", "kernel.unprivileged_bpf_disabled", "vm.swappiness", "vm.stat_interval"),
)
_SYSCTL_GROUPS = ("kernel.sched_*",)


def activity(interface: InterfaceState, tree: Tree | None = None) -> Activity:
    """The host at this moment, with what was read of the client's interface."""
    tree = tree or Tree()
    stat, memory = tree.text("proc/stat") or "", _table(tree.text("proc/meminfo"))
    paging = _table(tree.text("proc/vmstat"))
    return Activity(
        monotonic_ns=now_ns(),
        load_average=_load(tree),
        running=_count(stat, "procs_running"),
        pressure={resource: _pressure(tree.text(f"proc/pressure/{resource}")) for resource in _RESOURCES},
        cpu_time_ms=cpu_time_ms(tree),
        context_switches=_count(stat, "ctxt"),
        interrupts=_count(stat, "intr"),
        softirqs=_count(stat, "softirq"),
        forks=_count(stat, "processes"),
        memory_available_mib=_mib(memory.get("MemAvailable")),
        swap_free_mib=_mib(memory.get("SwapFree")),
        major_faults=paging.get("pgmajfault"),
        swapped_in_pages=paging.get("pswpin"),
        swapped_out_pages=paging.get("pswpout"),
        frequencies_mhz=frequencies_mhz(tree),
        thermal_throttles=throttle_counts(tree),
        throttled_periods=throttled_periods(tree),
        governors=governors(tree),
        sysctls=sysctls(tree),
        interface=interface,
    )


def differences(before: Activity, after: Activity) -> ActivityDifferences:
    """From `before` to `after`."""
    return ActivityDifferences(
        duration_s=round((after.monotonic_ns - before.monotonic_ns) / NS_PER_S, 3),
        cpu_time_ms=_optional_minus(after.cpu_time_ms, before.cpu_time_ms),
        context_switches=minus(after.context_switches, before.context_switches),
        interrupts=minus(after.interrupts, before.interrupts),
        softirqs=minus(after.softirqs, before.softirqs),
        forks=minus(after.forks, before.forks),
        major_faults=minus(after.major_faults, before.major_faults),
        swapped_in_pages=minus(after.swapped_in_pages, before.swapped_in_pages),
        swapped_out_pages=minus(after.swapped_out_pages, before.swapped_out_pages),
        thermal_throttles=_optional_minus(after.thermal_throttles, before.thermal_throttles),
        throttled_periods=minus(after.throttled_periods, before.throttled_periods),
        pressure_us={
            resource: _optional_minus(_totals_us(after, resource), _totals_us(before, resource))
            for resource in _RESOURCES
        },
        settings_changed=changes(_settings(before), _settings(after)),
        interface=_interface_differences(before.interface, after.interface),
    )


def _interface_differences(before: InterfaceState, after: InterfaceState) -> InterfaceDifferences:
    qdiscs = None
    if before.qdiscs is not None and after.qdiscs is not None:
        # A qdisc that came in between, as the hedger's clsact does, has counted from zero.
        came = {name: counters for name, counters in after.qdiscs.items() if name not in before.qdiscs}
        stayed = {name: counters for name, counters in after.qdiscs.items() if name in before.qdiscs}
        counted = {name: _each_minus(counters, before.qdiscs[name]) for name, counters in stayed.items()}
        qdiscs = {name: came.get(name) or counted[name] for name in after.qdiscs}
    return InterfaceDifferences(
        statistics=_each_minus(after.statistics, before.statistics),
        qdiscs=qdiscs,
        udp=_each_minus(after.udp, before.udp),
    )


def _optional_minus(after: dict[str, N] | None, before: dict[str, N] | None) -> dict[str, N] | None:
    return None if after is None or before is None else _each_minus(after, before)


def _each_minus(after: dict[str, N], before: dict[str, N]) -> dict[str, N]:
    """Of the counters that are in both."""
    return {name: after[name] - before[name] for name in after if name in before}


def _settings(observed: Activity) -> dict[str, object]:
    return {
        "sysctls": observed.sysctls,
        "governors": observed.governors,
        "interface": {"offloads": observed.interface.offloads},
    }


def cpu_time_ms(tree: Tree) -> dict[str, int] | None:
    """What all CPUs together have spent on what since boot, ms; the kernel counts it in ticks of 10 ms or so."""
    match = re.search(r"^cpu +(.*)$", tree.text("proc/stat") or "", re.MULTILINE)
    if match is None:
        return None
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    return {name: int(ticks) * 1000 // ticks_per_s for name, ticks in zip(_CPU_TIMES, match[1].split(), strict=False)}


def pressed(tree: Tree | None = None) -> HostPressed:
    """What other work has taken from this host so far. Two small files are read: it is asked around each block."""
    tree = tree or Tree()
    times, pressure = cpu_time_ms(tree), _pressure(tree.text("proc/pressure/cpu"))
    waited_us = None if pressure is None or "some" not in pressure else int(pressure["some"]["total_us"])
    return HostPressed(None if times is None else times.get("steal"), waited_us)


def _load(tree: Tree) -> tuple[float, ...] | None:
    words = (tree.text("proc/loadavg") or "").split()
    return tuple(float(word) for word in words[:3]) or None


def _count(stat: str, name: str) -> int | None:
    """The first number in the line of /proc/stat that starts with `name`."""
    match = re.search(rf"^{name} (\d+)", stat, re.MULTILINE)
    return int(match[1]) if match else None


def _table(text: str | None) -> dict[str, int]:
    """Lines of a name and a number, with or without a colon and a unit."""
    return {name: int(number) for name, number in re.findall(r"^(\S+?):?\s+(\d+)", text or "", re.MULTILINE)}


def _mib(kib: int | None) -> int | None:
    return None if kib is None else kib >> 10


def _pressure(text: str | None) -> Pressure | None:
    if text is None:
        return None
    found: Pressure = {}
    for line in text.splitlines():
        kind, *pairs = line.split()
        values = dict(pair.split("=", 1) for pair in pairs)
        total_us = int(values.pop("total"))
        found[kind] = {**{f"{name}_percent": float(share) for name, share in values.items()}, "total_us": total_us}
    return found


def _totals_us(observed: Activity, resource: str) -> dict[str, float] | None:
    pressure = observed.pressure[resource]
    return None if pressure is None else {kind: values["total_us"] for kind, values in pressure.items()}


def sysctls(tree: Tree) -> dict[str, object]:
    """The settings by name: numbers as numbers, null where this kernel has no such setting."""
    names = list(_SYSCTLS)
    for group in _SYSCTL_GROUPS:
        names += [path.removeprefix("proc/sys/").replace("/", ".") for path in tree.paths(_sysctl_path(group))]
    return {name: _value(tree.text(_sysctl_path(name))) for name in names}


def _sysctl_path(name: str) -> str:
    return f"proc/sys/{name.replace('.', '/')}"


def _value(text: str | None) -> int | str | None:
    number = as_number(text)
    if number is not None or text is None:
        return number
    return " ".join(text.split())


def frequencies_mhz(tree: Tree) -> tuple[float, ...] | None:
    """The frequency of each CPU at this moment, MHz; nominal on most virtual machines."""
    now_khz = [tree.number(path) for path in tree.paths(f"{CPUS}/cpu[0-9]*/cpufreq/scaling_cur_freq")]
    if now_khz:
        return tuple(khz / KHZ_PER_MHZ for khz in now_khz if khz is not None) or None
    nominal = re.findall(r"^cpu MHz\s*: ([\d.]+)$", tree.text("proc/cpuinfo") or "", re.MULTILINE)
    return tuple(map(float, nominal)) or None


def throttle_counts(tree: Tree) -> dict[str, int] | None:
    """How often heat has slowed cores and packages down since boot, added up over the CPUs that tell."""
    found = {}
    for what in ("core", "package"):
        counts = [
            tree.number(path) for path in tree.paths(f"{CPUS}/cpu[0-9]*/thermal_throttle/{what}_throttle_count")
        ]
        known = [count for count in counts if count is not None]
        if known:
            found[what] = sum(known)
    return found or None


def throttled_periods(tree: Tree) -> int | None:
    """How often our control groups had used up their quota and had to wait; None where nothing counts it."""
    texts = [tree.text(f"{group}/cpu.stat") or "" for group in own_groups(tree)]
    counts = [int(count) for text in texts for count in re.findall(r"^nr_throttled (\d+)$", text, re.MULTILINE)]
    return sum(counts) if counts else None
