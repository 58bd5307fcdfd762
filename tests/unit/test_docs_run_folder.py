"""docs/run-folder.md names every key, column, event and number of the files that a run leaves."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pyarrow.parquet as pq
import pytest

from orchestrator.runfolder.format_versions import FORMAT_VERSIONS
from orchestrator.runfolder.journal import Record
from orchestrator.runfolder.manifest import (
    ArmEngine,
    BlockEntry,
    DelayLineStatistics,
    DiscardedEntry,
    Environment,
    Manifest,
)
from orchestrator.runfolder.observed import GitState, NoiseProbe
from support.arms_scenarios import ARMS, SWEEP
from support.run_folder_factory import ROOT, ScenarioOverride, experiment_from, finished_run, scenario_from

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.runfolder.folder import RunFolder

PAGE = (ROOT / "docs" / "run-folder.md").read_text()
TABLES = ("samples", "hedges", "server")
#: By strategy; and what is as the scenario has it.
BY_STRATEGY, FROM_THE_SCENARIO = ("strategies", "requests"), ("set", "matrix")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[RunFolder]:
    """Finished runs: one with a time-out, one with arms and faults, a sweep."""
    results = tmp_path_factory.mktemp("results")
    plain = finished_run(results, scenario_from("smoke"), {"kernel": ScenarioOverride(unanswered=frozenset({499}))})
    return [plain, *(finished_run(results, experiment_from(results, text)) for text in (ARMS, SWEEP))]


def section(title: str) -> str:
    """The part of the page under a heading."""
    (found,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
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


def test_every_column_is_explained_with_its_type(folders: list[RunFolder]) -> None:
    explained = section("The tables")
    for table in TABLES:
        (part,) = re.findall(rf"\*\*`{table}\.parquet`\*\*(.*?)(?=\*\*`|\Z)", explained, re.DOTALL)
        columns = pq.read_schema(getattr(folders[0], table))
        assert_named(set(columns.names), part)
        typed = dict(re.findall(r"^\| `(\w+)` \| (\w+)", part, re.MULTILINE))
        assert typed.items() <= {column.name: str(column.type) for column in columns}.items()


def test_every_key_of_summaries_is_explained(folders: list[RunFolder]) -> None:
    for folder in folders:
        assert_named(set(keys(json.loads(folder.summary.read_text()))), section("summary.json"))


def test_every_event_that_is_written_is_explained() -> None:
    events = {record.TAG[1] for record in get_args(Record)}
    assert {"begin", "change", "fault", "block-discarded", "end"} <= events
    assert_named(events, section("journal.jsonl"))


def test_every_key_of_manifests_is_explained() -> None:
    for kind in (
        Manifest,
        BlockEntry,
        DiscardedEntry,
        ArmEngine,
        DelayLineStatistics,
        Environment,
        NoiseProbe,
        GitState,
    ):
        assert_named({field.name for field in fields(kind)}, section("manifest.json"))


def test_every_key_of_the_journal_is_explained() -> None:
    named = set(re.findall(r"`(\w+)`", section("journal.jsonl")))
    for record in get_args(Record):
        assert {field.name for field in fields(record)} <= named


def test_the_numbers_are_those_of_the_code() -> None:
    told = re.findall(r"^\| `([\w.]+)` \| .* \| `(?:hedgerow\.)?schema`[^|]*: (\d+) \|", PAGE, re.MULTILINE)
    assert {name: int(number) for name, number in told} == dict(FORMAT_VERSIONS)


def test_every_file_of_a_run_is_in_the_list(folders: list[RunFolder]) -> None:
    files = {path.name for path in vars(folders[0]).values() if isinstance(path, Path) and path.suffix}
    assert_named(files - {folders[0].path.name}, PAGE)
