"""The journal is written and read by one type a record: what was written comes back, faults and undos alike."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, get_args

import pytest

from orchestrator.errors import RunError
from orchestrator.runfolder.codec import decode_one_of, encode_object
from orchestrator.runfolder.journal import (
    BlockBegun,
    DeleteNamespace,
    Journal,
    Record,
    UnknownUndo,
    read_fault_log,
    undos,
)
from support.run_folder_factory import ROOT

if TYPE_CHECKING:
    from pathlib import Path

GOLDEN = sorted((ROOT / "tests" / "golden").glob("*/*/journal.jsonl"))
FAULT: dict[str, Any] = {
    "event": "fault", "serial": 1, "order": 0, "arm": None, "strategy": "kernel", "block": 0, "key": "0.1",
    "fault": "pause", "target": "client", "planned_ns": 100, "applied_ns": 101, "planned_until_ns": 200,
    "undone_ns": 203, "start_ns": 0, "proven": True, "proof": {},
}  # fmt: skip
DISCARDED = {
    "event": "block-discarded", "serial": 1, "order": 0, "arm": None, "strategy": "kernel", "block": 0, "attempt": 1,
    "reasons": ["never seen stopped"],
}  # fmt: skip


def journal_of(folder: Path, *records: dict[str, Any] | str) -> Path:
    """A journal with these lines."""
    path = folder / "journal.jsonl"
    path.write_text("".join(record if isinstance(record, str) else json.dumps(record) + "\n" for record in records))
    return path


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.parent.name)
def test_every_record_of_any_version_is_written_again_as_it_was(path: Path) -> None:
    for line in path.read_text().splitlines():
        content = json.loads(line)
        times = {name: content[name] for name in ("at", "monotonic_ns")}
        record = decode_one_of(get_args(Record), content)
        assert json.dumps({**times, **encode_object(record)}, separators=(",", ":")) == line


def test_the_last_change_is_undone_first(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    for name in ("one", "two"):
        journal.change(f"make {name}", DeleteNamespace(name))
    journal.note(BlockBegun(serial=0, order=0, strategy="kernel", block=0, attempt=1))
    journal.close()
    assert list(undos(tmp_path / "journal.jsonl")) == [DeleteNamespace("two"), DeleteNamespace("one")]


def test_a_line_cut_off_by_the_end_of_its_writer_was_no_change(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.change("make one", DeleteNamespace("one"))
    journal.change("make two", DeleteNamespace("two"))
    journal.close()
    path.write_bytes(path.read_bytes()[:-20])
    assert list(undos(path)) == [DeleteNamespace("one")]


@pytest.mark.parametrize("undo", [{"do": "restore-sysctl", "name": "x"}, {"do": "delete-namespace"}, "x"])
def test_an_undo_that_this_version_does_not_know_is_not_left_out(tmp_path: Path, undo: object) -> None:
    path = journal_of(tmp_path, {"event": "change", "text": "x", "undo": undo})
    assert list(undos(path)) == [UnknownUndo(undo)]


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
    with pytest.raises(RunError, match=r"journal\.jsonl:1: fault has no proven"):
        read_fault_log(journal_of(tmp_path, record))


def test_a_run_without_a_journal_has_no_faults(tmp_path: Path) -> None:
    assert read_fault_log(tmp_path / "journal.jsonl").records == ()
