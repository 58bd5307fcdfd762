"""Tables: what programs wrote is what the analysis reads, in the columns that the contract names."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
import pytest

from hedgerow_node.records import NO_TIME, Action, Outcome, Sample, Winner, read_rows
from orchestrator.errors import RunError
from orchestrator.runfolder.folder import RunFolder
from orchestrator.runfolder.integrity import write_checksums
from orchestrator.runfolder.tables import read_hedges, read_samples, read_server, write_tables
from support.run_folder_factory import ScenarioOverride, plan_of, raw_run, scenario_from

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SMOKE = scenario_from("smoke")
PLAN = plan_of(SMOKE)


@pytest.fixture
def raw(tmp_path: Path) -> RunFolder:
    """A smoke run whose blocks are over, with one request of the kernel's unanswered."""
    return raw_run(tmp_path, SMOKE, {"kernel": ScenarioOverride(unanswered=frozenset({7}))})


def test_tables_have_the_columns_of_the_contract(raw: RunFolder) -> None:
    write_tables(raw, PLAN)
    assert pq.read_schema(raw.samples).names == [
        *("strategy", "block", "seq", "request_id", "intended_ns", "sent_ns", "kernel_rx_ns", "received_ns"),
        *("outcome", "copies_received", "arm"),
    ]
    assert pq.read_schema(raw.hedges).names == [
        *("strategy", "arm", "block", "request_id", "copy", "request_ns", "deadline_ns", "departure_ns", "replica"),
        *("first_response_ns", "winner"),
    ]
    assert pq.read_schema(raw.server).names == [
        *("strategy", "block", "request_id", "copy", "source_port", "replica", "received_ns", "due_ns", "sent_ns"),
        *("action", "arm"),
    ]


def test_codes_are_words_and_what_did_not_happen_is_null(raw: RunFolder) -> None:
    write_tables(raw, PLAN)
    rows = pq.read_table(raw.samples, filters=[("strategy", "=", "kernel"), ("request_id", "=", 7)]).to_pylist()
    assert [(row["outcome"], row["received_ns"], row["kernel_rx_ns"]) for row in rows] == [("timeout", None, None)]
    assert pq.read_table(raw.hedges)["arm"].null_count == pq.read_table(raw.hedges).num_rows
    assert set(pq.read_table(raw.server)["action"].to_pylist()) == {"served", "stalled", "healed"}


def test_what_is_read_is_what_was_written(raw: RunFolder) -> None:
    written = [row for block in PLAN.of("kernel") for row in read_rows(raw.raw_samples(block), Sample)]
    write_tables(raw, PLAN)
    kernel = read_samples(raw)[None]["kernel"]
    for column in ("request_id", "sent_ns", "received_ns", "kernel_rx_ns", "outcome", "copies_received"):
        assert sorted(kernel[column].tolist()) == sorted(getattr(row, column) for row in written)
    assert kernel["received_ns"][kernel["outcome"] == Outcome.TIMEOUT].tolist() == [NO_TIME]


def test_every_strategy_is_read_apart_with_its_blocks(raw: RunFolder) -> None:
    write_tables(raw, PLAN)
    samples, hedges, server = (read(raw)[None] for read in (read_samples, read_hedges, read_server))
    assert set(samples) == set(SMOKE.strategies) == set(server)
    assert set(hedges) == set(SMOKE.strategies) - {"baseline"}
    assert np.bincount(samples["baseline"]["block"]).tolist() == [100] * 5
    assert (server["baseline"]["action"] == Action.STALLED).sum() == 10
    assert set(hedges["kernel"]["winner"].tolist()) == {Winner.UNKNOWN}


def test_raw_files_are_gone_once_the_tables_are_written(raw: RunFolder) -> None:
    write_tables(raw, PLAN)
    assert not raw.raw.exists()


def test_a_missing_record_is_named_and_the_others_are_kept(raw: RunFolder) -> None:
    raw.raw_hedges(PLAN.blocks[3]).unlink()
    with pytest.raises(RunError, match=r"003-\S+\.hedges is missing"):
        write_tables(raw, PLAN)
    assert raw.raw.exists()


def test_a_torn_record_is_named(raw: RunFolder) -> None:
    path = raw.raw_samples(PLAN.blocks[0])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RunError, match="is torn"):
        write_tables(raw, PLAN)


def test_an_empty_run_has_empty_tables(raw: RunFolder) -> None:
    write_tables(raw, [])
    assert read_samples(raw) == {} == read_hedges(raw)


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"samples\.parquet is missing"):
        read_samples(RunFolder(tmp_path))


def test_checksums_cover_every_file_and_are_what_sha256sum_reads(raw: RunFolder) -> None:
    write_tables(raw, PLAN)
    write_checksums(raw)
    write_checksums(raw)
    lines = raw.checksums.read_text().splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    files = {str(path.relative_to(raw.path)) for path in raw.path.rglob("*") if path.is_file()}
    assert set(sums) == files - {"SHA256SUMS"}
    assert sums["scenario.yaml"] == hashlib.sha256(raw.scenario.read_bytes()).hexdigest()


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def overwritten(path: Path) -> None:
    path.write_bytes(b"\0" * path.stat().st_size)


def without_a_column(path: Path) -> None:
    pq.write_table(pq.read_table(path).drop_columns(["request_id"]), path)


def of_another_word(path: Path) -> None:
    table = pq.read_table(path)
    words = ["lost" if word == "timeout" else word for word in table["outcome"].to_pylist()]
    pq.write_table(table.set_column(table.column_names.index("outcome"), "outcome", [words]), path)


@pytest.mark.parametrize("damage", [cut_short, overwritten, without_a_column, of_another_word])
def test_a_damaged_table_is_named(raw: RunFolder, damage: Callable[[Path], None]) -> None:
    write_tables(raw, PLAN)
    damage(raw.samples)
    with pytest.raises(RunError, match=r"samples\.parquet cannot be read: ") as refused:
        read_samples(raw)
    assert "SHA256SUMS" in refused.value.remedy
