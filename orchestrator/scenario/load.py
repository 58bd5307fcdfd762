"""From a scenario file to a checked `Scenario`, or to every problem that it has, each with its line and a remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.errors import Problem, ScenarioError
from orchestrator.scenario.availability import unavailable
from orchestrator.scenario.checks import complaints
from orchestrator.scenario.document import Document, KeyPath, dotted, override, read_document
from orchestrator.scenario.models import Scenario

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
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}
_PATTERNS = "use lower-case letters, digits and hyphens, beginning with a letter or digit"


def load_scenario(path: Path, overrides: Sequence[str] = ()) -> Scenario:
    """The scenario in the YAML file `path` with `overrides` ("workload.requests=500") applied.

    Raises ScenarioError (exit code 2) with every problem found, one line each: "FILE:LINE: key: message; remedy".
    """
    document = read_document(path)
    override(document, overrides)
    problems: list[tuple[KeyPath, str, str]] = list(unavailable(document.data))
    later = [path for path, _, _ in problems]
    scenario: Scenario | None = None
    try:
        scenario = Scenario.model_validate(document.data)
    except ValidationError as error:
        for details in error.errors():
            place = _path(details, document)
            if not any(place[: len(other)] == other[: len(place)] for other in later):
                problems.append((place, *_explain(details, place)))
    if scenario is not None:
        problems += complaints(scenario)
    if problems or scenario is None:
        raise ScenarioError(sorted(_located(document, problems), key=_reading_order))
    return scenario


def dump_scenario(scenario: Scenario) -> str:
    """`scenario` as YAML with every default written out; it loads to an equal model."""
    return yaml.safe_dump(scenario.as_document(), sort_keys=False, allow_unicode=True, width=118)


def _located(document: Document, problems: Sequence[tuple[KeyPath, str, str]]) -> Iterator[Problem]:
    for path, message, remedy in problems:
        yield Problem(document.where(path), dotted(path), message, remedy)


def _reading_order(problem: Problem) -> tuple[str, int]:
    file, _, line = problem.where.rpartition(":")
    return (file, int(line)) if line.isdecimal() else (problem.where, 0)


def _path(details: ErrorDetails, document: Document) -> KeyPath:
    """Where an error stands in the file.

    Pydantic marks a mapping's bad key by a last "[key]", and looks into what a short form (service_time: 2ms) stands
    for, where the file has no keys.
    """
    path = tuple(part for part in details["loc"] if part != "[key]")
    if details["type"] not in ("missing", "extra_forbidden"):
        while path and path not in document.places:
            path = path[:-1]
    return path


def _explain(details: ErrorDetails, path: KeyPath) -> tuple[str, str]:
    """Pydantic's finding in our words: what is wrong, and what to write instead."""
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "extra_forbidden":
        return "unknown key", _nearest(str(path[-1]), _known_keys(path[:-1]))
    if kind == "missing":
        return "is missing", _example(path)
    if kind == "literal_error":
        return _choice(value, str(context["expected"]))
    if kind == "value_error":
        message, _, remedy = str(context["error"]).partition("; ")
        return message, remedy
    return _explain_value(details)


def _explain_value(details: ErrorDetails) -> tuple[str, str]:
    """A finding about a single value's type or range."""
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "string_pattern_mismatch":
        return f"{value!r} is no name", _PATTERNS
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"{value} is out of range", f"write a number {words} {_plain(context[bound])}"
    if kind in ("too_short", "too_long"):
        return "is an empty list" if kind == "too_short" else "has too many items", "list at least one"
    if kind in _KINDS:
        return f"{_shown(value)} is not {_KINDS[kind]}", f"write {_KINDS[kind]}"
    return details["msg"], ""


def _choice(value: Any, expected: str) -> tuple[str, str]:
    choices = [choice.strip(" '") for choice in expected.replace(" or ", ", ").split(",")]
    if len(choices) == 1:
        return f"{_shown(value)} is not known", f"write {choices[0]}"
    return f"{_shown(value)} is not known", _nearest(str(value), choices)


def _nearest(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"


def _known_keys(path: KeyPath) -> list[str]:
    """The keys that the section at `path` may have."""
    model = _section(path)
    return [field.alias or name for name, field in model.model_fields.items()] if model else []


def _section(path: KeyPath) -> type[BaseModel] | None:
    model: type[BaseModel] | None = Scenario
    for part in path:
        if model is None:
            return None
        if isinstance(part, int):
            continue
        field = next((field for name, field in model.model_fields.items() if part == (field.alias or name)), None)
        if field is None:
            # a key that the file chose itself, as under `published`: the section is that of its parent's values
            continue
        model = _model_within(field.annotation)
    return model


def _model_within(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_within(part) for part in getattr(annotation, "__args__", ()))
    return next((model for model in found if model is not None), None)


def _example(path: KeyPath) -> str:
    examples = {
        "version": "add version: 1",
        "name": "add a name, e.g. name: my-experiment",
        "workload": "add workload: {requests: 1000}",
        "requests": "add e.g. requests: 1000",
        "hedging": "add hedging: {delay: 10ms}",
        "delay": "add e.g. delay: 10ms",
        "strategies": "add e.g. strategies: [baseline, kernel]",
    }
    return examples.get(str(path[-1]), f"add {path[-1]}")


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
