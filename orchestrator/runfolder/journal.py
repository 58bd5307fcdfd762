"""journal.jsonl: every change made to the host, written before it is made, and every fault.

A line a record, JSON, appended and flushed at once: whatever kills the run, the next reader knows what there may be
to undo. A change whose undo is written but which was never made undoes to nothing. The first record says which format
the others have. The run writes the records below, the analysis reads them; docs/run-folder-keys.md is made from the
types and the comments `#:` of their fields.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, TextIO, TypeVar, cast, get_args

from orchestrator.errors import RunError
from orchestrator.runfolder.codec import LEFT_OUT, JsonObject, MismatchError, decode, decode_one_of, encode_object
from orchestrator.runfolder.format_versions import FORMAT_VERSIONS, check_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FAULT_KEY = re.compile(r"[0-9]{1,9}\.[0-9]{1,9}")


@dataclass(frozen=True)
class EndProcesses:
    """The undo of starting processes for a run."""

    TAG: ClassVar = ("do", "end-processes")
    run: str


@dataclass(frozen=True)
class DeleteNamespace:
    """The undo of making a network namespace."""

    TAG: ClassVar = ("do", "delete-namespace")
    name: str


@dataclass(frozen=True)
class RemoveProject:
    """The undo of making containers, network and volumes for a run."""

    TAG: ClassVar = ("do", "remove-project")
    run: str


@dataclass(frozen=True)
class RemoveCgroups:
    """The undo of making control groups for a run: they are thawed and their limits lifted.

    Processes are ended after it, not before, since frozen ones do not end.
    """

    TAG: ClassVar = ("do", "remove-cgroups")
    run: str


@dataclass(frozen=True)
class ReleaseCpuController:
    """The undo of handing the cpu controller down from the root of the control groups."""

    TAG: ClassVar = ("do", "release-cpu-controller")


@dataclass(frozen=True)
class ReleaseContainers:
    """The undo of pausing containers and of limiting their CPU time; for those that outlive the run."""

    TAG: ClassVar = ("do", "release-containers")
    containers: tuple[str, ...]


Undo = EndProcesses | DeleteNamespace | RemoveProject | RemoveCgroups | ReleaseCpuController | ReleaseContainers


@dataclass(frozen=True)
class UnknownUndo:
    """An undo that this version does not know."""

    content: object


@dataclass(frozen=True)
class Begin:
    """Always the first record."""

    TAG: ClassVar = ("event", "begin")
    schema: int  #: the number of this file's format
    #: Of scenario.yaml, as fixed before the run.
    scenario_sha256: str | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True)
class Change:
    """A change is about to be made to the host."""

    TAG: ClassVar = ("event", "change")
    text: str  #: the change, in words
    undo: Undo  #: how it is taken back: `do` says what, the other keys what that needs


@dataclass(frozen=True, kw_only=True)
class AttemptRecord:
    """Base of all records of an attempt at a block."""

    serial: int  #: counts the attempts at all blocks
    order: int  #: the block's place in the plan
    arm: str | None = None
    strategy: str
    block: int  #: the round, from 0


@dataclass(frozen=True, kw_only=True)
class BlockBegun(AttemptRecord):
    """An attempt at a block begins."""

    TAG: ClassVar = ("event", "block")
    attempt: int  #: counts the attempts at this block


@dataclass(frozen=True, kw_only=True)
class FaultRecord(AttemptRecord):
    """One occurrence of a fault on one node in one attempt at a block."""

    TAG: ClassVar = ("event", "fault")
    key: str  #: `F.N`: occurrence N of the scenario's fault F, both from 0
    fault: str  #: its kind
    target: str  #: the node
    planned_ns: int
    applied_ns: int | None  #: null where it never came
    planned_until_ns: int | None  #: null where it was to last to the end of the block
    undone_ns: int | None  #: null where it lasted to the end of the block
    start_ns: int  #: the block's first measured send
    proven: bool
    proof: dict[str, object]  #: a `finding`, and what it rests on

    def __post_init__(self) -> None:
        if not _FAULT_KEY.fullmatch(self.key):
            raise MismatchError(f"key is {self.key[:20]!r}, expected F.N, two numbers")

    @property
    def declared(self) -> int:
        """Which of the scenario's faults this is, from 0."""
        return int(self.key.partition(".")[0])


@dataclass(frozen=True, kw_only=True)
class FaultTooLate(AttemptRecord):
    """The block was over before the fault was due."""

    TAG: ClassVar = ("event", "fault-too-late")
    key: str  #: as in `fault`
    fault: str
    target: str


@dataclass(frozen=True, kw_only=True)
class ClockSet(AttemptRecord):
    """CLOCK_REALTIME was set while the block lasted: its samples have no `kernel_rx_ns`."""

    TAG: ClassVar = ("event", "clock-set")
    by_ns: int  #: by how much; negative where it was set back


@dataclass(frozen=True, kw_only=True)
class BlockDiscarded(AttemptRecord):
    """The attempt enters no figure: a fault did not happen in it as planned, or requests were lost without one."""

    TAG: ClassVar = ("event", "block-discarded")
    attempt: int  #: counts the attempts at this block
    reasons: tuple[str, ...]  #: in words


@dataclass(frozen=True)
class NotUndone:
    """A fault could not be taken back by the run's own means."""

    TAG: ClassVar = ("event", "not-undone")
    serial: int  #: the attempt's
    text: str  #: what happened, in words


@dataclass(frozen=True)
class End:
    """The run is over, and cleaning up is done."""

    TAG: ClassVar = ("event", "end")
    leftovers: tuple[str, ...]  #: what still bore the run's id after that


Record = Begin | Change | BlockBegun | FaultRecord | FaultTooLate | ClockSet | BlockDiscarded | NotUndone | End
R = TypeVar("R", bound=Record)


class Journal:
    """Appends records to `path`, each with the time of day and CLOCK_MONOTONIC."""

    def __init__(self, path: Path, scenario_sha256: str | None = None) -> None:
        """`scenario_sha256`: of the scenario that the run is about to carry out."""
        self._file: TextIO = path.open("a", buffering=1, encoding="utf-8")
        if not self._file.tell():
            self.note(Begin(FORMAT_VERSIONS[path.name], scenario_sha256))

    def change(self, text: str, undo: Undo) -> None:
        """Record that a change is about to be made, and how it is undone."""
        self.note(Change(text, undo))

    def note(self, record: Record) -> None:
        """Append `record`."""
        times = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "monotonic_ns": time.monotonic_ns()}
        self._file.write(json.dumps({**times, **encode_object(record)}, separators=(",", ":")) + "\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def undos(path: Path) -> Iterator[Undo | UnknownUndo]:
    """What is to be done to undo the changes in the journal at `path`, the last change first.

    Raises RunError, before anything is undone, where a later version wrote it in a format of its own.
    """
    lines: list[JsonObject] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            break  # the run was killed while it wrote this line: the change was not made
        if isinstance(record, dict):
            lines.append(record)
    if lines:
        check_version(path, lines[0].get("schema"))
    return (_undo(line.get("undo")) for line in reversed(lines) if line.get("event") == Change.TAG[1])


@dataclass(frozen=True)
class FaultLog:
    """The faults of the blocks that count, and the blocks that do not."""

    records: tuple[FaultRecord, ...] = ()
    discarded: tuple[BlockDiscarded, ...] = ()


def read_fault_log(path: Path) -> FaultLog:
    """The faults in the journal at `path`; none where there is no such file.

    RunError where a record is not what it should be, or where the journal's format came later than this version.
    """
    records = list(_records(path)) if path.exists() else []
    discarded = tuple(_of_kind(path, records, BlockDiscarded))
    serials = {block.serial for block in discarded}
    faults = (fault for fault in _of_kind(path, records, FaultRecord) if fault.serial not in serials)
    return FaultLog(tuple(faults), discarded)


def read_begin(path: Path) -> Begin | None:
    """The first record of the journal at `path`; None where there is none. RunError as `read_fault_log` does."""
    return next(_of_kind(path, list(_records(path)) if path.exists() else [], Begin), None)


def _undo(content: object) -> Undo | UnknownUndo:
    try:
        return cast("Undo", decode_one_of(get_args(Undo), content))
    except MismatchError:
        return UnknownUndo(content)


def _of_kind(path: Path, lines: list[tuple[int, JsonObject]], kind: type[R]) -> Iterator[R]:
    """The records of one kind among `lines`, which have their numbers."""
    name, event = kind.TAG
    for number, line in lines:
        if line.get(name) == event:
            try:
                yield decode(kind, line, event)
            except MismatchError as error:
                raise RunError(f"{path}:{number}: {error}", "was the run made by another version?") from error


def _records(path: Path) -> Iterator[tuple[int, JsonObject]]:
    """Each record with its line number; a last line that the run was killed in the middle of is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}", "was the file edited?") from error
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            if number < len(lines):
                raise RunError(f"{path}:{number}: is not JSON: {error}", "was the file edited?") from error
            return
        if not isinstance(record, dict):
            raise RunError(f"{path}:{number}: is not an object", "was the file edited?")
        if number == 1:
            check_version(path, record.get("schema"))
        yield number, record
