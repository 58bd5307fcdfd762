"""The server of a scenario: what it takes for a request, how many at once, and which it answers late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from hedgerow_node.units import format_duration
from orchestrator.scenario.quantities import Duration, Real, Whole, Workers, between_ns
from orchestrator.scenario.section import MINUTE_NS, WHEN, Condition, Section

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema


class ServiceTime(Section):
    """How long the server works on a request: a duration, or a distribution seeded by request id."""

    distribution: Literal["constant", "lognormal"] = Field(
        default="constant", description="constant: always the median; lognormal: drawn anew for each copy of each id."
    )
    median_ns: Annotated[Duration, AfterValidator(between_ns(1, MINUTE_NS))] = Field(
        alias="median", description="Median time that the server takes for a request."
    )
    sigma: Annotated[Real, Field(ge=0, le=3)] = Field(
        default=0.0, description="Standard deviation of the time's natural logarithm; lognormal only."
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return value if isinstance(value, dict) else {"distribution": "constant", "median": value}

    @model_validator(mode="after")
    def _sigma_belongs_to_lognormal(self) -> ServiceTime:
        if self.distribution == "constant" and self.sigma:
            raise ValueError("a constant service time has no sigma; remove it, or set distribution: lognormal")
        return self

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> Any:
        return format_duration(self.median_ns) if self.distribution == "constant" else handler(self)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        mapping = handler.resolve_ref_schema(handler(core_schema))
        short = mapping["properties"]["median"]
        return {"anyOf": [{key: short[key] for key in ("type", "pattern", "examples")}, mapping]}


class Stall(Section):
    """Which requests the server answers late, and by how much."""

    when: Condition = Field(description=WHEN, examples=["id % 100 < 2"])
    duration_ns: Annotated[Duration, AfterValidator(between_ns(1, MINUTE_NS))] = Field(
        alias="duration", description="How long a stalled response is held back beyond its service time."
    )
    heal_on_duplicate: Annotated[bool, Field(strict=True)] = Field(
        default=False,
        description="Whether a second copy of a request, seen within a second of the first, is answered at once.",
    )


class Service(Section):
    """The server and how it behaves."""

    port: Annotated[Whole, Field(ge=1, le=65535)] = Field(default=9000, description="UDP port of the service.")
    service_time: ServiceTime = Field(
        default_factory=lambda: ServiceTime.model_validate("2ms"),
        description="Time the server takes for a request; 2ms if left out.",
    )
    concurrency: Workers = Field(
        default=None,
        description="Requests worked on at once, the others queue first come first served; or unlimited.",
    )
    stall: Stall | None = Field(default=None, description="Deterministic stalls; none if left out.")
