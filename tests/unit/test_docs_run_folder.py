"""The pages of the run folder name every key, column, event, file and number of what a run leaves."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pyarrow.parquet as pq
import pytest

from orchestrator.runfolder.format_versions import FORMAT_VERSIONS
from orchestrator.runfolder.journal import Record, Undo
from orchestrator.runfolder.manifest import Manifest
from orchestrator.runfolder.observed import Activity, ActivityDifferences, InterfaceDifferences
from orchestrator.runfolder.summary import Summary
from support import run_folder_reference
from support.arms_scenarios import ARMS, SWEEP
from support.run_folder_factory import ROOT, ScenarioOverride, experiment_from, finished_run, scenario_from

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.runfolder.folder import RunFolder

PAGE = (ROOT / "docs" / "run-folder.md").read_text()
KEYS = run_folder_reference.PAGE.read_text()
TABLES = ("samples", "hedges", "server")
#: Names that need no explanation; and whole types of such names, the kernel's own.
SELF_EXPLAINING = {
    *(
        "arm",
        "strategy",
        "name",
        "id",
        "text",
        "expect",
        "engine",
        "delay_line",
        "verdict",
        "started_at",
        "finished_at",
    ),
    *("duration_s", "cpus", "p50", "p99", "max", "strategies", "comparisons", "claims", "figures", "answered"),
    *("timeouts", "errors", "share", "fault", "target", "occurrences", "proven", "value_ms", "planned_ns"),
}
OF_THE_KERNEL = {Activity, ActivityDifferences, InterfaceDifferences}
#: By strategy; and what is as the scenario has it.
BY_STRATEGY, FROM_THE_SCENARIO = ("strategies", "requests"), ("set", "matrix")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[RunFolder]:
    """Finished runs: one with a time-out, one with arms and faults, a sweep."""
    results = tmp_path_factory.mktemp("results")
    plain = finished_run(results, scenario_from("smoke"), {"kernel": ScenarioOverride(unanswered=frozenset({499}))})
    return [plain, *(finished_run(results, experiment_from(results, text)) for text in (ARMS, SWEEP))]


def section(title: str) -> str:
    """The part of the page of keys under a heading."""
    (found,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", KEYS, re.DOTALL | re.MULTILINE)
    return str(found)


def assert_named(names: set[str], text: str) -> None:
    """Each stands in `text` as code."""
    assert sorted(name for name in names if f"`{name}`" not in text) == []


def keys(value: Any) -> Iterator[str]:
    """The keys in a summary that are the format's own."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield key
            if key in BY_STRATEGY and isinstance(below, dict):
                yield from keys([*below.values()])
            elif key not in FROM_THE_SCENARIO:
                yield from keys(below)
    elif isinstance(value, list):
        for below in value:
            yield from keys(below)


def test_the_page_of_keys_is_made_of_the_types() -> None:
    assert run_folder_reference.reference() == KEYS, "write it again: make docs"


def test_every_column_is_explained_with_its_type(folders: list[RunFolder]) -> None:
    for table in TABLES:
        columns = {column.name: str(column.type) for column in pq.read_schema(getattr(folders[0], table))}
        assert dict(re.findall(r"^\| `(\w+)` \| (\w+)", section(f"{table}.parquet"), re.MULTILINE)) == columns


def test_every_key_is_explained_but_those_whose_names_say_all() -> None:
    kinds = {*run_folder_reference.reachable(Manifest), *run_folder_reference.reachable(Summary), *get_args(Record)}
    assert kinds > OF_THE_KERNEL
    unexplained = {
        field.name
        for kind in kinds - OF_THE_KERNEL
        for field in fields(kind)
        if not run_folder_reference.meaning(kind, field.name)
    }
    assert unexplained == SELF_EXPLAINING


def test_every_key_of_summaries_is_explained(folders: list[RunFolder]) -> None:
    for folder in folders:
        assert_named(set(keys(json.loads(folder.summary.read_text()))), section("summary.json"))


def test_every_event_that_is_written_is_explained() -> None:
    events = {record.TAG[1] for record in get_args(Record)}
    assert {"begin", "change", "fault", "block-discarded", "end"} <= events
    for event in events:
        assert f"### Event {event}\n" in section("journal.jsonl")


def test_every_key_of_manifests_is_explained() -> None:
    kinds = run_folder_reference.reachable(Manifest)
    assert len(kinds) > 10
    for kind in kinds:
        assert_named({field.name for field in fields(kind)} | {"schema"}, section("manifest.json"))


def test_every_key_of_the_journal_is_explained() -> None:
    named = set(re.findall(r"`(\w+)`", section("journal.jsonl")))
    for record in (*get_args(Record), *get_args(Undo)):
        assert {field.name for field in fields(record)} <= named


def test_the_numbers_are_those_of_the_code() -> None:
    told = re.findall(r"^\| `([\w.]+)` \| .* \| `(?:hedgerow\.)?schema`[^|]*: (\d+) \|", PAGE, re.MULTILINE)
    assert {name: int(number) for name, number in told} == dict(FORMAT_VERSIONS)


def test_every_file_of_a_run_is_in_the_list(folders: list[RunFolder]) -> None:
    files = {path.name for path in vars(folders[0]).values() if isinstance(path, Path) and path.suffix}
    assert_named(files - {folders[0].path.name}, PAGE)
