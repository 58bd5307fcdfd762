"""Frozen dataclasses to the JSON of a run folder, and back: the fields of the dataclass are the keys of the object.

    @dataclass(frozen=True)
    class Pair:
        strategy: str
        reference: str = field(metadata=key("with"))
        censored: tuple[str, ...] = field(default=(), metadata=LEFT_OUT)

The annotations are the format. Understood are `str`, `bool`, `int`, `float` (an integer is one too), `object` (any
JSON), `Literal`, `X | None`, `tuple[X, ...]` and `tuple[X, Y]` (arrays), `dict[str, X]` and dataclasses (objects),
and unions of dataclasses. What tells these apart is a class attribute `TAG`: a key, which comes first in the object,
and its value.

Files outlive the version that wrote them. So a field with a default may be missing, unknown keys are ignored, and
numbers stay what they were: what was written as 1 is not written again as 1.0.
"""

from __future__ import annotations

import reprlib
import types
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache, partial
from typing import Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

JsonObject = dict[str, object]
T = TypeVar("T")

_Reader = Callable[[object, str], object]  #: (JSON value, where it stands) -> value of the field
_NAMES: dict[object, str] = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}

#: Metadata of a field that is left out of the file where it has its default.
LEFT_OUT = {"left_out": True}


class MismatchError(ValueError):
    """The JSON does not fit the dataclass; the message says where and why."""


def key(name: str) -> dict[str, object]:
    """Metadata of a field that has another name in the file."""
    return {"key": name}


def written_if(condition: Callable[[T], bool]) -> dict[str, object]:
    """Metadata of a field that is only in the file where `condition` holds of the dataclass."""
    return {"written_if": condition}


def encode(value: object) -> object:
    """`value`, a dataclass or anything that its fields may hold, as `json.dumps` takes it."""
    if is_dataclass(value) and not isinstance(value, type):
        known = {_key(field): encode(getattr(value, field.name)) for field in fields(value) if _written(value, field)}
        return {**dict([_tag(type(value))] if hasattr(value, "TAG") else []), **known}
    if isinstance(value, dict):
        return {name: encode(entry) for name, entry in value.items()}
    if isinstance(value, (tuple, list)):
        return [encode(entry) for entry in value]
    return value


def encode_object(value: object) -> JsonObject:
    """The dataclass `value` as a JSON object."""
    encoded = encode(value)
    if not isinstance(encoded, dict):
        raise TypeError(f"{value!r} is not a dataclass")
    return encoded


def decode(kind: type[T], value: object, where: str = "") -> T:
    """The dataclass `kind` from the JSON `value`, which stands at `where`; MismatchError where it does not fit."""
    if not isinstance(value, dict):
        raise _mismatch(where, value, "an object")
    given, described = {}, cast("type", kind)
    for name, field_key, required, read in _readers(described):
        if field_key in value:
            given[name] = read(value[field_key], f"{where}.{field_key}" if where else field_key)
        elif required:
            raise MismatchError(f"{where or 'the record'} has no {field_key}")
    return kind(**given)


def decode_one_of(kinds: tuple[type, ...], value: object, where: str = "") -> object:
    """As `decode`, of that one of `kinds` whose `TAG` is in the object."""
    if not isinstance(value, dict):
        raise _mismatch(where, value, "an object")
    for kind in kinds:
        name, tag = _tag(kind)
        if value.get(name) == tag:
            return decode(kind, value, where)
    raise _mismatch(where, value, f"one of {', '.join(_tag(kind)[1] for kind in kinds)}")


def _tag(kind: type) -> tuple[str, str]:
    tag: tuple[str, str] = kind.TAG  # type: ignore[attr-defined]
    return tag


def _key(field: Field[object]) -> str:
    name: str = field.metadata.get("key", field.name)
    return name


def _written(value: object, field: Field[object]) -> bool:
    if "written_if" in field.metadata:
        condition: Callable[[object], bool] = field.metadata["written_if"]
        return condition(value)
    return not field.metadata.get("left_out") or getattr(value, field.name) != _default(field)


def _default(field: Field[object]) -> object:
    return field.default if field.default_factory is MISSING else field.default_factory()


@cache
def _readers(kind: type) -> tuple[tuple[str, str, bool, _Reader], ...]:
    """Of each field of `kind`: name, key, whether it must be there, and what reads it."""
    hints = get_type_hints(kind)
    return tuple(
        (field.name, _key(field), _default(field) is MISSING, _reader(hints[field.name])) for field in fields(kind)
    )


def _reader(annotation: object) -> _Reader:  # noqa: PLR0911 (one for each form of annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is object:
        return lambda value, _: value
    if annotation in _NAMES:
        return partial(_read_plain, annotation)
    if origin is Literal:
        return partial(_read_choice, arguments)
    if origin is tuple and arguments[-1] is Ellipsis:
        return partial(_read_array, _reader(arguments[0]))
    if origin is tuple:
        return partial(_read_tuple, [_reader(argument) for argument in arguments])
    if origin is dict:
        return partial(_read_mapping, _reader(arguments[1]))
    if origin in (Union, types.UnionType) and len(arguments) == 2 and types.NoneType in arguments:
        (inner,) = (argument for argument in arguments if argument is not types.NoneType)
        return partial(_read_optional, _reader(inner))
    if origin in (Union, types.UnionType) and all(hasattr(kind, "TAG") for kind in arguments):
        return partial(decode_one_of, arguments)
    if isinstance(annotation, type) and is_dataclass(annotation):
        return partial(decode, annotation)
    raise TypeError(f"{annotation!r} has no form in a file")


def _read_plain(kind: object, value: object, where: str) -> object:
    wanted = (int, float) if kind is float else kind
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind is not bool):  # type: ignore[arg-type]
        raise _mismatch(where, value, _NAMES[kind])
    return value


def _read_choice(choices: tuple[object, ...], value: object, where: str) -> object:
    if value not in choices:
        raise _mismatch(where, value, f"one of {', '.join(map(str, choices))}")
    return value


def _read_array(element: _Reader, value: object, where: str) -> tuple[object, ...]:
    if not isinstance(value, list):
        raise _mismatch(where, value, "an array")
    return tuple(element(entry, f"{where}[{index}]") for index, entry in enumerate(value))


def _read_tuple(elements: list[_Reader], value: object, where: str) -> tuple[object, ...]:
    if not isinstance(value, list) or len(value) != len(elements):
        raise _mismatch(where, value, f"an array of {len(elements)}")
    return tuple(
        element(entry, f"{where}[{index}]")
        for index, (element, entry) in enumerate(zip(elements, value, strict=True))
    )


def _read_mapping(element: _Reader, value: object, where: str) -> JsonObject:
    if not isinstance(value, dict):
        raise _mismatch(where, value, "an object")
    return {name: element(entry, f"{where}.{name}") for name, entry in value.items()}


def _read_optional(inner: _Reader, value: object, where: str) -> object:
    return None if value is None else inner(value, where)


def _mismatch(where: str, value: object, expected: str) -> MismatchError:
    return MismatchError(f"{where or 'the record'} is {reprlib.repr(value)}, expected {expected}")
