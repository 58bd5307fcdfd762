"""What the documentation says is so: its scenario is one, its lists are complete, its links lead somewhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, get_args

import yaml

from orchestrator.claims.functions import FUNCTIONS
from orchestrator.scenario.faults import Fault
from orchestrator.scenario.load import load_experiment
from orchestrator.scenario.models import Strategy
from orchestrator.scenario.schema import scenario_json_schema
from support import scenario_reference
from support.run_folder_factory import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SCENARIOS = (ROOT / "docs" / "scenarios.md").read_text()
KEYS = scenario_reference.PAGE.read_text()


def yaml_blocks() -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", SCENARIOS, re.DOTALL)


def test_the_scenario_that_is_explained_key_by_key_is_one(tmp_path: Path) -> None:
    (whole,) = [block for block in yaml_blocks() if block.startswith("version:")]
    file = tmp_path / "explained.yaml"
    file.write_text(whole)
    assert load_experiment(file).name == "my-experiment"


def test_arms_and_matrix_as_explained_can_be_added_to_it(tmp_path: Path) -> None:
    (whole,) = [block for block in yaml_blocks() if block.startswith("version:")]
    for key in ("arms", "matrix"):
        (variant,) = [block for block in yaml_blocks() if block.startswith(f"{key}:")]
        document = {**yaml.safe_load(whole), **yaml.safe_load(variant)}
        document["faults"] = [{"fault": "loss", "target": "server-0", "percent": 1}]
        file = tmp_path / f"{key}.yaml"
        file.write_text(yaml.safe_dump(document))
        assert len(load_experiment(file).arms) == (2 if key == "arms" else 4)


def test_every_fault_strategy_and_scenario_is_listed() -> None:
    kinds = {get_args(model.model_fields["fault"].annotation)[0] for model in get_args(get_args(Fault)[0])}
    assert len(kinds) > 10
    for name in [*kinds, *get_args(Strategy)]:
        assert re.search(rf"[`, ]{name}[`, ]", SCENARIOS), name
    for file in (ROOT / "scenarios").glob("*.yaml"):
        assert f"(../scenarios/{file.name})" in SCENARIOS


def test_the_page_of_keys_is_made_of_the_schema_and_the_functions() -> None:
    assert scenario_reference.reference() == KEYS, "write it again: make docs"


def test_every_key_of_a_scenario_and_every_function_has_a_row() -> None:
    schema = scenario_json_schema()
    sections = [schema, *schema["$defs"].values()]
    keys = {key for section in sections for key in section.get("properties", {})} - {"fault"}
    assert len(keys) > 50
    assert (
        sorted(
            key
            for key in keys
            if not re.search(rf"^\| `(\S+\.)?{key}` \||; `{key}`|\| `{key}` \(", KEYS, re.MULTILINE)
        )
        == []
    )
    assert sorted(name for name in FUNCTIONS if not re.search(rf"^\| `{name}` \| \w+ \|", KEYS, re.MULTILINE)) == []


def test_links_lead_somewhere() -> None:
    links = [(page, link) for page in PAGES for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text())]
    assert len(links) > 20
    for page, link in links:
        assert link.startswith(("http://", "https://")) or (page.parent / link).exists(), (page.name, link)


def headings(page: Path) -> set[str]:
    """The fragments that lead to a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


def test_links_to_headings_find_them() -> None:
    links = [(page, *link) for page in PAGES for link in re.findall(r"\]\(([\w./-]*)#([^)]+)\)", page.read_text())]
    assert len(links) > 20
    for page, file, fragment in links:
        assert fragment in headings(page.parent / file if file else page), (page.name, file, fragment)
