"""Scenario files as plain data that remembers on which line each value stands, so that errors can name it.

Read here, changed by `--set` (`override`) and by partial scenarios laid over whole ones (`overlaid`), shown as YAML
on one line (`one_line`). PyYAML's own loader forgets the lines, and lets a later key silently replace an earlier one
of the same name.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

import yaml

from orchestrator.errors import Finding, KeyPath, ScenarioError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

#: What YAML holds, its keys all read as text.
Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"

MAX_BYTES = 1_000_000
MAX_VALUES = 20_000
_ARRIVALS: KeyPath = ("workload", "arrivals")
_SERVICE_TIME: KeyPath = ("service", "service_time")


@dataclass
class Document:
    """A file's data, and where each part of it came from ("FILE:LINE", or the `--set` option).

    `written` has the path of a part in the file where that is another one, as for an arm's overrides.
    """

    file: str
    data: dict[str, Plain]
    places: dict[KeyPath, str] = field(default_factory=dict)
    written: dict[KeyPath, KeyPath] = field(default_factory=dict)

    def where(self, path: KeyPath) -> str:
        """The place of `path`, or of the nearest part around it where it is not written."""
        return self.places.get(self._nearest(path), self.file)

    def key(self, path: KeyPath) -> KeyPath:
        """The path by which the file writes what stands at `path`."""
        nearest = self._nearest(path)
        return (*self.written.get(nearest, nearest), *path[len(nearest) :])

    def forget(self, path: KeyPath) -> None:
        """What stood at `path`, and below it, is replaced."""
        for known in [known for known in self.places if known[: len(path)] == path]:
            del self.places[known]
            self.written.pop(known, None)

    def _nearest(self, path: KeyPath) -> KeyPath:
        lengths = range(len(path), -1, -1)
        return next((path[:length] for length in lengths if path[:length] in self.places), ())


class NoPlaceError(Exception):
    """A document has no place for a value; the finding's path is the part of the way to it that exists."""

    def __init__(self, path: KeyPath, message: str, remedy: str) -> None:
        super().__init__(message)
        self.finding = Finding(path, message, remedy)


def read_document(file: Path) -> Document:
    """The document in `file`; ScenarioError where it cannot be read or is not one mapping without repeated keys."""
    name = str(file)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise _refused(name, f"cannot be read: {error.strerror}", "check the path") from error
    if len(content) > MAX_BYTES:
        raise _refused(name, f"is larger than {MAX_BYTES} bytes", "is this a scenario file?")
    try:
        text = content.decode()
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        reader = _Reader(name)
        data = None if root is None else reader.value(root, ())
    except UnicodeDecodeError as error:
        raise _refused(name, f"is not UTF-8 text (byte {error.start})", "save it as UTF-8") from error
    except (yaml.MarkedYAMLError, RecursionError) as error:
        raise _invalid_yaml(name, error) from error
    except yaml.YAMLError as error:
        raise _refused(name, f"is not valid YAML: {str(error).splitlines()[0]}", "remove that character") from error
    if not isinstance(data, dict):
        raise _refused(f"{name}:1", "is not a mapping of keys", "begin with version: 1")
    if reader.repeated:
        raise ScenarioError(reader.repeated)
    return Document(name, data, reader.places)


def override(document: Document, assignments: Sequence[str]) -> list[KeyPath]:
    """Apply `--set` options ("workload.requests=500") to `document`, whose values may replace or add keys.

    The paths that were written, in order; ScenarioError with every option that cannot be applied.
    """
    findings: list[Finding] = []
    paths: list[KeyPath] = []
    for assignment in assignments:
        written = _assign(document, assignment)
        if isinstance(written, Finding):
            findings.append(written)
        else:
            paths.append(written)
    if findings:
        raise ScenarioError(findings)
    return paths


def _assign(document: Document, assignment: str) -> KeyPath | Finding:
    where = f"--set {assignment}"
    name, separator, text = assignment.partition("=")
    keys = name.strip().split(".")
    if not separator or not all(keys):
        return Finding((), "is not KEY=VALUE", "write e.g. --set workload.requests=500", where)
    try:
        value = _with_text_keys(yaml.safe_load(text))
    except (yaml.YAMLError, RecursionError):
        return Finding((name,), f"{text!r} is not a YAML value", "quote it", where)
    try:
        return put(document, keys, value, where)
    except NoPlaceError as error:
        return replace(error.finding, where=where)


def _with_text_keys(value: Plain) -> Plain:
    """`value` with keys as a file has them, where everything before a colon is text."""
    if isinstance(value, dict):
        return {str(key): _with_text_keys(item) for key, item in value.items()}
    return [_with_text_keys(item) for item in value] if isinstance(value, list) else value


def put(document: Document, keys: Sequence[str], value: Plain, place: str, written: KeyPath | None = None) -> KeyPath:
    """Write `value` at the path that `keys` name, stepping into lists by number; the path.

    `place` is where the value comes from, `written` its own path there. Raises NoPlaceError.
    """
    parent: Plain = document.data
    path: KeyPath = ()
    for position, key in enumerate(keys):
        last = position == len(keys) - 1
        if isinstance(parent, list):
            if not key.isdecimal() or int(key) >= len(parent):
                raise NoPlaceError(path, f"has no item {key}", _items(path, len(parent)))
            path = (*path, int(key))
            if last:
                parent[int(key)] = value
            else:
                parent = parent[int(key)]
        elif isinstance(parent, dict):
            path = (*path, key)
            if last:
                parent[key] = value
            elif key not in parent and keys[position + 1].isdecimal():
                raise NoPlaceError(path, f"has no item {keys[position + 1]}", "it is empty")
            else:
                # a short form such as service_time: 2ms has no keys, which the next turn finds
                parent = parent.setdefault(key, {})
        else:
            raise NoPlaceError(path, "is a single value, it has no keys", "write the whole mapping instead")
    document.forget(path)
    document.places[path] = place
    if written is not None:
        document.written[path] = written
    return path


def _items(path: KeyPath, count: int) -> str:
    """Which items the list at `path` has."""
    if count > 1:
        return f"write a number from 0 to {count - 1}"
    return f"the only item is {'.'.join(map(str, path))}.0" if count else "it is empty"


def leaves(data: dict[str, Plain], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Plain]]:
    """The single values and lists of `data`, each with its path."""
    for key, value in data.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def without(data: dict[str, Plain], paths: set[tuple[str, ...]], path: tuple[str, ...] = ()) -> dict[str, Plain]:
    """`data` without the leaves at `paths`, and without the mappings that this empties."""
    result: dict[str, Plain] = {}
    for key, value in data.items():
        here = (*path, key)
        if isinstance(value, dict):
            below = without(value, paths, here)
            if below:
                result[key] = below
        elif here not in paths:
            result[key] = value
    return result


def overlaid(base: Document, overrides: dict[str, Plain], source: Document, prefix: KeyPath) -> Document:
    """`base` with `overrides` laid over it, which stand at `prefix` in `source`; both stay as they are."""
    result = Document(base.file, copy.deepcopy(base.data), dict(base.places), dict(base.written))
    _overlay(result, result.data, overrides, (), source, prefix)
    return result


def _overlay(
    result: Document,
    into: dict[str, Plain],
    overrides: dict[str, Plain],
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


def _expanded(path: KeyPath, value: Plain) -> Plain:
    """What a short form stands for, so that an override may name one of its keys."""
    return {"median": value} if path[-2:] == _SERVICE_TIME and isinstance(value, str) else value


def _is_of_another_kind(path: KeyPath, present: dict[str, Plain], value: dict[str, Plain]) -> bool:
    """Whether `value` names other arrivals than those it is laid over, whose keys then mean nothing any more."""
    return path[-2:] == _ARRIVALS and "mode" in value and value["mode"] != present.get("mode", "closed")


def one_line(value: object) -> str:
    """`value` as one writes it in YAML, on one line however long it is; texts of several lines are quoted."""
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=1e9, sort_keys=False)
    text = text.removesuffix("\n...\n").strip()
    return json.dumps(value, ensure_ascii=False) if "\n" in text else text


class _Reader:
    """Turns YAML nodes into data, noting each value's line."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._constructor = yaml.SafeLoader("")
        self.places: dict[KeyPath, str] = {}
        self.repeated: list[Finding] = []

    def value(self, node: yaml.Node, path: KeyPath) -> Plain:
        self.places.setdefault(path, self._place(node))
        if len(self.places) > MAX_VALUES:
            raise _refused(self._file, f"holds more than {MAX_VALUES} values", "write fewer aliases")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        scalar: Plain = self._constructor.construct_object(node)
        return scalar

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Plain]:
        mapping: dict[str, Plain] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
            place = self._place(key_node)
            if key in mapping:
                first = self.places[(*path, key)].rpartition(":")[2]
                self.repeated.append(
                    Finding((*path, key), f"is given twice, first on line {first}", "keep one of them", place)
                )
                continue
            self.places[(*path, key)] = place
            mapping[key] = self.value(value_node, (*path, key))
        return mapping

    def _place(self, node: yaml.Node) -> str:
        return f"{self._file}:{node.start_mark.line + 1}"


def _invalid_yaml(name: str, error: yaml.MarkedYAMLError | RecursionError) -> ScenarioError:
    if isinstance(error, RecursionError):
        return _refused(name, "is nested too deeply", "is this a scenario file?")
    mark = error.problem_mark or error.context_mark
    where = f"{name}:{mark.line + 1}" if mark else name
    if error.problem == "but found another document":
        return _refused(where, "begins a second document", "write one scenario a file")
    return _refused(where, f"is not valid YAML: {error.problem or error.context}", "check quotes and indentation")


def _refused(where: str, message: str, remedy: str) -> ScenarioError:
    return ScenarioError([Finding((), message, remedy, where)])
