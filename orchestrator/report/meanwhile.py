"""What else went on while a run measured: the manifest's two looks at host and interface, in a few lines.

Of some hundred counters a reader wants to know whether anything disturbed: CPU time that the hypervisor took, waiting
for a CPU, heat, lost packets, a setting that changed under the run. All of them are in manifest.json.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_US_PER_S = 1e6
_LOSSES = {
    "received_dropped": "received and dropped",
    "transmitted_dropped": "dropped in sending",
    "received_errors": "received with errors",
    "transmitted_errors": "sent with errors",
}
_UDP_LOSSES = {"RcvbufErrors": "socket buffer full", "InCsumErrors": "wrong checksum", "InErrors": "other errors"}


def meanwhile(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """Names and words, for the page; empty where the run did not come to its end."""
    environment = manifest.get("environment") or {}
    if not environment.get("differences"):
        return []
    return [(name, words) for name, words in _lines(environment) if words]


def _lines(environment: dict[str, Any]) -> Iterator[tuple[str, str]]:
    found, before, after = (environment[key] for key in ("differences", "before", "after"))
    yield "measured for", f"{found['duration_s']:.0f} s"
    yield "load average", _change(_load(before), _load(after))
    spent = found["cpu_time_ms"] or {}
    total = sum(
        spent.get(kind, 0) for kind in ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    )
    if total:
        yield "CPUs idle", f"{spent['idle'] / total:.0%} of the time"
        yield "CPU time taken by the hypervisor", f"{spent['steal'] / total:.1%}"
    waited = (found["pressure_us"].get("cpu") or {}).get("some")
    if waited is not None:
        yield "something waited for a CPU", f"{waited / _US_PER_S / found['duration_s']:.1%} of the time (PSI)"
    for key, name in (("thermal_throttles", "slowed down by heat"), ("throttled_periods", "stopped by a CPU quota")):
        yield name, _times(found.get(key))
    interface = found["interface"]
    yield "packets lost at the client's interface", _losses(interface["statistics"], _LOSSES)
    yield "datagrams lost in the client's namespace", _losses(interface["udp"], _UDP_LOSSES)
    changed = found["settings_changed"]
    yield "settings that changed", "; ".join(f"{key}: {_change(*map(str, ends))}" for key, ends in changed.items())
    if not changed:
        yield "settings that changed", "none, of sysctls, CPU governors and offloads"


def _load(taken: dict[str, Any]) -> str:
    return "not told" if taken["load_average"] is None else f"{taken['load_average'][0]:.2f}"


def _change(before: str, after: str) -> str:
    return f"{before} before, {after} after"


def _times(count: Any) -> str:
    """A count, or the counts of several places, added up; nothing where it is not told."""
    if isinstance(count, dict):
        count = sum(count.values())
    return "" if count is None else f"{count} times"


def _losses(counters: dict[str, int] | None, names: dict[str, str]) -> str:
    if counters is None:
        return ""
    told = [f"{counters[key]} {words}" for key, words in names.items() if counters.get(key)]
    return ", ".join(told) or "none"
