"""What pydantic found wrong with a scenario file, in our words: which key, what is wrong, what to write instead."""

from __future__ import annotations

import difflib
import types
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel

from orchestrator.errors import Finding, KeyPath
from orchestrator.scenario.models import Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic_core import ErrorDetails

    from orchestrator.scenario.document import Document

_KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_BOUNDS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "of at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "of at most"),
}
_PATTERNS = "use lower-case letters, digits and hyphens, beginning with a letter or digit"
_EXAMPLES = {
    "version": "add version: 1",
    "name": "add a name, e.g. name: my-experiment",
    "workload": "add workload: {requests: 1000}",
    "requests": "add e.g. requests: 1000",
    "hedging": "add hedging: {delay: 10ms}",
    "delay": "add e.g. delay: 10ms",
    "strategies": "add e.g. strategies: [baseline, kernel]",
    "rate": "add e.g. rate: 500/s",
    "duration": "add e.g. duration: 400ms",
    "target": "add e.g. target: server-0",
    "percent": "add e.g. percent: 2",
    "factor": "add e.g. factor: 5",
    "when": 'add e.g. when: "id % 100 < 2"',
}
#: The keys that tell models apart where one of several may stand.
_DISCRIMINATORS = ("fault", "mode")


class _Location(NamedTuple):
    """Where an error is: its path in the file, the section that holds its last key, and what stands there.

    `siblings` are the models that might have been chosen instead of `section`, by their tags.
    """

    path: KeyPath
    section: type[BaseModel] | None
    siblings: dict[str, type[BaseModel]]
    annotation: Any


def explain_all(errors: Sequence[ErrorDetails], document: Document) -> list[Finding]:
    """What each of pydantic's `errors` means in `document`.

    A key that is missing because it is misspelt is one mistake, and what to write is told with the misspelt one.
    """
    found = [(details["type"], explain(details, document)) for details in errors]
    misspelt = {(each.path[:-1], each.remedy) for kind, each in found if kind == "extra_forbidden"}
    return [
        finding
        for kind, finding in found
        if kind != "missing" or (finding.path[:-1], _suggestion(str(finding.path[-1]))) not in misspelt
    ]


def explain(details: ErrorDetails, document: Document) -> Finding:
    """What one of pydantic's errors means in `document`."""
    location, kind = _locate(details["loc"]), details["type"]
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _tag(details, location)
    path = location.path
    if kind not in ("missing", "extra_forbidden"):
        # pydantic looks into what a short form (service_time: 2ms) stands for, where the file has no keys
        while path and path not in document.places:
            path = path[:-1]
    return Finding(path, *_explain(details, location, path))


def _locate(loc: Sequence[str | int]) -> _Location:
    """`loc` without the marks that pydantic adds: "[key]" for a bad key, the tag for one of several models."""
    annotation: Any = Scenario
    section: type[BaseModel] | None = None
    siblings: dict[str, type[BaseModel]] = {}
    path: list[str | int] = []
    for part in loc:
        models = _models(annotation)
        if part == "[key]":
            continue
        if len(models) > 1 and isinstance(part, str):
            siblings = {_tag_of(model): model for model in models}
            annotation = siblings.get(part)
            continue
        path.append(part)
        if len(models) != 1 or isinstance(part, int):
            annotation = _element(annotation)
            continue
        section = models[0]
        if section not in siblings.values():
            siblings = {}
        annotation = _fields(section).get(part)
    return _Location(tuple(path), section, siblings, annotation)


def _alternatives(annotation: Any) -> Iterator[Any]:
    """The types that may stand where `annotation` is, without what pydantic is told about them."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _alternatives(part)
    else:
        yield annotation


def _models(annotation: Any) -> list[type[BaseModel]]:
    kinds = _alternatives(annotation)
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]


def _element(annotation: Any) -> Any:
    """What the list or mapping that may stand at `annotation` holds."""
    for kind in _alternatives(annotation):
        arguments = [part for part in get_args(kind) if part is not Ellipsis]
        if get_origin(kind) in (tuple, list, dict) and arguments:
            return arguments[-1]
    return None


def _fields(model: type[BaseModel]) -> dict[str | int, Any]:
    """The annotations of a section's keys."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _tag_of(model: type[BaseModel]) -> str:
    name = next(name for name in _DISCRIMINATORS if name in model.model_fields)
    return str(get_args(model.model_fields[name].annotation)[0])


def _tag(details: ErrorDetails, location: _Location) -> Finding:
    """A mapping that should say which of several kinds it is, and does not, or says an unknown one."""
    models = _models(location.annotation)
    key = next(name for name in _DISCRIMINATORS if name in models[0].model_fields)
    tags = [_tag_of(model) for model in models]
    path = (*location.path, key)
    if details["type"] == "union_tag_invalid":
        tag = details["ctx"]["tag"]
        return Finding(path, f"{_shown(tag)} is not known", _nearest(tag, tags))
    return Finding(path, "is missing", f"add one of {', '.join(tags)}")


def _explain(details: ErrorDetails, location: _Location, path: KeyPath) -> tuple[str, str]:
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "extra_forbidden":
        return "unknown key", _where_known(str(path[-1]), location)
    if kind == "missing":
        return "is missing", _EXAMPLES.get(str(path[-1]), f"add {path[-1]}")
    if kind == "literal_error":
        return _choice(value, str(context["expected"]))
    if kind == "value_error":
        message, _, remedy = str(context["error"]).partition("; ")
        return message, remedy
    if kind == "tuple_type" and isinstance(value, str) and not _models(_element(location.annotation)):
        return f"{_shown(value)} is not a list", f"write [{value}]"
    return _explain_value(details)


def _explain_value(details: ErrorDetails) -> tuple[str, str]:
    """What is wrong with a single value's type or range."""
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "string_pattern_mismatch":
        return f"{value!r} is not a valid name", _PATTERNS
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"{value} is out of range", f"write a number {words} {_plain(context[bound])}"
    if kind in ("too_short", "too_long"):
        return "is an empty list" if kind == "too_short" else "has too many items", "list at least one"
    if kind in _KINDS:
        return f"{_shown(value)} is not {_KINDS[kind]}", f"write {_KINDS[kind]}"
    return details["msg"], ""


def _where_known(key: str, location: _Location) -> str:
    """A remedy for an unknown key: the nearest one of its section, or the sibling that knows it."""
    known = list(map(str, _fields(location.section))) if location.section is not None else []
    head, dot, tail = key.partition(".")
    if dot and head in known:
        return f"write {head}: {{{tail}: …}}"
    if difflib.get_close_matches(key, known, n=1, cutoff=0.6) or not location.siblings:
        return _nearest(key, known)
    others = [tag for tag, model in location.siblings.items() if key in _fields(model)]
    if len(others) == 1 and len(location.siblings) == 2:
        discriminator = next(name for name in _DISCRIMINATORS if name in known)
        return f"it belongs to {discriminator}: {others[0]}"
    return _nearest(key, known)


def _choice(value: Any, expected: str) -> tuple[str, str]:
    choices = [choice.strip(" '") for choice in expected.replace(" or ", ", ").split(",")]
    if len(choices) == 1:
        return f"{_shown(value)} is not known", f"write {choices[0]}"
    return f"{_shown(value)} is not known", _nearest(str(value), choices)


def _nearest(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return _suggestion(close[0]) if close else f"known here: {', '.join(known)}"


def _suggestion(word: str) -> str:
    return f"did you mean {word}?"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _plain(bound: float) -> str:
    return f"{bound:g}" if isinstance(bound, float) else str(bound)
