"""What the models of a scenario file are made of: sections, quantities with units, conditions.

Models hold integers and parsed conditions, files hold what people write. The spellings of quantities are those of
`hedgerow_node.units`, the same that the programs' command lines accept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Protocol

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic_core import core_schema

from hedgerow_node.expression import Expression, ExpressionError, parse
from hedgerow_node.units import (
    NS_PER_S,
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


MINUTE_NS = 60 * NS_PER_S


class Section(BaseModel):
    """A mapping of the scenario file: unknown keys are refused, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Parsed(Protocol):
    """What a text was parsed into, which keeps the text."""

    @property
    def text(self) -> str:
        """The text as it was written."""


def parsed_by(parse_text: Callable[[str], Parsed]) -> GetPydanticSchema:
    """A key that is text in a file and in dumps, and in the model what `parse_text` makes of it.

    `parse_text` raises ValueError, "message; remedy", for text that it cannot parse.
    """
    schema = core_schema.no_info_after_validator_function(
        parse_text,
        core_schema.str_schema(),
        serialization=core_schema.plain_serializer_function_ser_schema(
            _text_of, return_schema=core_schema.str_schema()
        ),
    )
    return GetPydanticSchema(lambda _source, _handler: schema)


def _text_of(parsed: Parsed) -> str:
    return parsed.text


def _condition(text: str) -> Expression:
    try:
        return parse(text)
    except ExpressionError as error:
        raise ValueError(f"{text!r}: {error}") from error


def _duration_ns(value: object) -> int:
    if isinstance(value, str):
        return parse_duration_ns(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"{value} has no unit; write e.g. {value}ms")
    raise ValueError("a mapping, a list or nothing is not a duration; write a number and a unit, e.g. 10ms")


def _rate_per_s(value: object) -> float:
    if isinstance(value, str):
        return parse_rate_per_s(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"{value} has no unit; write e.g. {value}/s")
    raise ValueError("a mapping, a list or nothing is not a rate; write a number per unit of time, e.g. 500/s")


def _bit_rate(value: object) -> int:
    if isinstance(value, str):
        return parse_bit_rate(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"{value} has no unit; write e.g. {value}mbit")
    raise ValueError("a mapping, a list or nothing is not a bandwidth; write a number and a unit, e.g. 10mbit")


def _percent(value: object) -> object:
    return parse_ratio(value) * 100 if isinstance(value, str) else value


def _workers(value: object) -> int | None:
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

#: A condition over the integer request id.
Condition = Annotated[Expression, parsed_by(_condition)]
WHEN = "Condition over the integer id: + - * // %, comparisons, and, or, not, parentheses."
