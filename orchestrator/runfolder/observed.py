"""What was observed of the host around a run: parts of the manifest, made in `host.observe`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from hedgerow_node.percentiles import nearest_rank
from hedgerow_node.protocol.hedger import InterfaceState  # noqa: TC001 (the codec evaluates annotations)
from hedgerow_node.units import NS_PER_MS, NS_PER_S, NS_PER_US

if TYPE_CHECKING:
    from array import array

LATE_NS = NS_PER_MS

#: What /proc/pressure tells of one resource: for "some" and "full" the shares of time, percent, and the total, µs.
Pressure = dict[str, dict[str, float]]
Counters = dict[str, int]


@dataclass(frozen=True)
class Lateness:
    """How late wake-ups were, µs; the quantiles are order statistics. The first probes had no mean."""

    p50: float
    p99: float
    max: float
    mean: float | None = None  #: null in the first probes


@dataclass(frozen=True)
class NoiseProbe:
    """What a probe of the host found, which wakes every millisecond on each CPU."""

    duration_s: float
    length: str  #: why it took so long
    cpus: int
    wakeups: int  #: how many
    lateness_us: Lateness  #: how late they were
    late_1ms: float  #: the share that was later than 1 ms
    steal_ms: int | None  #: what the hypervisor took meanwhile from all CPUs; null where the host does not tell

    @classmethod
    def of(cls, latenesses_ns: array[int], duration_ns: int, length: str, cpus: int, steal_ms: int | None) -> Self:
        """From the lateness of each wake-up."""
        ordered = sorted(latenesses_ns)
        count = len(ordered)

        def quantile_us(percent: int) -> float:
            return nearest_rank(ordered, percent) / NS_PER_US

        mean_us = round(sum(ordered) / count / NS_PER_US, 3)
        return cls(
            duration_s=duration_ns / NS_PER_S,
            length=length,
            cpus=cpus,
            wakeups=count,
            lateness_us=Lateness(quantile_us(50), quantile_us(99), ordered[-1] / NS_PER_US, mean_us),
            late_1ms=sum(lateness_ns > LATE_NS for lateness_ns in ordered) / count,
            steal_ms=steal_ms,
        )

    def text(self) -> str:
        """The probe in one line."""
        late = self.lateness_us
        stolen = f", {self.steal_ms} ms stolen by the hypervisor" if self.steal_ms else ""
        return f"host noise: wake-ups late by {late.p50:.0f} µs (P50), {late.p99:.0f} µs (P99){stolen}"


@dataclass(frozen=True, kw_only=True)
class Activity:
    """A host at one moment, and the client's interface; None stands for what this host does not tell.

    Counters count since boot, sums over all CPUs. `sysctls` are None for settings that this kernel does not have.
    """

    monotonic_ns: int
    load_average: tuple[float, ...] | None = None
    running: int | None = None
    pressure: dict[str, Pressure | None] = field(default_factory=dict)
    cpu_time_ms: Counters | None = None
    context_switches: int | None = None
    interrupts: int | None = None
    softirqs: int | None = None
    forks: int | None = None
    memory_available_mib: int | None = None
    swap_free_mib: int | None = None
    major_faults: int | None = None
    swapped_in_pages: int | None = None
    swapped_out_pages: int | None = None
    frequencies_mhz: tuple[float, ...] | None = None
    thermal_throttles: Counters | None = None
    throttled_periods: int | None = None
    governors: tuple[str, ...] | None = None
    sysctls: dict[str, object] = field(default_factory=dict)
    interface: InterfaceState


@dataclass(frozen=True)
class InterfaceDifferences:
    """By how much the interface's counters differ; of a qdisc that is new, its counters."""

    statistics: Counters = field(default_factory=dict)
    qdiscs: dict[str, Counters] | None = None
    udp: Counters = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ActivityDifferences:
    """What differs between two observations: counters by how much, `settings_changed` by both values.

    Settings are sysctls, governors and the interface's offloads; their names are dotted.
    """

    duration_s: float
    cpu_time_ms: Counters | None = None
    context_switches: int | None = None
    interrupts: int | None = None
    softirqs: int | None = None
    forks: int | None = None
    major_faults: int | None = None
    swapped_in_pages: int | None = None
    swapped_out_pages: int | None = None
    thermal_throttles: Counters | None = None
    throttled_periods: int | None = None
    pressure_us: dict[str, dict[str, float] | None] = field(default_factory=dict)
    settings_changed: dict[str, tuple[object, object]] = field(default_factory=dict)
    interface: InterfaceDifferences = field(default_factory=InterfaceDifferences)


@dataclass(frozen=True)
class HostPressed:
    """What a host's other work takes: counters since boot, or what was counted in between; None: it does not tell.

    `steal_ms` is what the hypervisor took from all CPUs together, `cpu_pressure_us` how long some task was waiting
    for a CPU (PSI).
    """

    steal_ms: int | None = None
    cpu_pressure_us: int | None = None

    def since(self, before: HostPressed) -> HostPressed:
        """What was counted from `before` until now."""
        return HostPressed(minus(self.steal_ms, before.steal_ms), minus(self.cpu_pressure_us, before.cpu_pressure_us))


def minus(after: int | None, before: int | None) -> int | None:
    """Their difference; None where one is not known."""
    return None if after is None or before is None else after - before


@dataclass(frozen=True)
class GitState:
    """The commit of the checkout that this code runs from; nothing where it runs from a wheel, or git cannot say."""

    commit: str | None = None  #: null outside a checkout
    dirty: bool | None = None  #: whether anything was changed since


def changes(before: object, after: object, name: str = "") -> dict[str, tuple[object, object]]:
    """Both values of every entry that differs, by its dotted name; mappings are compared entry by entry."""
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        return {} if before == after else {name: (before, after)}
    found: dict[str, tuple[object, object]] = {}
    for key in sorted({*before, *after}):
        found |= changes(before.get(key), after.get(key), f"{name}.{key}" if name else key)
    return found
