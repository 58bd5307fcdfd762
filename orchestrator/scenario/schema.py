"""The JSON Schema of scenario files, for editors and for those who write scenarios by program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from hedgerow_node.expression import Expression
from orchestrator.scenario.experiment_file import ScenarioFile

if TYPE_CHECKING:
    from pydantic_core import core_schema


class _DefaultsAsWritten(GenerateJsonSchema):
    """Shows defaults as a file spells them (10ms), where pydantic would show what models hold (10000000)."""

    def encode_default(self, dft: object) -> object:
        """A condition as its text, which pydantic could not guess."""
        return dft.text if isinstance(dft, Expression) else super().encode_default(dft)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        result = super().default_schema(schema)
        if "default" in result and schema.get("default") is None and schema["schema"]["type"] == "nullable":
            return result
        inner: Any = schema["schema"]
        while "serialization" not in inner and "schema" in inner:
            inner = inner["schema"]
        written = inner.get("serialization", {}).get("function")
        if "default" in result and written is not None:
            result["default"] = written(schema.get("default"))
        return result


def scenario_json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) that every scenario file of this version satisfies."""
    schema = ScenarioFile.model_json_schema(by_alias=True, schema_generator=_DefaultsAsWritten)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
