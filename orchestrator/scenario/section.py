"""What every part of a scenario file is made of, so that each subject can have a module of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Protocol

from pydantic import BaseModel, ConfigDict, GetPydanticSchema
from pydantic_core import core_schema

from hedgerow_node.expression import Expression, ExpressionError, parse
from hedgerow_node.units import NS_PER_S
from orchestrator.scenario.spelling import meant

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTE_NS = 60 * NS_PER_S
_UNKNOWN_SIGN = re.compile(r"column (\d+): '.' has no meaning here")


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
        unknown = _UNKNOWN_SIGN.match(str(error))
        remedy = meant(text[int(unknown[1]) - 1 :]) if unknown else ""
        raise ValueError(f"{text!r}: {error}; {remedy}" if remedy else f"{text!r}: {error}") from error


#: A condition over the integer request id.
Condition = Annotated[Expression, parsed_by(_condition)]
WHEN = "Condition over the integer id: + - * // %, comparisons, and, or, not, parentheses."
