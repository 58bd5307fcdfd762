"""A run with both of the kernel's engines: the hedger changes from one to the other between blocks, and says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from support.host_state import assert_as_before, host_state
from support.scenario_files import NEVER_TOO_LATE, finish, orchestrate, start_run, write_scenario

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root

ENGINES = {"kernel-clone": "clone", "kernel-queue": "queue"}
STALLED = {0, 1, 100, 101, 200, 201}


def test_each_block_has_its_engine_and_each_engine_hedges(tmp_path: Path) -> None:
    before = host_state()
    strategies = ", ".join(["baseline", *ENGINES])
    scenario = write_scenario(
        tmp_path, strategies=strategies, blocks=3, requests=300, timeout=NEVER_TOO_LATE, claims="  []"
    )
    run = finish(start_run(scenario, tmp_path / "results", "--json", "--no-report"))
    assert run.code == 0, run.errors
    assert_as_before(before)
    used = {(block["strategy"], block["engine"]) for block in run.manifest["blocks"]}
    assert {pair for pair in used if pair[0] != "baseline"} == set(ENGINES.items())
    assert run.manifest["engine"] == run.summary["engine"] == "clone+queue"
    assert {entry["engine"] for entry in run.manifest["delay_line_statistics"]} == {"clone", "queue"}
    samples = pq.read_table(run.folder / "samples.parquet").to_pylist()
    hedges = pq.read_table(run.folder / "hedges.parquet").to_pylist()
    for strategy, engine in ENGINES.items():
        figures = run.summary["strategies"][strategy]
        assert (figures["engine"], figures["answered"], figures["duplicates_delivered"]) == (engine, 300, 0)
        assert figures["delay_line"] in ("netem", "fq", "htb")
        rows = [row for row in hedges if row["strategy"] == strategy]
        assert {row["request_id"] for row in rows} >= STALLED
        assert all(row["departure_ns"] >= row["deadline_ns"] for row in rows)
        assert {row["copies_received"] for row in samples if row["strategy"] == strategy} == {1}
        counters = run.manifest["counters"][strategy]
        assert counters["hedges_sent"] == len(rows)
        assert counters["requests"] >= 300


def test_a_delay_line_that_the_kernel_lacks_is_refused_by_name_and_no_other_is_taken(tmp_path: Path) -> None:
    """Whichever of the lines this kernel has: the run has it, or fails and says that it is missing."""
    scenario = write_scenario(tmp_path, strategies="kernel-queue", claims="  []", requests=100, blocks=1)
    for line in ("fq", "htb"):
        done = orchestrate(
            *("run", str(scenario), "--backend", "netns", "--results", str(tmp_path / line), "--json", "--no-report"),
            *("--set", f"hedging.delay_line={line}"),
        )
        if done.returncode == 0:
            assert f'"delay_line": "{line}"' in done.stdout
        else:
            assert done.returncode in (4, 5), done.stderr
            assert line in done.stdout, "the error says what is missing"
