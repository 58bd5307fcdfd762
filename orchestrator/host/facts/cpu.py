"""The processors: what they are, how many of them run threads side by side, and what makes their speed vary."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.host.facts.tree import Tree

CPU = "sys/devices/system/cpu"
_KHZ_PER_MHZ = 1000


def cpu_facts(tree: Tree) -> dict[str, Any]:
    """Model, topology, frequency scaling, idle states and mitigations."""
    return {
        "cpu": _cpuinfo(tree, "model name"),
        "microcode": _cpuinfo(tree, "microcode"),
        "sockets": _count(tree, "physical_package_id"),
        "cores": _count(tree, "physical_package_id", "core_id"),
        "smt": smt(tree),
        "numa_nodes": len(tree.paths("sys/devices/system/node/node[0-9]*")) or None,
        "isolated_cpus": tree.text(f"{CPU}/isolated") or ("none" if tree.exists(f"{CPU}/isolated") else None),
        "governor": tree.text(f"{CPU}/cpu0/cpufreq/scaling_governor"),
        "frequency_driver": tree.text(f"{CPU}/cpu0/cpufreq/scaling_driver"),
        "frequency_limits_mhz": frequency_limits_mhz(tree),
        "turbo": turbo(tree),
        "idle": idle(tree),
        "mitigations": mitigations(tree),
    }


def governors(tree: Tree) -> list[str] | None:
    """The frequency governors in use, each once; None where the host scales no frequency that we could see."""
    found = {tree.text(path) for path in tree.paths(f"{CPU}/cpu[0-9]*/cpufreq/scaling_governor")}
    return sorted(governor for governor in found if governor is not None) or None


def frequencies_mhz(tree: Tree) -> list[float] | None:
    """The frequency of each CPU at this moment, MHz; nominal on most virtual machines."""
    now_khz = [tree.number(path) for path in tree.paths(f"{CPU}/cpu[0-9]*/cpufreq/scaling_cur_freq")]
    if now_khz:
        return [khz / _KHZ_PER_MHZ for khz in now_khz if khz is not None] or None
    told = re.findall(r"^cpu MHz\s*: ([\d.]+)$", tree.text("proc/cpuinfo") or "", re.MULTILINE)
    return [float(mhz) for mhz in told] or None


def frequency_limits_mhz(tree: Tree) -> list[float] | None:
    """The lowest and the highest frequency that the first CPU may take, MHz."""
    ends = [tree.number(f"{CPU}/cpu0/cpufreq/scaling_{end}_freq") for end in ("min", "max")]
    return [khz / _KHZ_PER_MHZ for khz in ends if khz is not None] if None not in ends else None


def turbo(tree: Tree) -> bool | None:
    """Whether CPUs may run above their nominal frequency while there is power and cold to spare."""
    no_turbo = tree.text(f"{CPU}/intel_pstate/no_turbo")
    if no_turbo is not None:
        return no_turbo == "0"
    boost = tree.text(f"{CPU}/cpufreq/boost")
    return None if boost is None else boost == "1"


def smt(tree: Tree) -> bool | None:
    """Whether two or more CPUs share a core."""
    active = tree.text(f"{CPU}/smt/active")
    return None if active is None else active == "1"


def idle(tree: Tree) -> dict[str, Any]:
    """How CPUs idle: the deepest state that is allowed takes `exit_latency_us` to wake up from."""
    latencies = [
        tree.number(f"{state}/latency")
        for state in tree.paths(f"{CPU}/cpu0/cpuidle/state[0-9]*")
        if tree.text(f"{state}/disable") != "1"
    ]
    known = [latency for latency in latencies if latency is not None]
    return {
        "driver": tree.text(f"{CPU}/cpuidle/current_driver"),
        "governor": tree.text(f"{CPU}/cpuidle/current_governor") or tree.text(f"{CPU}/cpuidle/current_governor_ro"),
        "exit_latency_us": max(known, default=None),
    }


def mitigations(tree: Tree) -> dict[str, str] | None:
    """What the kernel does about each flaw of the processor that it knows: some of it makes system calls slow."""
    found = {path.rpartition("/")[2]: tree.text(path) for path in sorted(tree.paths(f"{CPU}/vulnerabilities/*"))}
    return {name: text for name, text in found.items() if text is not None} or None


def throttle_counts(tree: Tree) -> dict[str, int] | None:
    """How often heat has slowed cores and packages down since boot, added up over the CPUs that tell."""
    found = {}
    for what in ("core", "package"):
        counts = [tree.number(path) for path in tree.paths(f"{CPU}/cpu[0-9]*/thermal_throttle/{what}_throttle_count")]
        known = [count for count in counts if count is not None]
        if known:
            found[what] = sum(known)
    return found or None


def _cpuinfo(tree: Tree, name: str) -> str | None:
    match = re.search(rf"^{name}\s*: (.*)$", tree.text("proc/cpuinfo") or "", re.MULTILINE)
    return match[1].strip() if match else None


def _count(tree: Tree, *names: str) -> int | None:
    """How many different places the CPUs have, a place being what the topology files `names` say."""
    places = {
        tuple(tree.text(f"{topology}/{name}") for name in names)
        for topology in tree.paths(f"{CPU}/cpu[0-9]*/topology")
    }
    return len({place for place in places if None not in place}) or None
