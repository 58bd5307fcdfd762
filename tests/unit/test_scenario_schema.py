"""The JSON Schema is the reference of scenario files: complete, described, and in the spelling of files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.scenario.schema import scenario_json_schema

if TYPE_CHECKING:
    from collections.abc import Iterator


def properties(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property of `schema`, definitions included, with its path."""
    if isinstance(schema, dict):
        for name, value in schema.get("properties", {}).items():
            yield f"{path}.{name}", value
        for key, value in schema.items():
            yield from properties(value, f"{path}/{key}")


def test_every_key_is_described() -> None:
    assert [path for path, schema in properties(scenario_json_schema()) if not schema.get("description")] == []


def test_defaults_are_spelt_as_files_spell_them() -> None:
    definitions = scenario_json_schema()["$defs"]
    assert definitions["Workload"]["properties"]["timeout"]["default"] == "1s"
    assert definitions["Service"]["properties"]["concurrency"]["default"] == "unlimited"


def test_what_a_file_leaves_out_is_no_duration() -> None:
    pause = scenario_json_schema()["$defs"]["Loss"]["properties"]
    assert (pause["every"]["default"], pause["duration"]["default"], pause["at"]["default"]) == (None, None, "0s")


def test_faults_are_distinguished_by_their_name() -> None:
    schema = scenario_json_schema()
    mapping = schema["properties"]["faults"]["items"]["discriminator"]["mapping"]
    kinds = {name: schema["$defs"][reference.rpartition("/")[2]] for name, reference in mapping.items()}
    assert all(definition["properties"]["fault"]["const"] == name for name, definition in kinds.items())
    assert all({"fault", "target"} <= set(definition["required"]) for definition in kinds.values())
    assert "duration" in kinds["pause"]["required"]
    assert not {"duration"} & set(kinds["restart"]["properties"])


def test_every_key_that_must_be_written_has_an_example() -> None:
    schema = scenario_json_schema()
    sections = {"": schema, **{name: mapping(definition) for name, definition in schema["$defs"].items()}}
    required = {
        f"{name}.{key}": section["properties"][key]
        for name, section in sections.items()
        for key in section.get("required", ())
    }
    assert {"Workload.requests", "ServiceTime.median", "Slow.factor", ".hedging"} <= set(required)
    assert [key for key, field in required.items() if "const" not in field and not field.get("examples")] == []


def mapping(definition: Any) -> Any:
    """The definition of a section, also where a short form may stand instead."""
    return next((form for form in definition.get("anyOf", ()) if "properties" in form), definition)


def test_variants_are_keys_of_a_file() -> None:
    assert {"arms", "matrix", "smoke"} <= set(scenario_json_schema()["properties"])


def test_unknown_keys_are_refused_by_the_schema_too() -> None:
    schema = scenario_json_schema()
    sections = [definition for definition in schema["$defs"].values() if definition.get("type") == "object"]
    assert schema["additionalProperties"] is False
    assert all(section["additionalProperties"] is False for section in sections)


def test_what_models_hold_parsed_is_text_in_files() -> None:
    definitions = scenario_json_schema()["$defs"]
    assert definitions["Claim"]["properties"]["expect"]["type"] == "string"
    condition = definitions["DropRequests"]["properties"]["when"]
    assert (condition["type"], condition["default"]) == ("string", "id >= 0")
