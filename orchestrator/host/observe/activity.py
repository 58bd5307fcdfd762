"""What changes while a run measures: taken before and after, the differences say what the host did meanwhile.

Steal, throttling, swapping or pressure that a run did not cause itself are where the cause of a strange tail is
looked for first.
"""

from __future__ import annotations

import os
import re
from typing import Any

from hedgerow_node.clock import now_ns
from hedgerow_node.units import NS_PER_S
from orchestrator.host.observe.facts import CPUS, KHZ_PER_MHZ, Tree, as_number, governors, own_groups

_CPU_TIMES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")
_RESOURCES = ("cpu", "io", "memory")
#: The counters of which the difference is told, and the settings of which it is told if they changed.
_COUNTERS = (
    *("cpu_time_ms", "context_switches", "interrupts", "softirqs", "forks", "major_faults"),
    *("swapped_in_pages", "swapped_out_pages", "thermal_throttles", "throttled_periods"),
)
_SETTINGS = ("sysctls", "governors")

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


def activity(tree: Tree | None = None) -> dict[str, Any]:
    """The host at this moment: counters since boot, load, pressure, memory, frequencies, settings."""
    tree = tree or Tree()
    stat, memory = tree.text("proc/stat") or "", _table(tree.text("proc/meminfo"))
    paging = _table(tree.text("proc/vmstat"))
    return {
        "monotonic_ns": now_ns(),
        "load_average": _load(tree),
        "running": _count(stat, "procs_running"),
        "pressure": {resource: _pressure(tree.text(f"proc/pressure/{resource}")) for resource in _RESOURCES},
        "cpu_time_ms": cpu_time_ms(tree),
        "context_switches": _count(stat, "ctxt"),
        "interrupts": _count(stat, "intr"),
        "softirqs": _count(stat, "softirq"),
        "forks": _count(stat, "processes"),
        "memory_available_mib": _mib(memory.get("MemAvailable")),
        "swap_free_mib": _mib(memory.get("SwapFree")),
        "major_faults": paging.get("pgmajfault"),
        "swapped_in_pages": paging.get("pswpin"),
        "swapped_out_pages": paging.get("pswpout"),
        "frequencies_mhz": frequencies_mhz(tree),
        "thermal_throttles": throttle_counts(tree),
        "throttled_periods": throttled_periods(tree),
        "governors": governors(tree),
        "sysctls": sysctls(tree),
    }


def differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What two of `activity` differ in: counters by how much, settings by their two values (`{}`: none changed)."""
    return {
        "duration_s": round((after["monotonic_ns"] - before["monotonic_ns"]) / NS_PER_S, 3),
        **{name: minus(after[name], before[name]) for name in _COUNTERS},
        "pressure_us": {
            resource: minus(_totals_us(after["pressure"][resource]), _totals_us(before["pressure"][resource]))
            for resource in _RESOURCES
        },
        "settings_changed": changes(_settings(before), _settings(after)),
    }


def minus(after: Any, before: Any) -> Any:
    """`after` - `before`: of numbers, and of mappings entry by entry; None where either is missing or no number."""
    if isinstance(after, dict) and isinstance(before, dict):
        return {name: minus(after[name], before[name]) for name in after if name in before}
    if isinstance(after, int | float) and isinstance(before, int | float):
        return after - before
    return None


def changes(before: Any, after: Any, name: str = "") -> dict[str, list[Any]]:
    """Both values of every entry that differs, by its dotted name."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return {} if before == after else {name: [before, after]}
    found: dict[str, list[Any]] = {}
    for key in sorted({*before, *after}):
        found |= changes(before.get(key), after.get(key), f"{name}.{key}" if name else key)
    return found


def cpu_time_ms(tree: Tree) -> dict[str, int] | None:
    """What all CPUs together have spent on what since boot, ms; the kernel counts it in ticks of 10 ms or so."""
    match = re.search(r"^cpu +(.*)$", tree.text("proc/stat") or "", re.MULTILINE)
    if match is None:
        return None
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    return {name: int(ticks) * 1000 // ticks_per_s for name, ticks in zip(_CPU_TIMES, match[1].split(), strict=False)}


def _settings(taken: dict[str, Any]) -> dict[str, Any]:
    return {name: taken[name] for name in _SETTINGS}


def _load(tree: Tree) -> list[float] | None:
    words = (tree.text("proc/loadavg") or "").split()
    return [float(word) for word in words[:3]] or None


def _count(stat: str, name: str) -> int | None:
    """The first number in the line of /proc/stat that starts with `name`."""
    match = re.search(rf"^{name} (\d+)", stat, re.MULTILINE)
    return int(match[1]) if match else None


def _table(text: str | None) -> dict[str, int]:
    """Lines of a name and a number, with or without a colon and a unit."""
    return {name: int(number) for name, number in re.findall(r"^(\S+?):?\s+(\d+)", text or "", re.MULTILINE)}


def _mib(kib: int | None) -> int | None:
    return None if kib is None else kib >> 10


def _pressure(text: str | None) -> dict[str, dict[str, float]] | None:
    """What /proc/pressure says of a resource: for "some" and "full" the shares of time in percent, and total µs."""
    if text is None:
        return None
    found: dict[str, dict[str, float]] = {}
    for line in text.splitlines():
        kind, *pairs = line.split()
        values = dict(pair.split("=", 1) for pair in pairs)
        total_us = int(values.pop("total"))
        found[kind] = {**{f"{name}_percent": float(share) for name, share in values.items()}, "total_us": total_us}
    return found


def _totals_us(pressure: dict[str, dict[str, float]] | None) -> dict[str, float] | None:
    return None if pressure is None else {kind: values["total_us"] for kind, values in pressure.items()}


def sysctls(tree: Tree) -> dict[str, int | str | None]:
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


def frequencies_mhz(tree: Tree) -> list[float] | None:
    """The frequency of each CPU at this moment, MHz; nominal on most virtual machines."""
    now_khz = [tree.number(path) for path in tree.paths(f"{CPUS}/cpu[0-9]*/cpufreq/scaling_cur_freq")]
    if now_khz:
        return [khz / KHZ_PER_MHZ for khz in now_khz if khz is not None] or None
    told = re.findall(r"^cpu MHz\s*: ([\d.]+)$", tree.text("proc/cpuinfo") or "", re.MULTILINE)
    return [float(mhz) for mhz in told] or None


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
    told = [tree.text(f"{group}/cpu.stat") or "" for group in own_groups(tree)]
    counts = [int(count) for text in told for count in re.findall(r"^nr_throttled (\d+)$", text, re.MULTILINE)]
    return sum(counts) if counts else None
