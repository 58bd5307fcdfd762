"""The blocks of a run: short stretches of one strategy, interleaved so that host variability affects all alike.

Rounds are the unit of comparison: block n of every strategy carries the same ids and runs within the same round, the
strategies shuffled again in each (randomised multiple interleaved trials). Where a scenario has arms, those are
shuffled too, and all strategies of an arm run before the next arm's, since another arm may mean other settings of the
kernel's hedger.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hedgerow_node.records import FIRST_WARMUP_ID

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.scenario.experiment import Experiment


@dataclass(frozen=True)
class Block:
    """One block: `count` measured requests of `strategy` with ids from `first_id` up, after `warmup_count` warm-ups.

    `order` is the block's place in the run (from 0), `number` the round it belongs to (0 … blocks-1), `arm` the
    scenario's variant (None where there are none). Warm-up ids are distinct across the whole run, so that the
    server's log shows at a glance which block a warm-up belongs to.
    """

    order: int
    strategy: str
    number: int
    first_id: int
    count: int
    warmup_first_id: int
    warmup_count: int
    arm: str | None = None


@dataclass(frozen=True)
class Plan:
    """A run's blocks, in the order in which they run."""

    blocks: tuple[Block, ...]

    def __iter__(self) -> Iterator[Block]:
        return iter(self.blocks)

    def __len__(self) -> int:
        return len(self.blocks)

    def of(self, strategy: str, arm: str | None = None) -> tuple[Block, ...]:
        """The blocks of `strategy` in `arm`, by round."""
        blocks = (block for block in self.blocks if (block.strategy, block.arm) == (strategy, arm))
        return tuple(sorted(blocks, key=lambda block: block.number))


def make_plan(experiment: Experiment, strategies: Sequence[str] | None = None) -> Plan:
    """The blocks of an experiment, or of its workload under other `strategies`; equal ones always give equal plans.

    In each round every arm has its turn, in which all of its strategies have theirs.
    """
    design = experiment.scenario.design
    draws = random.Random(design.seed)
    blocks: list[Block] = []
    warmup_id = FIRST_WARMUP_ID
    for number in range(design.blocks):
        arms = list(experiment.arms)
        if design.order == "randomised":
            draws.shuffle(arms)
        for arm in arms:
            in_order = list(strategies or arm.scenario.strategies)
            if design.order == "randomised":
                draws.shuffle(in_order)
            workload = arm.scenario.workload
            first_id, count = split_ids(workload.requests, design.blocks)[number]
            for strategy in in_order:
                blocks.append(
                    Block(len(blocks), strategy, number, first_id, count, warmup_id, workload.warmup, arm=arm.name)
                )
                warmup_id += workload.warmup
    return Plan(tuple(blocks))


def split_ids(requests: int, blocks: int) -> list[tuple[int, int]]:
    """Ids 0 … `requests`-1 cut into `blocks` contiguous pieces (first id, count), the longer ones first."""
    size, longer = divmod(requests, blocks)
    pieces, first_id = [], 0
    for number in range(blocks):
        count = size + (number < longer)
        pieces.append((first_id, count))
        first_id += count
    return pieces
