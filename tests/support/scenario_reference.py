"""docs/scenario-keys.md, from the schema and the table of functions: `make docs` writes it, a test compares it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.claims.functions import FUNCTIONS
from orchestrator.scenario.schema import scenario_json_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PAGE = Path(__file__).parents[2] / "docs" / "scenario-keys.md"

_HEAD = """# Keys of a scenario

For authors of scenarios who look up one key, fault or function: its unit, bounds and default. How to use them stands
in [scenarios](scenarios.md). Made by `make docs` of what `orchestrator schema` prints and of the table of functions.

A duration is a number with `ns`, `us`, `ms`, `s` or `min`; a rate is written `500/s`, a bit rate `10mbit`. `validate`
also checks what depends on several keys.
"""
#: Keys that every fault has, or nearly every one, in the words of one that has them all.
_COMMON, _COMMON_IN = ("target", "at", "every", "jitter", "duration"), "CpuStress"
_NETWORK, _NETWORK_IN = ("direction", "model"), "Loss"
_PATTERNS = {"(ns|us": "duration", "/\\s*(s|": "rate", "bit": "bit rate", "%$": "percentage"}
_KINDS = {"object": "mapping", "array": "list", "boolean": "`true` or `false`"}
_KEYS, _FAULTS = ("key", "value", "what"), ("fault", "what happens", "targets", "other keys")
_ANY = 2**63  #: no bound that anybody reaches

Schema = dict[str, Any]
Definitions = dict[str, Schema]
Row = tuple[str, ...]


def reference() -> str:
    """The whole page."""
    schema = scenario_json_schema()
    known: Definitions = schema["$defs"]
    faults = _variants(schema["properties"]["faults"]["items"], known)
    parts = [_HEAD, "## Sections\n", _table(_KEYS, _rows("", schema, known))]
    parts += ["## Faults\n", "Keys of (nearly) every fault:\n"]
    parts.append(_table(_KEYS, _chosen(known[_COMMON_IN], known, _COMMON)))
    parts += ["Keys of faults of the network:\n", _table(_KEYS, _chosen(known[_NETWORK_IN], known, _NETWORK))]
    parts += ["Each fault:\n", _table(_FAULTS, (_fault_row(fault, known) for fault in faults))]
    functions = ((f"`{row.name}`", row.measure.unit, row.meaning) for row in FUNCTIONS.values())
    parts += ["## Functions of claims\n", _table(("function", "unit", "what"), functions)]
    return "\n".join(parts)


def _table(head: Row, rows: Iterable[Row]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ("---",) * len(head), *rows))


def _rows(prefix: str, section: Schema, known: Definitions) -> Iterator[Row]:
    """A row for each key of `section`, dotted, each followed by the keys below it; faults have their own tables."""
    for key in section["properties"]:
        name = f"{prefix}{key}"
        yield _row(name, key, section, known)
        if key != "faults":
            content = section["properties"][key]
            below = f"{name}.STRATEGY." if key == "published" else f"{name}."
            for inner in _sections_of(content, known):
                yield from _rows(below, inner, known)


def _chosen(section: Schema, known: Definitions, keys: Iterable[str]) -> Iterator[Row]:
    return (_row(key, key, section, known) for key in keys)


def _row(name: str, key: str, section: Schema, known: Definitions) -> Row:
    return f"`{name}`", _value(key, section, known), _escaped(section["properties"][key]["description"])


def _fault_row(section: Schema, known: Definitions) -> Row:
    keys = section["properties"]
    own = [
        f"`{key}` ({_value(key, section, known)}): {_escaped(content['description']).rstrip('.')}"
        for key, content in keys.items()
        if key not in ("fault", *_COMMON, *_NETWORK)
    ]
    if "duration" not in keys:
        own.append("no `duration`")
    elif "duration" in section["required"]:
        own.append("`duration` is required")
    if "const" in keys.get("model", {}):
        own.append(f"`model: {keys['model']['const']}` only")
    elif "direction" in keys:
        own.append(f"`direction` defaults to `{keys['direction']['default']}`")
    targets = [target for target in ("client", "servers", "everything") if target in keys["target"]["pattern"]]
    what = _escaped(keys["fault"]["description"])
    return f"`{keys['fault']['const']}`", what, ", ".join(targets), "; ".join(own)


def _sections_of(content: Schema, known: Definitions) -> Iterator[Schema]:
    """The mappings that a value may be, or a list's or mapping's values."""
    for variant in _variants(content, known):
        if "properties" in variant:
            yield variant
        for inner in (variant.get("items"), variant.get("additionalProperties")):
            if isinstance(inner, dict):
                yield from _sections_of(inner, known)


def _variants(content: Schema, known: Definitions) -> Iterator[Schema]:
    """What a value may be, references followed, null left out."""
    if "$ref" in content:
        yield from _variants(known[content["$ref"].rpartition("/")[2]], known)
    elif "anyOf" in content or "oneOf" in content:
        for variant in content.get("anyOf", []) + content.get("oneOf", []):
            yield from _variants(variant, known)
    elif content.get("type") != "null":
        yield content


def _value(key: str, section: Schema, known: Definitions) -> str:
    """What may be written for a key, and what holds without it."""
    content = section["properties"][key]
    allowed = " or ".join(dict.fromkeys(_allowed(variant) for variant in _variants(content, known)))
    default = content.get("default")
    if key in section.get("required", ()):
        return f"{allowed}, required"
    if default in (None, "", [], content.get("const")):
        return allowed
    written = f"{default:g}" if isinstance(default, float) else str(default)
    return f"{allowed}, default `{written.lower() if isinstance(default, bool) else written}`"


def _allowed(content: Schema) -> str:
    """One kind of value in a few words."""
    choices = content.get("enum", [content["const"]] if "const" in content else None)
    if choices is not None:
        return " or ".join(f"`{choice}`" for choice in choices)
    kind: str = content.get("type", "")
    if kind in ("integer", "number"):
        bounds = (("≥", "minimum"), (">", "exclusiveMinimum"), ("≤", "maximum"), ("<", "exclusiveMaximum"))
        given = [f"{sign} {content[name]:,}" for sign, name in bounds if content.get(name, _ANY) < _ANY]
        return f"{kind} {', '.join(given)}".strip()
    if kind == "string":
        return next((word for part, word in _PATTERNS.items() if part in content.get("pattern", "")), "text")
    return _KINDS.get(kind, kind)


def _escaped(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", r"\|")


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
