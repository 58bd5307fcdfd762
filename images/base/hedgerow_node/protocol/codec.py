"""Messages as frozen dataclasses: how one becomes a JSON object, and how one is read from a JSON object.

    @dataclass(frozen=True)
    class Stop(Message):
        node: Annotated[str, OneOf("client", "hedger")]
        after_ns: Annotated[int, AtLeast(0)]
        labels: tuple[str, ...] = ()
        gc: GcSettings | None = field(default=None, metadata=wire_key("garbage"))

The annotations are the grammar: `int`, `float` (an integer will do), `str`, `bool`, `Literal`, enums (by value),
`object` (any JSON value),
`X | None`, `tuple[X, ...]` and `tuple[X, Y]` (lists in JSON), `dict[str, X]`, dataclasses and named tuples (objects),
and unions of dataclasses which a field of type `Literal` distinguishes. `Annotated` adds a condition.

A field with a default may be missing; null counts as missing. Unknown fields are refused, except `id` and `do`, which
belong to the request that carries the message. What the annotations cannot say, `__post_init__` checks, or in a named
tuple a method `checked`, which returns the checked value; both raise ValueError.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass
from enum import Enum
from functools import partial
from typing import Annotated, Literal, Protocol, Self, TypeVar, Union, get_args, get_origin, get_type_hints

from hedgerow_node.control import ControlError, JsonObject

_Reader = Callable[[object, str], object]  #: (JSON value, name of the field) -> checked value
T = TypeVar("T")

_ENVELOPE = frozenset({"id", "do"})
_KEY = "wire_key"
_NAMES: dict[type, str] = {int: "an integer", str: "a text", bool: "true or false", list: "a list", dict: "an object"}


def wire_key(key: str) -> dict[str, str]:
    """Metadata of a dataclass field whose JSON key is not its name."""
    return {_KEY: key}


class Condition(Protocol):
    """What `Annotated` may add to a type."""

    @property
    def description(self) -> str:
        """What is expected, for error messages: "at least 1"."""

    def holds(self, value: object) -> bool:
        """Whether `value`, already of the right type, is acceptable."""


@dataclass(frozen=True)
class Between:
    """A number from `minimum` to `maximum`, both included."""

    minimum: float
    maximum: float

    @property
    def description(self) -> str:
        """See `Condition`."""
        if self.maximum == math.inf:
            return f"at least {_digits(self.minimum)}"
        return f"at least {_digits(self.minimum)} and at most {_digits(self.maximum)}"

    def holds(self, value: object) -> bool:
        """See `Condition`."""
        return isinstance(value, (int, float)) and self.minimum <= value <= self.maximum


def AtLeast(minimum: float) -> Between:  # noqa: N802 (reads as `Between` does, beside which it stands)
    """A number of at least `minimum`."""
    return Between(minimum, math.inf)


@dataclass(frozen=True, init=False)
class OneOf:
    """One of the given texts."""

    choices: tuple[str, ...]

    def __init__(self, *choices: str) -> None:
        object.__setattr__(self, "choices", choices)

    @property
    def description(self) -> str:
        """See `Condition`."""
        return f"one of {', '.join(self.choices)}"

    def holds(self, value: object) -> bool:
        """See `Condition`."""
        return value in self.choices


class Message:
    """Base of all messages; subclasses are frozen dataclasses."""

    def to_json(self) -> JsonObject:
        """The message as a JSON object with all of its fields; `from_json` reads it."""
        return {key: _to_json(getattr(self, name)) for name, key in _keys(type(self)).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> Self:
        """The message in `values`; ControlError, naming the field, or ValueError, where they are not valid."""
        return read(cls, values)


def read(kind: type[T], values: Mapping[str, object], name: str = "") -> T:
    """An object of the dataclass or named tuple `kind` from a JSON object; `name` is its own, for error messages."""
    prefix = f"{name}." if name else ""
    fields = _fields(kind)
    given: dict[str, object] = {}
    for field in fields:
        value = values.get(field.key)
        if value is not None:
            given[field.name] = field.read(value, f"{prefix}{field.key}")
        elif field.is_required:
            raise ControlError(f"field '{prefix}{field.key}' is missing")
    unknown = values.keys() - {field.key for field in fields} - (frozenset() if name else _ENVELOPE)
    if unknown:
        raise ControlError(f"unknown field '{prefix}{min(unknown)}'")
    made = kind(**given)
    checked: Callable[[], T] | None = getattr(made, "checked", None)
    return made if checked is None else checked()


@dataclass(frozen=True)
class _Field:
    name: str
    key: str
    is_required: bool
    read: _Reader


def _keys(kind: type) -> dict[str, str]:
    """By the names of the fields of `kind`, their JSON keys."""
    if dataclasses.is_dataclass(kind):
        return {field.name: field.metadata.get(_KEY, field.name) for field in dataclasses.fields(kind)}
    return {name: name for name in _tuple_fields(kind)}


#: By type; annotations are looked at once. A dict, since `functools.cache` and the type checker disagree on types.
_KNOWN: dict[type, tuple[_Field, ...]] = {}


def _fields(kind: type) -> tuple[_Field, ...]:
    if kind not in _KNOWN:
        hints = get_type_hints(kind, include_extras=True)
        optional = _optional_fields(kind)
        _KNOWN[kind] = tuple(
            _Field(name, key, name not in optional, _reader(hints[name])) for name, key in _keys(kind).items()
        )
    return _KNOWN[kind]


def _optional_fields(kind: type) -> set[str]:
    if dataclasses.is_dataclass(kind):
        fields = dataclasses.fields(kind)
        return {f.name for f in fields if f.default is not MISSING or f.default_factory is not MISSING}
    return set(getattr(kind, "_field_defaults", {}))


def _tuple_fields(kind: object) -> tuple[str, ...]:
    """The names of a named tuple's fields; none where `kind` is not one."""
    names: tuple[str, ...] = getattr(kind, "_fields", ())
    return names


def _reader(annotation: object) -> _Reader:  # noqa: PLR0911 (one for each form of annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return partial(_read_annotated, _reader(arguments[0]), arguments[1:])
    if origin is Literal:
        return partial(_read_choice, {choice: choice for choice in arguments})
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return partial(_read_list, _reader(arguments[0]))
        return partial(_read_tuple, [_reader(argument) for argument in arguments])
    if origin is dict:
        return partial(_read_dict, _reader(arguments[1]))
    if origin in (Union, types.UnionType):
        kinds = [argument for argument in arguments if argument is not types.NoneType]
        return _reader(kinds[0]) if len(kinds) == 1 else partial(_read_tagged, *_tags(kinds))
    if annotation in (int, str, bool):
        return partial(_read_plain, annotation)
    if annotation is float:
        return _read_float
    if annotation is object:
        return lambda value, _: value
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return partial(_read_choice, {member.value: member for member in annotation})
    if isinstance(annotation, type) and (dataclasses.is_dataclass(annotation) or _tuple_fields(annotation)):
        return partial(_read_object, annotation)
    raise TypeError(f"{annotation!r} has no form in a control message")


def _read_annotated(inner: _Reader, conditions: Iterable[Condition], value: object, name: str) -> object:
    made = inner(value, name)
    for condition in conditions:
        if not condition.holds(made):
            raise _wrong(name, value, condition.description)
    return made


def _read_choice(choices: Mapping[object, object], value: object, name: str) -> object:
    if not isinstance(value, (str, int)) or value not in choices:
        raise _wrong(name, value, f"one of {', '.join(map(str, choices))}")
    return choices[value]


def _read_plain(kind: type, value: object, name: str) -> object:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _wrong(name, value, _NAMES[kind])
    return value


def _read_float(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise _wrong(name, value, "a number")
    return float(value)


def _read_list(element: _Reader, value: object, name: str) -> tuple[object, ...]:
    if not isinstance(value, list):
        raise _wrong(name, value, _NAMES[list])
    return tuple(element(entry, f"{name}.{number}") for number, entry in enumerate(value))


def _read_tuple(elements: list[_Reader], value: object, name: str) -> tuple[object, ...]:
    if not isinstance(value, list) or len(value) != len(elements):
        raise _wrong(name, value, f"a list of {len(elements)}")
    pairs = enumerate(zip(elements, value, strict=True))
    return tuple(element(entry, f"{name}.{number}") for number, (element, entry) in pairs)


def _read_dict(element: _Reader, value: object, name: str) -> dict[str, object]:
    return {key: element(entry, f"{name}.{key}") for key, entry in _object(value, name).items()}


def _read_object(kind: type, value: object, name: str) -> object:
    return read(kind, _object(value, name), name)


def _tags(kinds: list[type]) -> tuple[str, dict[object, type]]:
    """The key of the field that distinguishes `kinds`, and the kinds by its values."""
    for name, key in _keys(kinds[0]).items():
        tags: dict[object, type] = {}
        for kind in kinds:
            hint = get_type_hints(kind).get(name)
            tags |= dict.fromkeys(get_args(hint), kind) if get_origin(hint) is Literal else {}
        if set(tags.values()) == set(kinds):
            return key, tags
    raise TypeError(f"no field of type Literal distinguishes {kinds!r}")


def _read_tagged(key: str, tags: Mapping[object, type], value: object, name: str) -> object:
    values = _object(value, name)
    tag = values.get(key)
    if tag is None:
        raise ControlError(f"field '{name}.{key}' is missing")
    if not isinstance(tag, str) or tag not in tags:
        raise _wrong(f"{name}.{key}", tag, f"one of {', '.join(map(str, tags))}")
    return read(tags[tag], values, name)


def _object(value: object, name: str) -> JsonObject:
    if not isinstance(value, dict):
        raise _wrong(name, value, _NAMES[dict])
    return value


def _to_json(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, dict):
        return {key: _to_json(entry) for key, entry in value.items()}
    keys = _keys(type(value))
    if keys:
        return {key: _to_json(getattr(value, name)) for name, key in keys.items()}
    if isinstance(value, (tuple, list)):
        return [_to_json(entry) for entry in value]
    raise TypeError(f"{value!r} has no form in a control message")


def _digits(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def _wrong(name: str, value: object, expected: str) -> ControlError:
    return ControlError(f"field '{name}' is {value!r}, expected {expected}")
