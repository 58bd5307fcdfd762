"""Blocks that other work on the host disturbed: far more CPU time stolen, or waited for, than in the arm's others.

What a block was deprived of shows as latency of the strategy that happened to be measured. Steal and pressure are
counted while its client works, for all CPUs together.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from hedgerow_node.units import NS_PER_MS, NS_PER_US
from orchestrator.runfolder.summary import DisturbedBlock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from orchestrator.runfolder.manifest import BlockEntry

#: A block is far off with more than so many times the median of all, and more than that by at least so many ms.
_TIMES_MEDIAN = 5
_LEAST_MS = 50
_LEAST_BLOCKS = 4  #: there must be others to compare it with

_MEASURES: tuple[tuple[str, Callable[[BlockEntry], float | None]], ...] = (
    ("steal_ms", lambda block: block.steal_ms),
    (
        "cpu_pressure_ms",
        lambda block: None if block.cpu_pressure_us is None else block.cpu_pressure_us * NS_PER_US / NS_PER_MS,
    ),
)


def disturbed_blocks(blocks: Iterable[BlockEntry]) -> tuple[DisturbedBlock, ...]:
    """Those far off the others of their arm, in the order in which they were run; none where nothing was recorded."""
    by_arm: dict[str | None, list[BlockEntry]] = {}
    for block in blocks:
        by_arm.setdefault(block.arm, []).append(block)
    found = [each for group in by_arm.values() for what, value in _MEASURES for each in _far_off(group, what, value)]
    return tuple(each for _, each in sorted(found, key=lambda pair: pair[0]))


def _far_off(
    blocks: list[BlockEntry], what: str, value: Callable[[BlockEntry], float | None]
) -> Iterator[tuple[int, DisturbedBlock]]:
    """Each with its place in the run."""
    known = [(block, found) for block in blocks if (found := value(block)) is not None]
    if len(known) < _LEAST_BLOCKS:
        return
    usual = median(found for _, found in known)
    bound = max(_TIMES_MEDIAN * usual, usual + _LEAST_MS)
    others = [found for _, found in known if found <= bound]
    for block, found in known:
        if found > bound:
            yield (
                block.order,
                DisturbedBlock(
                    arm=block.arm,
                    strategy=block.strategy,
                    block=block.block,
                    measure=what,
                    value_ms=round(found, 3),
                    others_ms=(round(min(others), 3), round(max(others), 3)),
                ),
            )
