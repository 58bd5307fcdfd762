"""What every part of a scenario file is made of, so that each subject can have a module of its own."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from hedgerow_node.expression import ExpressionError
from hedgerow_node.expression import parse as parse_when
from hedgerow_node.units import NS_PER_S
from orchestrator.scenario.spelling import meant

MINUTE_NS = 60 * NS_PER_S
_UNKNOWN_SIGN = re.compile(r"column (\d+): '.' has no meaning here")


class Section(BaseModel):
    """A mapping of the scenario file: unknown keys are refused, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _when(text: str) -> str:
    try:
        parse_when(text)
    except ExpressionError as error:
        unknown = _UNKNOWN_SIGN.match(str(error))
        remedy = meant(text[int(unknown[1]) - 1 :]) if unknown else ""
        raise ValueError(f"{text!r}: {error}; {remedy}" if remedy else f"{text!r}: {error}") from error
    return text


#: A condition over the integer request id, checked to be one.
Condition = Annotated[str, AfterValidator(_when)]
WHEN = "Condition over the integer id: + - * // %, comparisons, and, or, not, parentheses."
