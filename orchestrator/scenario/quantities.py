"""Quantities with units as pydantic types, so that models hold integers and files hold what people write.

The spellings are those of `hedgerow_node.units`, the same that the programs' command lines accept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from hedgerow_node.units import (
    format_bit_rate,
    format_duration,
    format_rate,
    parse_bit_rate,
    parse_duration_ns,
    parse_rate_per_s,
    parse_ratio,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def _duration_ns(value: Any) -> int:
    if isinstance(value, str):
        return parse_duration_ns(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"{value} has no unit; write e.g. {value}ms")
    raise ValueError("a mapping, a list or nothing is not a duration; write a number and a unit, e.g. 10ms")


def _rate_per_s(value: Any) -> float:
    if isinstance(value, str):
        return parse_rate_per_s(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"{value} has no unit; write e.g. {value}/s")
    raise ValueError("a mapping, a list or nothing is not a rate; write a number per unit of time, e.g. 500/s")


def _bit_rate(value: Any) -> int:
    if isinstance(value, str):
        return parse_bit_rate(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"{value} has no unit; write e.g. {value}mbit")
    raise ValueError("a mapping, a list or nothing is not a bandwidth; write a number and a unit, e.g. 10mbit")


def _percent(value: Any) -> Any:
    return parse_ratio(value) * 100 if isinstance(value, str) else value


def _workers(value: Any) -> int | None:
    if value == "unlimited" or value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise ValueError(f"{value!r} is not a number of workers; write a whole number from 1 up, or unlimited")


def between_ns(low_ns: int, high_ns: int) -> Callable[[int], int]:
    """A validator for durations from `low_ns` to `high_ns`, both included, whose message speaks in units."""

    def check(value_ns: int) -> int:
        if not low_ns <= value_ns <= high_ns:
            raise ValueError(
                f"{format_duration(value_ns)} is out of range; "
                f"write a duration from {format_duration(low_ns)} to {format_duration(high_ns)}"
            )
        return value_ns

    return check


#: Integer nanoseconds, written as "10ms".
Duration = Annotated[
    int,
    BeforeValidator(_duration_ns),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?\s*(ns|us|µs|ms|s|m|min)$", "examples": ["10ms"]}),
]

#: Events per second, written as "500/s".
Rate = Annotated[
    float,
    BeforeValidator(_rate_per_s),
    PlainSerializer(format_rate, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?\s*/\s*(s|ms|m|min)$", "examples": ["500/s"]}),
]

#: Bits per second, written as "10mbit".
BitRate = Annotated[
    int,
    BeforeValidator(_bit_rate),
    PlainSerializer(format_bit_rate, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?\s*(bit|kbit|mbit|gbit)$", "examples": ["10mbit"]}),
]

#: A whole number; YAML's strings and booleans are not taken for one.
Whole = Annotated[int, Field(strict=True)]

#: A number; YAML's strings and booleans are not taken for one.
Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]

#: A percentage in percent, written as 5 or "5%".
Percent = Annotated[
    float,
    Field(strict=True, gt=0, le=100),
    BeforeValidator(_percent),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": 100},
                {"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$"},
            ]
        }
    ),
]

#: A share of one processor in percent, written as 50 or "50%"; several processors are several hundred.
ProcessorPercent = Annotated[
    float,
    Field(strict=True, gt=0, le=100_000, allow_inf_nan=False),
    BeforeValidator(_percent),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$"},
            ]
        }
    ),
]

#: A number of workers, None for "unlimited".
Workers = Annotated[
    int | None,
    BeforeValidator(_workers),
    PlainSerializer(lambda value: "unlimited" if value is None else value, return_type=int | str),
    WithJsonSchema({"anyOf": [{"const": "unlimited"}, {"type": "integer", "minimum": 1}]}),
]
