"""From the programs' binary rows to Parquet tables that anything can read, and back to arrays for the analysis.

Importing this module takes half a second (numpy, pyarrow): commands that can do without import it only when asked.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hedgerow_node.records import LAYOUTS, NO_TIME, Action, Hedge, Outcome, Sample, ServedCopy, Winner
from orchestrator.errors import RunError
from orchestrator.runfolder.format_versions import FORMAT_VERSIONS, check_version, read_json
from orchestrator.runfolder.safe_files import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from orchestrator.plan.blocks import Block
    from orchestrator.runfolder.folder import RunFolder

#: Columns by name, all of the same length. Times that did not happen are NO_TIME (-1).
Columns = dict[str, NDArray[Any]]

#: Columns by arm (None where the run has no arms) and strategy.
ByArm = dict[str | None, dict[str, Columns]]

_NUMPY_CODES = {"Q": "<u8", "I": "<u4", "H": "<u2", "B": "u1", "q": "<i8"}
_NULLABLE_TIMES = {"due_ns", "sent_ns", "kernel_rx_ns", "received_ns", "first_response_ns"}
_SCHEMA_KEY = b"hedgerow.schema"  #: in a table's metadata


@dataclass(frozen=True)
class _Table:
    """One table: its kind of row, its columns in order, and the column whose codes are written as words."""

    kind: type[Sample | Hedge | ServedCopy]
    columns: str
    coded: str
    words: tuple[str | None, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        codes = LAYOUTS[self.kind].format.lstrip("<")
        return np.dtype([(name, _NUMPY_CODES[code]) for name, code in zip(self.kind._fields, codes, strict=True)])


_SAMPLES = _Table(
    Sample,
    "strategy block seq request_id intended_ns sent_ns kernel_rx_ns received_ns outcome copies_received arm",
    "outcome",
    tuple(outcome.name.lower() for outcome in Outcome),
)
_HEDGES = _Table(
    Hedge,
    "strategy arm block request_id copy request_ns deadline_ns departure_ns replica first_response_ns winner",
    "winner",
    tuple(None if winner is Winner.NONE else winner.name.lower() for winner in Winner),
)
_SERVER = _Table(
    ServedCopy,
    "strategy block request_id copy source_port replica received_ns due_ns sent_ns action arm",
    "action",
    tuple(action.name.lower() for action in Action),
)


def write_tables(
    folder: RunFolder, blocks: Iterable[Block], replicas: Mapping[str | None, int] | None = None
) -> None:
    """Write samples.parquet, hedges.parquet and server.parquet from the raw files of `blocks`, then remove those.

    Each block must have its raw files, an empty one standing for "no rows": one of samples, one of hedges, and one of
    copies for each of its arm's `replicas` (by arm's name; one replica everywhere if left out). Raises RunError where
    one is missing or torn, or where a later version left them in a format of its own; the raw files are then kept.
    """
    blocks = list(blocks)
    read_json(folder.manifest, "is this the folder of a run?")  # its number is theirs too

    def copies(block: Block) -> list[Path]:
        return [folder.raw_copies(block, replica) for replica in range((replicas or {}).get(block.arm, 1))]

    _write(folder.samples, _SAMPLES, blocks, lambda block: [folder.raw_samples(block)])
    _write(folder.hedges, _HEDGES, blocks, lambda block: [folder.raw_hedges(block)])
    _write(folder.server, _SERVER, blocks, copies)
    shutil.rmtree(folder.raw)


def read_samples(folder: RunFolder) -> ByArm:
    """The samples of each strategy; `outcome` as in `hedgerow_node.records.Outcome`. RunError without the table."""
    return _read(folder.samples, _SAMPLES)


def read_hedges(folder: RunFolder) -> ByArm:
    """The hedges of each strategy that has any; `winner` as in `records.Winner`. RunError without the table."""
    return _read(folder.hedges, _HEDGES)


def read_server(folder: RunFolder) -> ByArm:
    """The copies that servers received, by strategy; `action` as in `records.Action`. RunError without the table."""
    return _read(folder.server, _SERVER)


@dataclass(frozen=True)
class Tables:
    """All three tables of a run."""

    samples: ByArm
    hedges: ByArm
    server: ByArm


def read_tables(folder: RunFolder) -> Tables:
    """The tables of a run; RunError without one."""
    return Tables(read_samples(folder), read_hedges(folder), read_server(folder))


def no_samples() -> Columns:
    """The columns of a strategy that left no samples."""
    return _no_rows(_SAMPLES)


def no_hedges() -> Columns:
    """The columns of a strategy without hedges."""
    return _no_rows(_HEDGES)


def no_copies() -> Columns:
    """The columns of a strategy of which no server received anything."""
    return _no_rows(_SERVER)


def _raw_rows(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise RunError(f"{path.name} is missing: a block left no record", "see log.txt in the run folder") from None
    if len(data) % dtype.itemsize:
        raise RunError(
            f"{path.name} is torn: {len(data)} bytes are not a whole number of {dtype.itemsize}-byte rows",
            "see log.txt in the run folder; was the disk full?",
        )
    return np.frombuffer(data, dtype)


def _no_rows(kind: _Table) -> Columns:
    empty = np.empty(0, kind.dtype)
    return {"block": np.empty(0, np.int32), **{name: empty[name] for name in kind.kind._fields}}


def _write(target: Path, table: _Table, blocks: list[Block], raw: Callable[[Block], list[Path]]) -> None:
    parts = [np.concatenate([_raw_rows(path, table.dtype) for path in raw(block)]) for block in blocks]
    rows = np.concatenate([np.empty(0, table.dtype), *parts])
    counts = [len(part) for part in parts]
    arrays = {
        "strategy": pa.array(np.repeat(np.array([block.strategy for block in blocks], object), counts), pa.string()),
        "block": pa.array(np.repeat(np.array([block.number for block in blocks], np.int32), counts)),
        "arm": pa.array(np.repeat(np.array([block.arm for block in blocks], object), counts), pa.string()),
    }
    for name in table.kind._fields:
        values = np.ascontiguousarray(rows[name])
        if name == table.coded:
            arrays[name] = pa.array(np.array(table.words, object)[values], pa.string())
        else:
            arrays[name] = pa.array(values, mask=values == NO_TIME if name in _NULLABLE_TIMES else None)
    columns = pa.table({name: arrays[name] for name in table.columns.split()})
    with replacing(target) as beside:
        pq.write_table(columns.replace_schema_metadata({_SCHEMA_KEY: str(FORMAT_VERSIONS[target.name])}), beside)


def _read(path: Path, kind: _Table) -> ByArm:
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise RunError(f"{path} is missing", "is this the folder of a finished run?") from None
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, str(error).partition("\n")[0]) from error
    check_version(path, _schema_number(table))
    lacking = sorted({*kind.columns.split()} - {"arm", *table.column_names})
    if lacking:
        raise _damaged(path, f"it has no column {', '.join(lacking)}")
    columns: Columns = {}
    for name in table.column_names:
        if name == kind.coded:
            columns[name] = _codes(path, kind, table[name].to_pylist())
        elif name not in ("strategy", "arm"):
            column = table[name].fill_null(NO_TIME) if table[name].null_count else table[name]
            columns[name] = column.to_numpy()
    by_arm: ByArm = {}
    for (arm, strategy), rows in _groups(table):
        by_arm.setdefault(arm, {})[strategy] = {name: values[rows] for name, values in columns.items()}
    return by_arm


def _damaged(path: Path, why: str) -> RunError:
    return RunError(
        f"{path} cannot be read: {why}", "restore the file; sha256sum --check SHA256SUMS says what has changed"
    )


def _codes(path: Path, kind: _Table, found: list[str | None]) -> NDArray[np.uint8]:
    """The codes of the words that were `found` in the table's coded column."""
    codes = {word: code for code, word in enumerate(kind.words)}
    unknown = sorted({str(word) for word in found if word not in codes})
    if unknown:
        raise _damaged(path, f"{kind.coded} cannot be {', '.join(unknown)}")
    return np.array([codes[word] for word in found], np.uint8)


def _schema_number(table: Any) -> int | str | None:
    """The number that the table carries; anything else is returned as it is."""
    text: str = (table.schema.metadata or {}).get(_SCHEMA_KEY, b"").decode(errors="replace")
    return int(text) if text.isdecimal() else text or None


def _groups(table: Any) -> Iterator[tuple[tuple[str | None, str], NDArray[np.bool_]]]:
    """Which rows belong to each arm and strategy that occur; tables of runs before there were arms have no `arm`."""
    strategies, strategy_codes = _coded(table["strategy"])
    without = ([None], np.zeros(table.num_rows, np.int64))
    arms, arm_codes = _coded(table["arm"]) if "arm" in table.column_names else without
    for arm_code, arm in enumerate(arms):
        for strategy_code, strategy in enumerate(strategies):
            rows: NDArray[np.bool_] = (arm_codes == arm_code) & (strategy_codes == strategy_code)
            if strategy is not None and rows.any():
                yield (arm, strategy), rows


def _coded(column: Any) -> tuple[list[str | None], NDArray[Any]]:
    """The words that occur in `column`, null among them as None, and for each row which of them it holds."""
    coded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    return coded.dictionary.to_pylist(), coded.indices.to_numpy()
