"""The keys that only a scenario *file* has: variants of the scenario that the rest of it describes.

Loading takes them apart before the models see anything (`arms`), so these models are their reference only: the
JSON Schema is made of them.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from orchestrator.scenario.arms import MAX_ARMS, NAME
from orchestrator.scenario.models import Scenario

Overrides = dict[str, Any]
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
