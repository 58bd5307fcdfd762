"""Overrides: a partial scenario laid over a whole one, every value keeping the place that it was written at.

Mappings are merged key by key; lists and single values replace what was there.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from orchestrator.scenario.document import Document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.errors import KeyPath

_ARRIVALS: KeyPath = ("workload", "arrivals")
_SERVICE_TIME: KeyPath = ("service", "service_time")


def leaves(data: dict[Any, Any], path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """The single values and lists of `data`, each with its path."""
    for key, value in data.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def nested(flat: dict[KeyPath, Any]) -> dict[Any, Any]:
    """The mapping whose leaves are `flat`."""
    data: dict[Any, Any] = {}
    for path, value in flat.items():
        parent = data
        for part in path[:-1]:
            parent = parent.setdefault(part, {})
        parent[path[-1]] = value
    return data


def overlaid(base: Document, overrides: dict[Any, Any], source: Document, prefix: KeyPath) -> Document:
    """`base` with `overrides` laid over it, which stand at `prefix` in `source`; both stay as they are."""
    result = Document(base.file, copy.deepcopy(base.data), dict(base.places), dict(base.written))
    _overlay(result, result.data, overrides, (), source, prefix)
    return result


def _overlay(
    result: Document,
    into: dict[Any, Any],
    overrides: dict[Any, Any],
    path: KeyPath,
    source: Document,
    prefix: KeyPath,
) -> None:
    for key, value in overrides.items():
        here = (*path, key)
        present = _expanded(here, into.get(key)) if isinstance(value, dict) else None
        if isinstance(value, dict) and isinstance(present, dict) and not _is_of_another_kind(here, present, value):
            into[key] = present
            _overlay(result, present, value, here, source, prefix)
            continue
        into[key] = copy.deepcopy(value)
        result.forget(here)
        written = (*prefix, *here)
        # what stands below a value that --set brought has no place of its own
        result.places[here], result.written[here] = source.where(written), written
        for known in [known for known in source.places if known[: len(written)] == written]:
            below = known[len(prefix) :]
            result.places[below] = source.places[known]
            result.written[below] = source.written.get(known, known)


def _expanded(path: KeyPath, value: Any) -> Any:
    """What a short form stands for, so that an override may name one of its keys."""
    return {"median": value} if path[-2:] == _SERVICE_TIME and isinstance(value, str) else value


def _is_of_another_kind(path: KeyPath, present: dict[Any, Any], value: dict[Any, Any]) -> bool:
    """Whether `value` names other arrivals than those it is laid over, whose keys then mean nothing any more."""
    return path[-2:] == _ARRIVALS and "mode" in value and value["mode"] != present.get("mode", "closed")
