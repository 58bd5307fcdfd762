"""Fault windows: from when to when faults were on within a block, and which requests were due in that time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hedgerow_node.records import Action
from orchestrator.plan.faults import Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from orchestrator.analysis.run_data import ArmData
    from orchestrator.runfolder.journal import FaultRecord

#: A window that leaves out less than this share of the block covers all of it.
_NEARLY_ALL = 0.002


@dataclass(frozen=True)
class Window:
    """When one occurrence of the scenario's `fault`-th fault was on, in ns from the block's first measured send."""

    fault: int
    start_ns: int
    end_ns: int
    throughout: bool  #: from the block's beginning to its end


def block_starts(arm: ArmData, strategy: str) -> dict[int, int]:
    """When the first measured request of each block of `strategy` was due, by block number."""
    samples = arm.samples[strategy]
    numbers = np.unique(samples["block"])
    return {int(number): int(samples["intended_ns"][samples["block"] == number].min()) for number in numbers}


def in_block_ns(arm: ArmData, strategy: str) -> NDArray[np.int64]:
    """When each sample of `strategy` was due, from its block's first."""
    samples = arm.samples[strategy]
    offsets: NDArray[np.int64] = samples["intended_ns"].astype(np.int64)  # a copy: the rows stay as they are
    for block, start_ns in block_starts(arm, strategy).items():
        offsets[samples["block"] == block] -= start_ns
    return offsets


def windows(arm: ArmData, strategy: str) -> tuple[Window, ...]:
    """The windows of `strategy`, in order, as most of its blocks had them (the median: blocks differ by little)."""
    offsets = in_block_ns(arm, strategy)
    horizon_ns = int(offsets.max()) if len(offsets) else 0
    by_key: dict[str, list[FaultRecord]] = {}
    for record in arm.faults:
        if record.strategy == strategy and record.applied_ns is not None:
            by_key.setdefault(record.key, []).append(record)
    found = []
    for records in by_key.values():
        starts = [(record.applied_ns or record.planned_ns) - record.start_ns for record in records]
        ends = [horizon_ns if record.undone_ns is None else record.undone_ns - record.start_ns for record in records]
        start_ns, end_ns = max(0, int(np.median(starts))), min(horizon_ns, int(np.median(ends)))
        throughout = start_ns <= _NEARLY_ALL * horizon_ns and end_ns >= (1 - _NEARLY_ALL) * horizon_ns
        found.append(Window(records[0].declared, start_ns, max(start_ns, end_ns), throughout))
    return tuple(sorted(found, key=lambda window: (window.start_ns, window.fault)))


def affected(arm: ArmData, strategy: str, records: Sequence[FaultRecord]) -> NDArray[np.bool_]:
    """Which requests of `strategy` were due while a fault of `records` was on.

    By plan, which is the same for every strategy, where there is one; faults that are over at once by plan (a
    garbage collection, a restart) count for as long as they really took.
    """
    samples = arm.samples[strategy]
    found = np.zeros(len(samples["block"]), bool)
    by_time = np.lexsort((samples["intended_ns"], samples["block"]))
    blocks, due_ns = samples["block"][by_time], samples["intended_ns"][by_time]
    for record in records:
        if record.strategy == strategy:
            of_block = slice(*np.searchsorted(blocks, [record.block, record.block + 1]))
            found[by_time[of_block][_span(record).of(due_ns[of_block])]] = True
    return found


def _span(record: FaultRecord) -> Span:
    if record.planned_until_ns == record.planned_ns and record.applied_ns is not None:
        return Span(record.applied_ns, record.undone_ns)
    return Span(record.planned_ns, record.planned_until_ns)


def hedged_or_held_back(arm: ArmData, strategy: str) -> NDArray[np.bool_]:
    """Which requests of `strategy` were hedged, or held back or ignored by a server."""
    ids, server = arm.samples[strategy]["request_id"], arm.server[strategy]
    held_back = server["request_id"][np.isin(server["action"], (Action.STALLED, Action.DROPPED))]
    return np.isin(ids, arm.hedges[strategy]["request_id"]) | np.isin(ids, held_back)
