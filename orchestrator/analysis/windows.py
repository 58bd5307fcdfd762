"""Fault windows: from when to when faults were on within a block, and which requests were due meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from orchestrator.analysis.faults import FaultRecord
    from orchestrator.analysis.run_data import ArmData

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


def due_meanwhile(arm: ArmData, strategy: str, records: Sequence[FaultRecord]) -> NDArray[np.bool_]:
    """Which requests of `strategy` were due while a fault of `records` was on.

    By plan, which is the same for every strategy, where there is one; faults that are over at once by plan (a
    collection, a restart) count for as long as they really took.
    """
    samples = arm.samples[strategy]
    struck = np.zeros(len(samples["block"]), bool)
    for record in records:
        if record.strategy != strategy:
            continue
        start_ns, end_ns = record.planned_ns, record.planned_until_ns
        if end_ns == start_ns and record.applied_ns is not None:
            start_ns, end_ns = record.applied_ns, record.undone_ns
        due = (samples["block"] == record.block) & (samples["intended_ns"] >= start_ns)
        struck |= due if end_ns is None else due & (samples["intended_ns"] < end_ns)
    return struck
