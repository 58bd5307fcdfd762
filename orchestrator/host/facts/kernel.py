"""The kernel: which one, how it was booted, what it tells the time by, and the settings that timing depends on."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Any

from orchestrator.host.facts.tree import Tree, as_number

_CLOCKSOURCE = "sys/devices/system/clocksource/clocksource0"
_SCHEDULER = "sys/kernel/debug/sched"

#: Boot flags that change how fast or how evenly programs run. Others may hold what is nobody's business.
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


def kernel_facts(tree: Tree) -> dict[str, Any]:
    """Version, the boot flags that matter, preemption, scheduler and clock sources."""
    return {
        "kernel_version": tree.text("proc/sys/kernel/version"),
        "kernel_flags": kernel_flags(tree),
        "preemption": _chosen(tree.text(f"{_SCHEDULER}/preempt"), "()"),
        "scheduler": _scheduler(tree),
        "transparent_hugepages": _chosen(tree.text("sys/kernel/mm/transparent_hugepage/enabled"), "[]"),
        "clocksource": tree.text(f"{_CLOCKSOURCE}/current_clocksource"),
        "clocksources": (tree.text(f"{_CLOCKSOURCE}/available_clocksource") or "").split() or None,
    }


def kernel_flags(tree: Tree) -> list[str] | None:
    """Those of the boot flags that timing depends on, as they were written; None where they cannot be read."""
    line = tree.text("proc/cmdline")
    if line is None:
        return None
    return [
        word
        for word in line.split()
        if any(fnmatchcase(word.partition("=")[0].replace("-", "_"), flag) for flag in _FLAGS)
    ]


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


def _chosen(text: str | None, brackets: str) -> str | None:
    """The word in brackets, by which the kernel marks the choice that holds: `always [madvise] never`."""
    left, right = (re.escape(bracket) for bracket in brackets)
    match = re.search(rf"{left}(\w+){right}", text or "")
    return match[1] if match else None


def _scheduler(tree: Tree) -> dict[str, int] | None:
    """The scheduler's slices and latencies, ns; in debugfs, so not told everywhere."""
    values = {path.rpartition("/")[2]: tree.number(path) for path in sorted(tree.paths(f"{_SCHEDULER}/*_ns"))}
    return {name: value for name, value in values.items() if value is not None} or None
