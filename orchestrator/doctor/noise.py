"""What makes a host noisy: it shows in the tails, but prevents no run. Advice, never a failure."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from orchestrator.doctor.checks import Check, State
from orchestrator.host.observe.activity import cpu_time_ms
from orchestrator.host.observe.facts import (
    Tree,
    cpu_quota_percent,
    frequency_limits_mhz,
    governors,
    hypervisor,
    idle,
    turbo,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_GOOD_CLOCKSOURCES = ("tsc", "arch_sys_counter", "kvm-clock")
#: More of all CPU time than this taken by the hypervisor shows in a P99.
_STEAL_PERCENT = 0.1
#: Waking up from a deeper idle state is a hedge's lateness several times over.
_DEEP_US = 50


def look_at_noise(tree: Tree | None = None) -> Iterator[Check]:
    """Load, CPUs, clock, frequencies, idle states, hypervisor and quota; what the host does not tell is left out."""
    tree = tree or Tree()
    for look in (_load, _cpus, _clocksource, _frequency, _idle, _hypervisor, _quota):
        yield from look(tree)


def _advice(name: str, good: bool, found: str, remedy: str) -> Check:
    return Check(name, State.OK if good else State.WARNING, found, "" if good else remedy)


def _load(_tree: Tree) -> Iterator[Check]:
    cpus, load = os.cpu_count() or 1, os.getloadavg()[0]
    remedy = "stop what else is running: it will show in the tails"
    yield _advice("load", load <= cpus / 2, f"{load:.2f} on {cpus} CPUs", remedy)


def _cpus(_tree: Tree) -> Iterator[Check]:
    cpus = os.cpu_count() or 1
    if cpus < 2:
        yield Check("CPUs", State.WARNING, str(cpus), "with fewer than 2, client and server disturb each other")


def _clocksource(tree: Tree) -> Iterator[Check]:
    clocksource = tree.text("sys/devices/system/clocksource/clocksource0/current_clocksource")
    if clocksource is not None:
        remedy = "reading the clock is slow here and widens every latency"
        yield _advice("clocksource", clocksource in _GOOD_CLOCKSOURCES, clocksource, remedy)


def _frequency(tree: Tree) -> Iterator[Check]:
    """CPUs that slow down when idle are slow when the next request comes."""
    found = governors(tree)
    if found is None:
        return
    limits, boosted = frequency_limits_mhz(tree), turbo(tree)
    words = [", ".join(found)]
    words += [] if limits is None else [f"{limits[0]:.0f} to {limits[1]:.0f} MHz"]
    words += [] if boosted is None else [f"turbo {'on' if boosted else 'off'}"]
    yield _advice("governor", found == ("performance",), "; ".join(words), "cpupower frequency-set -g performance")


def _idle(tree: Tree) -> Iterator[Check]:
    latency_us = idle(tree).exit_latency_us
    if latency_us is not None:
        remedy = f"cpupower idle-set -D {_DEEP_US} (until the next boot)"
        yield _advice("idle states", latency_us <= _DEEP_US, f"{latency_us} µs to wake up from the deepest", remedy)


def _hypervisor(tree: Tree) -> Iterator[Check]:
    """Steal is what the hypervisor gave to others while we had something to do."""
    if not hypervisor(tree):
        return
    spent_ms = cpu_time_ms(tree)
    if spent_ms is None or "steal" not in spent_ms:
        yield Check("hypervisor", State.WARNING, "one, steal unknown", "a machine of one's own for P99.9 and maxima")
        return
    all_ms = sum(spent_ms.values()) - spent_ms.get("guest", 0) - spent_ms.get("guest_nice", 0)
    percent = 100 * spent_ms["steal"] / max(1, all_ms)
    remedy = "other virtual machines take CPU time from this one: a quieter or a dedicated host"
    yield _advice("hypervisor", percent <= _STEAL_PERCENT, f"one; steal {percent:.2f} % since boot", remedy)


def _quota(tree: Tree) -> Iterator[Check]:
    percent = cpu_quota_percent(tree)
    if percent is not None:
        found = f"{percent:.0f} % of one CPU"
        yield Check("CPU quota", State.WARNING, found, "run outside of the control group that limits CPU time")
