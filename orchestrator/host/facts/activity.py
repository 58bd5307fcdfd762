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
from orchestrator.host.facts.cpu import frequencies_mhz, governors, throttle_counts
from orchestrator.host.facts.kernel import sysctls
from orchestrator.host.facts.tree import Tree
from orchestrator.host.facts.virtualisation import throttled_periods

_CPU_TIMES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")
_RESOURCES = ("cpu", "io", "memory")
#: The counters of which the difference is told, and the settings of which it is told if they changed.
_COUNTERS = (
    *("cpu_time_ms", "context_switches", "interrupts", "softirqs", "forks", "major_faults"),
    *("swapped_in_pages", "swapped_out_pages", "thermal_throttles", "throttled_periods"),
)
_SETTINGS = ("sysctls", "governors")


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
