"""The blocks of a run: short stretches of one strategy, interleaved so that the host's moods hit all alike.

Rounds are the unit of comparison: block n of every strategy carries the same ids and runs within the same round, the
strategies shuffled anew in each (randomised multiple interleaved trials).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hedgerow_node.records import FIRST_WARMUP_ID
from orchestrator.scenario.models import Scenario


@dataclass(frozen=True)
class Block:
    """One block: `count` measured requests of `strategy` with ids from `first_id` up, after `warmup_count` warm-ups.

    `order` is the block's place in the run (from 0), `number` the round it belongs to (0 … blocks-1). Warm-up ids are
    distinct across the whole run, so that the server's log shows at a glance which block a warm-up belongs to.
    """

    order: int
    strategy: str
    number: int
    first_id: int
    count: int
    warmup_first_id: int
    warmup_count: int


@dataclass(frozen=True)
class Plan:
    """A run's blocks, in the order in which they run."""

    blocks: tuple[Block, ...]

    def __iter__(self) -> Iterator[Block]:
        return iter(self.blocks)

    def __len__(self) -> int:
        return len(self.blocks)

    def of(self, strategy: str) -> tuple[Block, ...]:
        """The blocks of `strategy`, by round."""
        return tuple(sorted((block for block in self.blocks if block.strategy == strategy), key=lambda b: b.number))


def make_plan(scenario: Scenario, strategies: Sequence[str] | None = None) -> Plan:
    """The blocks of `scenario`, or of its workload under other `strategies`; equal ones always give equal plans."""
    draws = random.Random(scenario.design.seed)
    shares = split_ids(scenario.workload.requests, scenario.design.blocks)
    warmup = scenario.workload.warmup
    blocks: list[Block] = []
    for number, (first_id, count) in enumerate(shares):
        in_order = list(strategies or scenario.strategies)
        if scenario.design.order == "randomised":
            draws.shuffle(in_order)
        for strategy in in_order:
            order = len(blocks)
            blocks.append(
                Block(order, strategy, number, first_id, count, FIRST_WARMUP_ID + order * warmup, warmup_count=warmup)
            )
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
