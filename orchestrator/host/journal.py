"""The journal of a run: every change made to the host, written down before it is made, with its undo.

A line a record, JSON, appended and flushed at once: whatever kills the run, the next reader knows what there may be
to undo. A change whose undo is written but which never came about undoes to nothing. The first record tells which
format the others are in.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from orchestrator.runfolder.format_versions import FORMAT_VERSIONS, check_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Journal:
    """Appends records to `path`; `monotonic_ns` of each is CLOCK_MONOTONIC."""

    def __init__(self, path: Path) -> None:
        self._file: TextIO = path.open("a", buffering=1, encoding="utf-8")
        if not self._file.tell():
            self._write({"event": "begin", "schema": FORMAT_VERSIONS[path.name]})

    def change(self, text: str, undo: dict[str, Any]) -> None:
        """Notes that a change is about to be made, and how it is undone (see `undo.py`)."""
        self._write({"event": "change", "text": text, "undo": undo})

    def note(self, event: str, **fields: Any) -> None:
        """Notes something else that happened."""
        self._write({"event": event, **fields})

    def close(self) -> None:
        self._file.close()

    def _write(self, record: dict[str, Any]) -> None:
        times = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "monotonic_ns": time.monotonic_ns()}
        self._file.write(json.dumps({**times, **record}, separators=(",", ":")) + "\n")


def undos(path: Path) -> Iterator[dict[str, Any]]:
    """What is to be done to undo the changes in the journal at `path`, the last change first.

    Raises RunError, before there is anything undone, where a later version wrote it in a format of its own.
    """
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            break  # the run was killed while it wrote this line: the change was not made
    if records:
        check_version(path, records[0].get("schema"))
    return (record["undo"] for record in reversed(records) if record.get("event") == "change")
