"""Keys and values that the scenario format defines but this version does not build yet.

They are kept apart from mistakes: `engine: wheel` is a good scenario that needs another version, not another
spelling. Entries leave this module as their features arrive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hedgerow_node.strategies import BARE
from orchestrator.errors import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.scenario.document import Plain

MARK = "not available in this version"

#: Keys that no value makes available.
_KEYS: dict[tuple[str, ...], str] = {
    ("hedging", "delay", "percentile"): "write a fixed delay, e.g. delay: 10ms",
    ("hedging", "delay", "window"): "write a fixed delay, e.g. delay: 10ms",
}

#: Values that are not available, by key.
_VALUES: dict[tuple[str, ...], tuple[tuple[str, ...], str]] = {
    ("topology", "placement"): (("gateway",), "use sidecar"),
    ("hedging", "target"): (("least-outstanding",), "use same or other"),
    ("hedging", "engine"): (("wheel",), "use queue, clone or auto"),
    ("hedging", "request_id"): (("dns", "memcached"), "write the id's offset and length"),
}

#: Whole numbers that may not exceed 1 yet.
_SINGLE: tuple[tuple[str, ...], ...] = (("hedging", "max_hedges"),)

_STRATEGIES = ("kernel-wheel",)
_VERSION = 1


def unavailable(data: dict[str, Plain]) -> Iterator[Finding]:
    """Every place of the raw scenario `data` that asks for a feature of a later version.

    What stands below such a place goes unchecked.
    """
    for path, remedy in _KEYS.items():
        if path[-1] in (_at(data, path[:-1]) or {}):
            yield Finding(path, f"is {MARK}", remedy)
    for path, (values, remedy) in _VALUES.items():
        value = _value(data, path)
        if isinstance(value, str) and value in values:
            yield Finding(path, f"{value} is {MARK}", remedy)
    for path in _SINGLE:
        value = _value(data, path)
        if isinstance(value, int) and value > 1:
            yield Finding(path, f"more than 1 is {MARK}", "use 1")
    yield from _strategies(data)


def later_format(data: dict[str, Plain]) -> Finding | None:
    """What there is to say of a scenario in a later version of the format, whose keys this version cannot judge."""
    version = data.get("version")
    if not isinstance(version, int) or version <= _VERSION:
        return None
    return Finding(("version",), f"{version} is {MARK}, which reads {_VERSION}", "use a newer Hedgerow")


def _strategies(data: dict[str, Plain]) -> Iterator[Finding]:
    listed = data.get("strategies")
    for index, strategy in enumerate(listed if isinstance(listed, list) else []):
        if strategy == BARE.name:
            yield Finding(
                ("strategies", index),
                f"{BARE.name} attaches nothing, so nothing observes it; it belongs to bench",
                "remove it",
            )
        elif strategy in _STRATEGIES:
            yield Finding(("strategies", index), f"strategy {strategy} is {MARK}", "remove it")


def _at(data: dict[str, Plain], path: tuple[str, ...]) -> dict[str, Plain] | None:
    """The mapping at `path`, None where there is none."""
    value: Plain = data
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value if isinstance(value, dict) else None


def _value(data: dict[str, Plain], path: tuple[str, ...]) -> Plain:
    parent = _at(data, path[:-1])
    return None if parent is None else parent.get(path[-1])
