"""The published hedger's map is full after 10,240 ids; from then on it sends every request twice. Ours does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from support.scenario_files import NEVER_TOO_LATE, finish, start_run, write_scenario

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root

REQUESTS = 30_000


def test_fifteen_thousand_ids_and_fifteen_thousand_more(tmp_path: Path) -> None:
    scenario = write_scenario(
        tmp_path,
        name="many-ids",
        requests=REQUESTS,
        users=8,
        strategies="kernel",
        service_time="300us",
        think="500us",
        timeout=NEVER_TOO_LATE,
    )
    run = finish(start_run(scenario, tmp_path, "--json", "--no-report"))
    assert run.code in (0, 1, 3), run.errors
    hedges: list[dict[str, Any]] = pq.read_table(run.folder / "hedges.parquet").to_pylist()
    hedges = [row for row in hedges if row["request_id"] < 1 << 31]
    copies = pq.read_table(run.folder / "server.parquet", columns=["block", "request_id", "action"]).to_pylist()
    copies = [row for row in copies if row["request_id"] < 1 << 31]
    stalled = {row["request_id"] for row in copies if row["action"] == "stalled"}
    hedged = {row["request_id"]: row for row in hedges}
    assert stalled == {request_id for request_id in range(REQUESTS) if request_id % 100 < 2}
    assert len(hedges) == len(hedged), "no request is hedged twice"
    assert stalled <= set(hedged), "every stalled request is hedged"
    for request_id in set(hedged) - stalled:
        assert hedged[request_id]["first_response_ns"] > hedged[request_id]["deadline_ns"], "answered in time"
    for block, ids in ((0, range(15_000)), (1, range(15_000, REQUESTS))):
        received = [row for row in copies if row["block"] == block]
        sent = [row for row in hedges if row["block"] == block]
        assert {row["request_id"] for row in received} == set(ids)
        assert len(received) == len(ids) + len(sent), "copies received = requests + hedges sent"
    kernel = run.summary["strategies"]["kernel"]
    assert (kernel["answered"], kernel["duplicates_delivered"]) == (REQUESTS, 0)
    counters = run.manifest["counters"]["kernel"]
    assert counters.get("lane_busy", 0) == counters.get("lost", 0) == counters.get("events_lost", 0) == 0
