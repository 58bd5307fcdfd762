"""Reading the fields of a control message, so that a wrong one is refused by name instead of failing deep inside."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

from hedgerow_node.control import ControlError

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

_NAMES: dict[type, str] = {int: "an integer", str: "a text", bool: "true or false", list: "a list", dict: "an object"}


class Fields:
    """The fields of one JSON object; every reader raises ControlError, naming the field, where it does not fit."""

    def __init__(self, values: Mapping[str, Any], prefix: str = "") -> None:
        self._values = values
        self._prefix = prefix

    def __contains__(self, key: str) -> bool:
        """Whether the field is there and not null."""
        return self._values.get(key) is not None

    def integer(self, key: str, minimum: int | None = None, maximum: int | None = None) -> int:
        """The integer `key`, at least `minimum` and at most `maximum`."""
        value = self._take(key, int)
        if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
            bounds = [f"at least {minimum}"] if minimum is not None else []
            bounds += [f"at most {maximum}"] if maximum is not None else []
            raise self._wrong(key, value, " and ".join(bounds))
        return value

    def number(self, key: str, minimum: float, maximum: float = math.inf) -> float:
        """The number `key`, integer or not, at least `minimum` and at most `maximum`."""
        value = self._values.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, float) or not minimum <= value <= maximum:
            bounds = f"at least {minimum:g}" + (f" and at most {maximum:g}" if maximum < math.inf else "")
            raise self._wrong(key, value, f"a number, {bounds}")
        return value

    def text(self, key: str, *choices: str) -> str:
        """The text `key`, one of `choices` where any are given."""
        value = self._take(key, str)
        if choices and value not in choices:
            raise self._wrong(key, value, f"one of {', '.join(choices)}")
        return value

    def boolean(self, key: str) -> bool:
        """The truth value `key`."""
        return self._take(key, bool)

    def listing(self, key: str) -> list[Any]:
        """The list `key`."""
        return self._take(key, list)

    def section(self, key: str) -> Fields:
        """The fields of the object `key`."""
        return Fields(self._take(key, dict), f"{self._prefix}{key}.")

    def sections(self, key: str) -> list[Fields]:
        """The fields of each object in the list `key`."""
        entries = self.listing(key)
        for number, entry in enumerate(entries):
            if not isinstance(entry, dict):
                raise self._wrong(f"{key}.{number}", entry, _NAMES[dict])
        return [Fields(entry, f"{self._prefix}{key}.{number}.") for number, entry in enumerate(entries)]

    def _take(self, key: str, kind: type[T]) -> T:
        value = self._values.get(key)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self._wrong(key, value, _NAMES[kind])
        return value

    def _wrong(self, key: str, value: object, expected: str) -> ControlError:
        name = f"{self._prefix}{key}"
        if value is None:
            return ControlError(f"field '{name}' is missing")
        return ControlError(f"field '{name}' is {value!r}, expected {expected}")
