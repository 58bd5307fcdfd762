"""YAML files as plain data that remembers on which line each value stands, so that errors can name it.

PyYAML's own loader forgets the lines, and lets a later key silently replace an earlier one of the same name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from orchestrator.errors import Problem, ScenarioError

KeyPath = tuple[str | int, ...]

MAX_BYTES = 1_000_000
MAX_VALUES = 20_000


@dataclass
class Document:
    """A file's data, and where each part of it came from ("FILE:LINE", or the `--set` option)."""

    file: str
    data: dict[Any, Any]
    places: dict[KeyPath, str] = field(default_factory=dict)

    def where(self, path: KeyPath) -> str:
        """The place of `path`, or of the nearest part around it where it is not written."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return self.places.get((), self.file)


def dotted(path: KeyPath) -> str:
    """`path` as people write it: ("claims", 0, "expect") → "claims[0].expect"."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_document(file: Path) -> Document:
    """The document in `file`; ScenarioError where it cannot be read or is no single mapping without repeated keys."""
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


def override(document: Document, assignments: Sequence[str]) -> None:
    """Apply `--set` options ("workload.requests=500") to `document`, whose values may replace or add keys."""
    problems = [problem for assignment in assignments for problem in _assign(document, assignment)]
    if problems:
        raise ScenarioError(problems)


def _assign(document: Document, assignment: str) -> Iterator[Problem]:
    where = f"--set {assignment}"
    name, separator, text = assignment.partition("=")
    keys = name.strip().split(".")
    if not separator or not all(keys):
        yield Problem(where, "", "is not KEY=VALUE", "write e.g. --set workload.requests=500")
        return
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        yield Problem(where, name, f"{text!r} is not a YAML value", "quote it")
        return
    parent: Any = document.data
    path: KeyPath = ()
    for position, key in enumerate(keys):
        part: str | int = key
        if isinstance(parent, list):
            if not key.isdecimal() or int(key) >= len(parent):
                yield Problem(
                    where, dotted(path), f"has no item {key}", f"write a number from 0 to {len(parent) - 1}"
                )
                return
            part = int(key)
        elif not isinstance(parent, dict):
            yield Problem(where, dotted(path), "is a single value, it has no keys", "write the whole mapping instead")
            return
        path = (*path, part)
        if position == len(keys) - 1:
            parent[part] = value
        else:
            # a short form such as service_time: 2ms is no place to add keys to, and is caught on the next turn
            parent = parent.setdefault(part, {}) if isinstance(parent, dict) else parent[part]
    for known in [known for known in document.places if known[: len(path)] == path]:
        del document.places[known]
    document.places[path] = where


class _Reader:
    """Turns YAML nodes into data, noting each value's line."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._constructor = yaml.SafeLoader("")
        self.places: dict[KeyPath, str] = {}
        self.repeated: list[Problem] = []

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self.places.setdefault(path, self._place(node))
        if len(self.places) > MAX_VALUES:
            raise _refused(self._file, f"holds more than {MAX_VALUES} values", "write fewer aliases")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._constructor.construct_object(node)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
            place = self._place(key_node)
            if key in mapping:
                first = self.places[(*path, key)].rpartition(":")[2]
                self.repeated.append(
                    Problem(place, dotted((*path, key)), f"stands twice, first on line {first}", "keep one of them")
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
    return ScenarioError([Problem(where, "", message, remedy)])
