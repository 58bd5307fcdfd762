"""The JSON Schema of scenario files, for editors and for those who write scenarios by program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from hedgerow_node.expression import Expression
from orchestrator.scenario.arms import MAX_ARMS, NAME
from orchestrator.scenario.models import Scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic_core import core_schema


Overrides = dict[str, object]
Swept = Annotated[tuple[str | int | float, ...], Field(min_length=1)]
_ARMS = (
    "Variants by name, reported side by side: each a part of a scenario laid over the rest of the file. Mappings are "
    "merged, lists and single values replace. design, topology.placement and service.port are the same in all arms."
)


class ScenarioFile(Scenario):
    """A scenario, or several variants of one."""

    model_config = ConfigDict(title="Scenario", json_schema_extra={"not": {"required": ["arms", "matrix"]}})

    arms: dict[Annotated[str, Field(pattern=f"^{NAME.pattern}$")], Overrides | None] | None = Field(
        default=None, min_length=1, max_length=MAX_ARMS, description=_ARMS
    )
    matrix: dict[str, Swept] | None = Field(
        default=None,
        min_length=1,
        max_length=2,
        description="Values of one or two dotted keys; an arm for each combination, named after the values.",
        examples=[{"hedging.delay": ["5ms", "10ms", "20ms"]}],
    )
    smoke: Overrides | None = Field(
        default=None,
        description="Overrides of the quick variant (--smoke), on top of one block, baseline and kernel, no claims; "
        "may hold arms and matrix.",
    )


class _DefaultsAsWritten(GenerateJsonSchema):
    """Shows defaults as a file spells them (10ms), where pydantic would show what models hold (10000000)."""

    def encode_default(self, dft: object) -> object:
        """A condition as its text, which pydantic could not guess."""
        return dft.text if isinstance(dft, Expression) else super().encode_default(dft)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        result = super().default_schema(schema)
        if "default" in result and schema.get("default") is None and schema["schema"]["type"] == "nullable":
            return result
        written = _serializer(schema["schema"])
        if "default" in result and written is not None:
            result["default"] = written(schema.get("default"))
        return result


def _serializer(schema: Mapping[str, object]) -> Callable[[object], object] | None:
    """What writes the values that pydantic's `schema` reads, None where they are written as they are."""
    while "serialization" not in schema:
        inner = schema.get("schema")
        if not isinstance(inner, dict):
            return None
        schema = inner
    serialization = schema["serialization"]
    function = serialization.get("function") if isinstance(serialization, dict) else None
    return function if callable(function) else None


def scenario_json_schema() -> JsonSchemaValue:
    """The JSON Schema (draft 2020-12) that every scenario file of this version satisfies."""
    schema = ScenarioFile.model_json_schema(by_alias=True, schema_generator=_DefaultsAsWritten)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
