"""docs/run-folder-keys.md, from the types that write a run folder: `make docs` writes it, a test compares it.

What a key means is the comment `#:` beside its field, or above it.
"""

from __future__ import annotations

import inspect
import re
import sys
import types
from dataclasses import Field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from hedgerow_node.records import LAYOUTS, Hedge, Sample, ServedCopy
from orchestrator.runfolder.journal import Record, Undo
from orchestrator.runfolder.manifest import Manifest
from orchestrator.runfolder.summary import Summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PAGE = Path(__file__).parents[2] / "docs" / "run-folder-keys.md"

_HEAD = """# Keys of the run folder

For authors of programs who look up one column or key: its type and meaning. What the files are, and what is promised
of them, stands in [the run folder](run-folder.md). Made by `make docs` of the types that write the files.

*May be left out*: the key is missing where there is nothing to say. `[]` stands for each entry of a list, `NAME` for
each key of a mapping. Names without an explanation say it all.
"""
_TABLES: dict[type[Sample | Hedge | ServedCopy], tuple[str, str]] = {
    Sample: ("samples.parquet", "A row a measured request, as the client saw it; no warm-up."),
    Hedge: ("hedges.parquet", "A row a hedge that left the client's interface, as the kernel's tap saw it."),
    ServedCopy: ("server.parquet", "A row a copy of a request that a server received, warm-up included."),
}
_COLUMN_TYPES = {"Q": "uint64", "I": "uint32", "H": "uint16", "B": "uint8", "q": "int64"}
_WORDS = {"outcome", "winner", "action"}  #: columns whose codes are written as words
_SHARED_COLUMNS = (
    ("`strategy`", "string", ""),
    ("`arm`", "string", "Null without arms."),
    ("`block`", "int32", "The round, from 0."),
)
_PLAIN = {str: "text", bool: "`true` or `false`", int: "integer", float: "number", object: "any"}
_KEYS = ("key", "value", "what")

Row = tuple[str, ...]


def reference() -> str:
    """The whole page."""
    parts = [_HEAD]
    for kind, (name, what) in _TABLES.items():
        parts += [f"## {name}\n", f"{what}\n", _table(("column", "type", "what"), _columns(kind))]
    parts += [
        "## summary.json\n",
        "Without arms the keys of the only arm stand beside the others.\n",
        *_file(Summary),
    ]
    parts += ["## manifest.json\n", *_file(Manifest)]
    parts += ["## journal.jsonl\n", "Each record also has `at` (time of day), `monotonic_ns` and `event`.\n"]
    for kind in get_args(Record):
        parts += [f"### Event {kind.TAG[1]}\n", f"{_summary_line(kind)}\n", _table(_KEYS, _rows(kind))]
    undos = ((f"`{kind.TAG[1]}`", _keys_of(kind), _summary_line(kind)) for kind in get_args(Undo))
    parts += ["### `undo` of the event change\n", _table(("`do`", "other keys", "what"), undos)]
    return "\n".join(parts)


def reachable(root: type) -> dict[type, list[str]]:
    """The dataclass `root` and all below it, in the file's order, each with the paths at which it stands there."""
    found: dict[type, list[str]] = {}

    def visit(kind: type, path: str) -> None:
        known = kind in found
        found.setdefault(kind, []).append(path)
        if not known:
            hints = get_type_hints(kind)
            for field in fields(kind):
                for below, steps in _dataclasses(hints[field.name]):
                    visit(below, f"{path}.{_key(field)}{steps}".lstrip("."))

    visit(root, "")
    return found


def meaning(kind: type, name: str) -> str:
    """The comment of a field, in the class that declares it; empty where it has none."""
    (owner,) = (base for base in kind.__mro__ if name in inspect.get_annotations(base))
    above: list[str] = []
    for line in inspect.getsource(owner).splitlines():
        alone, declared = re.match(r" +#: (.*)", line), re.match(rf" +{name}: .*?(?:  #: (.*))?$", line)
        if declared:
            return _sentence(" ".join([*above, *filter(None, declared.groups())]))
        above = [*above, alone[1]] if alone else []
    raise LookupError(f"{owner.__name__} declares no {name}")


def _file(root: type) -> Iterator[str]:
    for kind, paths in reachable(root).items():
        if kind is not root:
            yield f"### {', '.join(f'`{path}`' for path in paths)}\n"
        # The manifest's number is no field of it: it is written before them.
        number = [("`schema`", "integer", meaning(Summary, "schema"))] if kind is Manifest else []
        yield _table(_KEYS, [*number, *_rows(kind)])


def _rows(kind: type) -> Iterator[Row]:
    hints = get_type_hints(kind)
    return (
        (f"`{_key(field)}`", _value(field, hints[field.name]), meaning(kind, field.name)) for field in fields(kind)
    )


def _columns(kind: type[Sample | Hedge | ServedCopy]) -> Iterator[Row]:
    yield from _SHARED_COLUMNS
    for name, code in zip(kind._fields, LAYOUTS[kind].format.lstrip("<"), strict=True):
        yield f"`{name}`", "string" if name in _WORDS else _COLUMN_TYPES[code], meaning(kind, name)


def _keys_of(kind: type) -> str:
    return ", ".join(f"{key} ({value})" for key, value, _ in _rows(kind))


def _summary_line(kind: type) -> str:
    return inspect.getdoc(kind).partition("\n")[0]  # type: ignore[union-attr]


def _key(field: Field[Any]) -> str:
    name: str = field.metadata.get("key", field.name)
    return name


def _value(field: Field[Any], annotation: object) -> str:
    """What may stand in the file. A field that is left out where it is None is never null."""
    if field.metadata.get("left_out"):
        inner = _without_none(annotation) if field.default is None else annotation
        return f"{_described(inner)}; may be left out"
    return _described(annotation) + ("; may be left out" if "written_if" in field.metadata else "")


def _described(annotation: object) -> str:  # noqa: PLR0911 (one for each form of annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in arguments)
    if types.NoneType in arguments:
        return f"{_described(_without_none(annotation))} or null"
    if origin is tuple and arguments[-1] is not Ellipsis:
        (alike,) = {_described(argument) for argument in arguments}
        return f"pair of {_grouped(alike)}"
    if origin is tuple:
        return f"list of {_grouped(_described(arguments[0]))}"
    if origin is dict and arguments[1] is not object:
        return f"mapping to {_grouped(_described(arguments[1]))}"
    return "mapping"


def _grouped(value: str) -> str:
    return f"({value})" if " or " in value else value


def _dataclasses(annotation: object, steps: str = "") -> Iterator[tuple[type, str]]:
    """The dataclasses in a field's type, each with the steps down to it; what is told apart by a tag is not meant."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and is_dataclass(annotation):
        yield annotation, steps
    elif origin is tuple:
        yield from _dataclasses(arguments[0], f"{steps}[]")
    elif origin is dict:
        yield from _dataclasses(arguments[1], f"{steps}.NAME")
    elif origin in (Union, types.UnionType):
        for argument in arguments:
            yield from _dataclasses(argument, steps)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def _without_none(annotation: object) -> object:
    (inner,) = (argument for argument in get_args(annotation) if argument is not types.NoneType)
    return inner


def _table(head: Row, rows: Iterable[Row]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ("---",) * len(head), *rows))


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
