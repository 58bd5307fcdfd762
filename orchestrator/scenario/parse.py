"""A document against the models: a `Scenario`, or what is wrong with its keys, one by one.

pydantic's errors are put into our words: which key, what is wrong, what to write instead. Examples are those of the
models' fields.
"""

from __future__ import annotations

import difflib
import types
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError, WithJsonSchema

from orchestrator.errors import Finding, KeyPath
from orchestrator.scenario.availability import unavailable
from orchestrator.scenario.document import one_line
from orchestrator.scenario.models import Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic.fields import FieldInfo
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
#: The keys that tell models apart where one of several may stand.
_DISCRIMINATORS = ("fault", "mode")


class _Location(NamedTuple):
    """Where an error is: its path in the file, the section that holds its last key, and what may stand there.

    `siblings` are the models that might have been chosen instead of `section`, by their tags; `field` is the key's.
    """

    path: KeyPath
    section: type[BaseModel] | None
    siblings: dict[str, type[BaseModel]]
    annotation: object
    field: FieldInfo | None


def parse_scenario(document: Document) -> tuple[Scenario | None, list[Finding]]:
    """The scenario that `document` holds, None where it holds none, and what is wrong with its single keys."""
    findings = list(unavailable(document.data))
    try:
        return Scenario.model_validate(document.data), findings
    except ValidationError as error:
        return None, [*findings, *_explained(error.errors(), document, [finding.path for finding in findings])]


def _explained(errors: Sequence[ErrorDetails], document: Document, later: Sequence[KeyPath]) -> list[Finding]:
    """What pydantic's `errors` mean in `document`, but for those at places that a `later` version is for.

    A key that is missing because it is misspelt is one mistake, and what to write is said with the misspelt one.
    """
    found = [(details["type"], _explain(details, document)) for details in errors]
    misspelt = {(each.path[:-1], each.remedy) for kind, each in found if kind == "extra_forbidden"}
    return [
        finding
        for kind, finding in found
        if (kind != "missing" or (finding.path[:-1], _suggestion(str(finding.path[-1]))) not in misspelt)
        and not any(finding.path[: len(other)] == other[: len(finding.path)] for other in later)
    ]


def _explain(details: ErrorDetails, document: Document) -> Finding:
    """What one of pydantic's errors means in `document`."""
    location, kind = _locate(details["loc"]), details["type"]
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _tag(details, location)
    path = location.path
    if kind not in ("missing", "extra_forbidden"):
        # pydantic looks into what a short form (service_time: 2ms) stands for, where the file has no keys
        while path and path not in document.places:
            path = path[:-1]
    return Finding(path, *_explain_key(details, location, path))


def _locate(loc: Sequence[str | int]) -> _Location:
    """`loc` without the marks that pydantic adds: "[key]" for a bad key, the tag for one of several models."""
    annotation: object = Scenario
    field: FieldInfo | None = None
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
            annotation, field = _element(annotation), None
            continue
        section = models[0]
        if section not in siblings.values():
            siblings = {}
        field = _fields(section).get(str(part))
        annotation = None if field is None else field.annotation
    return _Location(tuple(path), section, siblings, annotation, field)


def _alternatives(annotation: object) -> Iterator[object]:
    """The types that may stand where `annotation` is, without their metadata."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _alternatives(part)
    else:
        yield annotation


def _models(annotation: object) -> list[type[BaseModel]]:
    kinds = _alternatives(annotation)
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]


def _element(annotation: object) -> object:
    """What the list or mapping that may stand at `annotation` holds."""
    for kind in _alternatives(annotation):
        arguments = [part for part in get_args(kind) if part is not Ellipsis]
        if get_origin(kind) in (tuple, list, dict) and arguments:
            return arguments[-1]
    return None


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a section by their keys."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


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
        return Finding(path, f"{_format_value(tag)} is not known", _nearest(tag, tags))
    return Finding(path, "is missing", f"add one of {', '.join(tags)}")


def _explain_key(details: ErrorDetails, location: _Location, path: KeyPath) -> tuple[str, str]:
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "extra_forbidden":
        return "unknown key", _where_known(str(path[-1]), location)
    if kind == "missing":
        return "is missing", _addition(str(path[-1]), location.field)
    if kind == "literal_error":
        return _choice(value, str(context["expected"]))
    if kind == "value_error":
        message, _, remedy = str(context["error"]).partition("; ")
        return message, remedy
    if kind == "tuple_type" and isinstance(value, str) and not _models(_element(location.annotation)):
        return f"{_format_value(value)} is not a list", f"write [{value}]"
    return _explain_value(details)


def _explain_value(details: ErrorDetails) -> tuple[str, str]:
    """What is wrong with a single value's type or range."""
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "string_pattern_mismatch":
        return f"{value!r} is not a valid name", _PATTERNS
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"{value} is out of range", f"write a number {words} {_plain(context[bound])}"
    if kind == "too_short":
        return "is an empty list", "list at least one"
    if kind in _KINDS:
        return f"{_format_value(value)} is not {_KINDS[kind]}", f"write {_KINDS[kind]}"
    return details["msg"], ""


def _addition(key: str, field: FieldInfo | None) -> str:
    """A remedy for a missing key: the only value that it can have, or the example of its field."""
    choices = get_args(field.annotation) if field is not None and get_origin(field.annotation) is Literal else ()
    if len(choices) == 1:
        return f"add {key}: {choices[0]}"
    examples = [] if field is None else _examples(field)
    if field is None or not examples:
        return f"add {key}"
    return f"add {'' if _models(field.annotation) else 'e.g. '}{key}: {one_line(examples[0])}"


def _examples(field: FieldInfo) -> list[object]:
    """The examples of a field, else those of its type."""
    of_types = [kind.json_schema or {} for kind in field.metadata if isinstance(kind, WithJsonSchema)]
    return field.examples or [example for schema in of_types for example in schema.get("examples", ())]


def _where_known(key: str, location: _Location) -> str:
    """A remedy for an unknown key: the nearest one of its section, or the sibling that knows it."""
    known = list(_fields(location.section)) if location.section is not None else []
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


def _choice(value: object, expected: str) -> tuple[str, str]:
    choices = [choice.strip(" '") for choice in expected.replace(" or ", ", ").split(",")]
    if len(choices) == 1:
        return f"{_format_value(value)} is not known", f"write {choices[0]}"
    return f"{_format_value(value)} is not known", _nearest(str(value), choices)


def _nearest(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return _suggestion(close[0]) if close else f"known here: {', '.join(known)}"


def _suggestion(word: str) -> str:
    return f"did you mean {word}?"


def _format_value(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _plain(bound: float) -> str:
    return f"{bound:g}" if isinstance(bound, float) else str(bound)
