"""The same faults in every strategy and every run of one seed; and no figure where a fault is not proven."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from orchestrator.run.faults.carriers.orchestrator import UNUSED
from support.fault_run import FaultRun, run_with_faults, write_fault_scenario
from support.scenario_files import start_run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root

FAULTS = (
    "fault: pause, target: server-0, at: 300ms, duration: 100ms, jitter: 200ms",
    'fault: stall, target: server-1, at: 300ms, duration: 400ms, jitter: 200ms, when: "id % 3 == 1", delay: 30ms',
    "fault: drop-requests, target: server-2, at: 600ms, duration: 200ms, jitter: 100ms",
    "fault: loss, target: servers, at: 900ms, duration: 500ms, percent: 30%, direction: requests",
)

#: Of each fault at each node: its planned offset, and the requests that it affected.
Met = dict[tuple[str, str, int], set[int]]


def met(run: FaultRun, strategy: str) -> Met:
    """Which requests met which fault, by the servers' logs and the plan of the journal."""
    found: Met = {}
    rows = [row for row in run.copies if row["strategy"] == strategy and row["copy"] == 1]
    arrived = {row["request_id"] for row in rows}
    for record in run.records(strategy):
        start_ns, target = record["start_ns"], record["target"]
        replica = int(target.removeprefix("server-"))
        intended = {
            row["request_id"]: row["intended_ns"]
            for row in run.samples
            if row["strategy"] == strategy and row["request_id"] % 3 == replica
        }
        inside = {i for i, at in intended.items() if record["planned_ns"] <= at < record["planned_until_ns"]}
        match record["fault"]:
            case "pause":
                ids = inside
            case "loss":
                # Where the hedge of a request arrives, its primary was lost all the same.
                asked = {row["request_id"] for row in rows if row["replica"] == replica}
                ids = inside - asked
            case fault:
                action = {"stall": "stalled", "drop-requests": "dropped"}[fault]
                ids = {row["request_id"] for row in rows if (row["action"], row["replica"]) == (action, replica)}
                ids &= arrived & set(intended)
        assert ids, (strategy, record["fault"], target)
        found[record["fault"], target, record["planned_ns"] - start_ns] = ids
    return found


def test_one_seed_affects_the_same_requests_in_every_run_and_another_seed_others(tmp_path: Path) -> None:
    runs = []
    for name, seed in (("first", 42), ("second", 42), ("third", 43)):
        scenario = write_fault_scenario(
            tmp_path, *FAULTS, name=name, seed=seed, requests=300, timeout="300ms", strategies="baseline, kernel"
        )
        runs.append(run_with_faults(scenario, tmp_path / f"results-{name}"))
    first, second, third = (met(run, "baseline") for run in runs)
    assert first == second
    assert first == met(runs[0], "kernel") == met(runs[1], "kernel")
    assert set(first).isdisjoint(third) or all(first[key] != third[key] for key in set(first) & set(third))
    assert [sorted(ids) for ids in first.values()] != [sorted(ids) for ids in third.values()]


def test_a_fault_that_cannot_be_proven_discards_the_block_twice_and_then_fails_the_run(tmp_path: Path) -> None:
    """No server uses up ninety processors."""
    quota = "fault: cpu-quota, target: server-0, at: 100ms, duration: 200ms, percent: 9000"
    scenario = write_fault_scenario(tmp_path, quota, requests=80, timeout="200ms")
    process = start_run(scenario, tmp_path / "results", "--json", "--no-report")
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 5, errors
    error = json.loads(output)["error"]
    assert error["code"] == 5
    reason = f"cpu-quota of server-0 (0.0) is not proven: {UNUSED}; lower percent, or add cpu-stress to the same node"
    assert f"block 0 (baseline): {reason}, in 3 attempts" in error["message"]
    assert "nr_throttled_after" in error["message"]
    for number in (1, 2, 3):
        assert f"block 0 (baseline): attempt {number} of 3 discarded: {reason}" in errors
    (folder,) = (tmp_path / "results").iterdir()
    journal = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    assert [record["serial"] for record in journal if record["event"] == "block-discarded"] == [0, 1, 2]
    assert [record["proven"] for record in journal if record["event"] == "fault"] == [False] * 3
    manifest = json.loads((folder / "manifest.json").read_text())
    assert [(entry["attempt"], entry["reasons"]) for entry in manifest["discarded"]] == [
        (number, [reason]) for number in (1, 2, 3)
    ]
    assert manifest["blocks"] == []
    assert manifest["status"].startswith("failed: block 0")
