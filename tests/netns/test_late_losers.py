"""Answers that come long after the time-out: still the losers of requests that were answered in time, and dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from support.scenario_files import finish, start_run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root

#: One worker, half as many more requests than it can serve, every one of them hedged: the queue grows by seconds.
SCENARIO = """\
version: 1
name: late-losers
service: {service_time: 25ms, concurrency: 1}
workload:
  requests: 120
  warmup: 2
  arrivals: {mode: open, rate: 60/s}
  timeout: 400ms
hedging: {delay: 60ms, budget: {percent: 100, burst: 200}, copy_id: {offset: 4, length: 2}}
strategies: [kernel]
design: {blocks: 1}
claims: [{id: no-duplicates, expect: "duplicates(kernel) == 0"}]
"""


def test_a_loser_that_waited_in_a_queue_for_longer_than_the_time_out_is_dropped(tmp_path: Path) -> None:
    scenario = tmp_path / "late-losers.yaml"
    scenario.write_text(SCENARIO)
    run = finish(start_run(scenario, tmp_path, "--json", "--no-report"))
    assert run.code == 0, run.errors
    samples = {row["request_id"]: row for row in pq.read_table(run.folder / "samples.parquet").to_pylist()}
    copies = pq.read_table(run.folder / "server.parquet").to_pylist()
    answered = {id_ for id_, row in samples.items() if row["outcome"] == "answered"}
    late = {
        copy["request_id"]
        for copy in copies
        if copy["request_id"] in answered
        and copy["copy"] == 2
        and copy["sent_ns"] - samples[copy["request_id"]]["sent_ns"] > 430_000_000
    }
    assert late, "the queue should have grown beyond the time-out"
    assert {samples[id_]["copies_received"] for id_ in answered} == {1}
    assert run.manifest["counters"]["kernel"].get("in_unmatched", 0) == 0
