"""What differs between two runs before anything was measured: the environment, and the scenario.

A figure that differs is only worth a thought once these do not: so they come first. What is never twice the same
(times, load averages, counters since boot) is no difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.host.observe.activity import changes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.report.comparison.sources import Source

#: Of the manifest, in the order in which they are told; the last two are those of the docker backend.
_SECTIONS = ("backend", "engine", "delay_line", "arms", "host", "git", "versions", "container_engine", "images")
_VOLATILE = {"host": ("load_average",)}
#: Settings that stand among what was taken right before the blocks.
_SETTINGS = ("governors", "sysctls")
_PROBE = ("duration_s", "cpus")
#: What the noise probe measures is another number each time: only this factor counts as a difference.
_NOISE_FACTOR = 2.0


@dataclass(frozen=True)
class Difference:
    """Both values of one entry, by its dotted name; None where a run does not tell it."""

    key: str
    values: tuple[Any, Any]

    def as_json(self) -> dict[str, Any]:
        return {"key": self.key, "values": list(self.values)}


def environment_differences(runs: tuple[Source, Source]) -> list[Difference]:
    """Host, versions, commit, backend, engine, delay line and noise, as far as the runs differ in them."""
    first, second = (run.manifest for run in runs)
    one, two = _settled(first), _settled(second)
    settled = [found for section in one for found in _found({section: one[section]}, {section: two[section]})]
    return [*settled, *_noise(first.get("noise"), second.get("noise"))]


def scenario_differences(runs: tuple[Source, Source]) -> list[Difference]:
    """The keys of the resolved scenarios that differ; entries of lists by their id, else by their place."""
    first, second = (run.scenario for run in runs)
    return _found(_keyed(first), _keyed(second))


def _settled(manifest: dict[str, Any]) -> dict[str, Any]:
    """What of a manifest is the same again in another run on the same host with the same software."""
    found: dict[str, Any] = {section: manifest.get(section) for section in _SECTIONS}
    for section, names in _VOLATILE.items():
        if isinstance(found[section], dict):
            found[section] = {name: value for name, value in found[section].items() if name not in names}
    before = (manifest.get("environment") or {}).get("before") or {}
    found["settings"] = {name: before.get(name) for name in _SETTINGS}
    found["settings"]["offloads"] = (before.get("interface") or {}).get("offloads")
    settled: dict[str, Any] = _keyed(found)
    return settled


def _noise(first: dict[str, Any] | None, second: dict[str, Any] | None) -> Iterator[Difference]:
    one, two = first or {}, second or {}
    for name in _PROBE:
        if one.get(name) != two.get(name):
            yield Difference(f"noise.{name}", (one.get(name), two.get(name)))
    measured = {
        **{f"lateness_us.{name}": [_lateness(noise, name) for noise in (one, two)] for name in ("p50", "p99")},
        "steal_ms": [one.get("steal_ms"), two.get("steal_ms")],
    }
    for name, (value, other) in measured.items():
        if _far_apart(value, other):
            yield Difference(f"noise.{name}", (value, other))


def _lateness(noise: dict[str, Any], name: str) -> Any:
    return (noise.get("lateness_us") or {}).get(name)


def _far_apart(value: float | None, other: float | None) -> bool:
    if value is None or other is None:
        return value is not other
    return max(value, other) > _NOISE_FACTOR * min(value, other)


def _found(first: Any, second: Any) -> list[Difference]:
    return [Difference(key, (one, two)) for key, (one, two) in changes(first, second).items()]


def _keyed(value: Any) -> Any:
    """`value` with lists of mappings as mappings, so that an entry is compared with its like."""
    if isinstance(value, dict):
        return {str(key): _keyed(item) for key, item in value.items()}
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return {str(_name(item, place)): _keyed(item) for place, item in enumerate(value)}
    return value


def _name(item: dict[str, Any], place: int) -> Any:
    return item.get("id", item.get("name", place))
