"""What the journal says about faults: which happened when, with what proof, and which blocks were discarded.

The journal holds a record for each occurrence of each fault on each node in each block that was run, those of
discarded blocks included; these enter no figure, so their faults are left out here too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from orchestrator.errors import RunError
from orchestrator.runfolder.format_versions import check_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class FaultRecord:
    """One occurrence of a fault on one node in one block; times are CLOCK_MONOTONIC ns.

    `key` is "F.N": occurrence N of the F-th fault of the scenario. `start_ns` is the block's first measured send.
    `planned_until_ns` and `undone_ns` are None where the fault lasted to the end of the block, `applied_ns` where it
    never came.
    """

    serial: int
    arm: str | None
    strategy: str
    block: int
    key: str
    fault: str
    target: str
    planned_ns: int
    applied_ns: int | None
    planned_until_ns: int | None
    undone_ns: int | None
    start_ns: int
    proven: bool
    proof: dict[str, Any]

    @property
    def declared(self) -> int:
        """Which of the scenario's faults this is, from 0."""
        return int(self.key.partition(".")[0])


@dataclass(frozen=True)
class DiscardedBlock:
    """A block that was run and thrown away, because a fault did not happen in it as planned."""

    serial: int
    arm: str | None
    strategy: str
    block: int
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class FaultLog:
    """The faults of the blocks that count, and the blocks that do not."""

    records: tuple[FaultRecord, ...] = ()
    discarded: tuple[DiscardedBlock, ...] = ()


def read_fault_log(journal: Path) -> FaultLog:
    """What `journal` (journal.jsonl) tells; nothing where there is none.

    RunError where a record lacks a field, or where the journal's format came later than this version.
    """
    found: list[FaultRecord] = []
    discarded: list[DiscardedBlock] = []
    for number, record in _records(journal):
        try:
            if record.get("event") == "fault":
                found.append(FaultRecord(**{field.name: record[field.name] for field in fields(FaultRecord)}))
            elif record.get("event") == "block-discarded":
                discarded.append(_discarded(record))
        except KeyError as error:
            raise RunError(
                f"{journal}:{number}: a {record['event']} record without {error}",
                "was the run made by another version?",
            ) from error
    serials = {block.serial for block in discarded}
    return FaultLog(tuple(record for record in found if record.serial not in serials), tuple(discarded))


def _discarded(record: dict[str, Any]) -> DiscardedBlock:
    return DiscardedBlock(
        record["serial"], record.get("arm"), record["strategy"], record["block"], tuple(record["reasons"])
    )


def _records(journal: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each record with its line number; a last line that the run was killed in the middle of is none."""
    if not journal.exists():
        return
    lines = journal.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except ValueError as error:
            if number < len(lines):
                raise RunError(f"{journal}:{number}: is not JSON: {error}", "was the file edited?") from error
            return
        if number == 1:
            check_version(journal, record.get("schema"))
        yield number, record
