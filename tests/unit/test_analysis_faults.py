"""What the journal tells of faults: which struck when, in blocks that count, and what was discarded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from hedgerow_node.units import NS_PER_MS
from orchestrator.analysis.faults import read_fault_log
from orchestrator.analysis.run_data import ArmData, read_run
from orchestrator.analysis.windows import affected, windows
from orchestrator.errors import RunError
from orchestrator.plan.blocks import make_plan
from orchestrator.plan.faults import affected_ids, timeline
from support.arms_scenarios import ARMS
from support.run_folder_factory import experiment_from, finished_run

if TYPE_CHECKING:
    from pathlib import Path

FAULT: dict[str, Any] = {
    "event": "fault", "serial": 1, "order": 0, "arm": None, "strategy": "kernel", "block": 0, "key": "0.1",
    "fault": "pause", "target": "client", "planned_ns": 100, "applied_ns": 101, "planned_until_ns": 200,
    "undone_ns": 203, "start_ns": 0, "proven": True, "proof": {},
}  # fmt: skip
DISCARDED = {
    "event": "block-discarded",
    "serial": 1,
    "arm": None,
    "strategy": "kernel",
    "block": 0,
    "reasons": ["never seen stopped"],
}


def journal_of(folder: Path, *records: dict[str, Any] | str) -> Path:
    path = folder / "journal.jsonl"
    path.write_text("".join(record if isinstance(record, str) else json.dumps(record) + "\n" for record in records))
    return path


def test_faults_are_read_among_everything_else(tmp_path: Path) -> None:
    other = {"event": "change", "text": "ip link add", "undo": {}}
    (record,) = read_fault_log(journal_of(tmp_path, other, FAULT, {"event": "end"})).records
    assert (record.declared, record.target, record.applied_ns, record.proven) == (0, "client", 101, True)


def test_faults_of_discarded_blocks_do_not_count_but_are_told(tmp_path: Path) -> None:
    log = read_fault_log(journal_of(tmp_path, FAULT, DISCARDED, {**FAULT, "serial": 2}))
    assert [record.serial for record in log.records] == [2]
    assert [(block.strategy, block.block, block.reasons) for block in log.discarded] == [
        ("kernel", 0, ("never seen stopped",))
    ]


def test_a_last_line_that_was_cut_off_is_none(tmp_path: Path) -> None:
    assert len(read_fault_log(journal_of(tmp_path, FAULT, '{"event": "fau')).records) == 1


def test_a_broken_line_in_the_middle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"journal\.jsonl:1: is not JSON"):
        read_fault_log(journal_of(tmp_path, '{"event": "fau\n', FAULT))


def test_a_record_that_lacks_something_is_named(tmp_path: Path) -> None:
    record = {key: value for key, value in FAULT.items() if key != "proven"}
    with pytest.raises(RunError, match=r"journal\.jsonl:1: a fault record without 'proven'"):
        read_fault_log(journal_of(tmp_path, record))


def test_a_run_without_a_journal_has_no_faults(tmp_path: Path) -> None:
    assert read_fault_log(tmp_path / "journal.jsonl").records == ()


@pytest.fixture(scope="module")
def arms(tmp_path_factory: pytest.TempPathFactory) -> dict[str | None, ArmData]:
    """A run of two arms with a pause each."""
    folder = tmp_path_factory.mktemp("arms")
    run = read_run(finished_run(folder / "results", experiment_from(folder, ARMS)))
    return {arm.name: arm for arm in run.arms}


def test_windows_are_when_faults_really_were_on(arms: dict[str | None, ArmData]) -> None:
    paused, lost = sorted(windows(arms["one-server-paused"], "kernel"), key=lambda window: window.fault)
    assert (paused.fault, paused.throughout) == (0, False)
    assert paused.start_ns == pytest.approx(100 * NS_PER_MS, abs=NS_PER_MS)
    assert paused.end_ns == pytest.approx(300 * NS_PER_MS, abs=NS_PER_MS)
    assert (lost.fault, lost.throughout) == (1, True)


def test_requests_due_in_a_window_are_those_that_the_plan_says_are_struck(
    arms: dict[str | None, ArmData], tmp_path: Path
) -> None:
    experiment = experiment_from(tmp_path, ARMS)
    arm = arms["one-server-paused"]
    records = [record for record in arm.faults if record.fault == "pause"]
    (pause,) = [occurrence for occurrence in timeline(arm.scenario) if occurrence.fault == 0]
    blocks = make_plan(experiment).of("kernel", "one-server-paused")
    planned = sum(len(affected_ids(arm.scenario, block, pause)) for block in blocks)
    assert planned == 5 * 100
    for strategy in arm.scenario.strategies:
        assert affected(arm, strategy, records).sum() == planned
