"""What differs between two runs before anything was measured: the environment, and the scenario.

They come first, because figures are only comparable where these are equal. What always changes (times, load averages,
counters since boot) is not a difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hedgerow_node.strategies import strategy_named
from orchestrator.runfolder.codec import encode_object
from orchestrator.runfolder.observed import changes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.runfolder.codec import JsonObject
    from orchestrator.runfolder.manifest import Manifest
    from orchestrator.runfolder.observed import NoiseProbe

#: Of the manifest, in the order of telling; the last two are those of the docker backend.
_SECTIONS = ("backend", "engine", "delay_line", "arms", "host", "git", "versions", "container_engine", "images")
#: Facts of the host that are another number at each look.
_VOLATILE = ("load_average",)
#: What the noise probe measures is another number each time: only this factor counts as a difference.
_NOISE_FACTOR = 2.0


@dataclass(frozen=True)
class Difference:
    """Both values of one entry, by its dotted name; None where a run does not record it."""

    key: str
    values: tuple[object, object]

    def as_json(self) -> JsonObject:
        return {"key": self.key, "values": self.values}


def environment_differences(first: Manifest, second: Manifest) -> list[Difference]:
    """Backend, engine, delay line, host, commit, versions, settings and noise, as far as the runs differ in them."""
    one, two = _settled(first), _settled(second)
    settled = [found for section in one for found in _found({section: one[section]}, {section: two[section]})]
    return [*settled, *_engines(first, second), *_noise(first.noise, second.noise)]


def scenario_differences(first: JsonObject, second: JsonObject) -> list[Difference]:
    """The keys of the resolved scenarios that differ; entries of lists by their id, else by their place."""
    return _found(_keyed(first), _keyed(second))


def _settled(manifest: Manifest) -> JsonObject:
    """What is the same again in another run on the same host with the same software."""
    content = encode_object(manifest)
    content["host"] = {name: value for name, value in manifest.host.items() if name not in _VOLATILE}
    before = manifest.environment.before
    settings = {
        "governors": None if before is None else before.governors,
        "sysctls": None if before is None else before.sysctls,
        "offloads": None if before is None else before.interface.offloads,
    }
    return {**{section: _keyed(content.get(section)) for section in _SECTIONS}, "settings": settings}


def _engines(first: Manifest, second: Manifest) -> Iterator[Difference]:
    """By strategy, where a run has more than one engine or delay line, as far as both recorded it."""
    if not any("+" in f"{manifest.engine}{manifest.delay_line}" for manifest in (first, second)):
        return
    for arm, strategy in dict.fromkeys((block.arm, block.strategy) for block in first.blocks):
        used = first.engine_of(arm, strategy), second.engine_of(arm, strategy)
        if strategy_named(strategy).hedges_in == "kernel" and (None, None) not in used and used[0] != used[1]:
            where = strategy if arm is None else f"{strategy}@{arm}"
            yield Difference(f"engines.{where}", (list(used[0]), list(used[1])))


def _noise(first: NoiseProbe | None, second: NoiseProbe | None) -> Iterator[Difference]:
    (one, how_one), (two, how_two) = _measured(first), _measured(second)
    for name in how_one:
        if how_one[name] != how_two[name]:
            yield Difference(f"noise.{name}", (how_one[name], how_two[name]))
    for name in one:
        if _far_apart(one[name], two[name]):
            yield Difference(f"noise.{name}", (one[name], two[name]))


def _measured(noise: NoiseProbe | None) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """What a probe found, and how it looked; all None where there was none."""
    late = None if noise is None else noise.lateness_us
    found = {
        "lateness_us.p50": None if late is None else late.p50,
        "lateness_us.p99": None if late is None else late.p99,
        "steal_ms": None if noise is None else noise.steal_ms,
    }
    how = {
        "duration_s": None if noise is None else noise.duration_s,
        "cpus": None if noise is None else noise.cpus,
    }
    return found, how


def _far_apart(value: float | None, other: float | None) -> bool:
    if value is None or other is None:
        return value is not other
    return max(value, other) > _NOISE_FACTOR * min(value, other)


def _found(first: object, second: object) -> list[Difference]:
    return [Difference(key, values) for key, values in changes(first, second).items()]


def _keyed(value: object) -> object:
    """`value` with lists of mappings as mappings, so that an entry is compared with its like."""
    if isinstance(value, dict):
        return {str(key): _keyed(item) for key, item in value.items()}
    if isinstance(value, list):
        mappings = [item for item in value if isinstance(item, dict)]
        if mappings and len(mappings) == len(value):
            return {str(_name(item, place)): _keyed(item) for place, item in enumerate(mappings)}
    return value


def _name(item: Mapping[str, object], place: int) -> object:
    return item.get("id", item.get("name", place))
