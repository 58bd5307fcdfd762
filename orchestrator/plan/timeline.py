"""When each fault of a scenario happens within a block, and which requests it strikes: both known before the run.

Offsets count from the block's first measured send and are the same in every block of every strategy; jitter is drawn
from the scenario's seed, not from the clock.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from hedgerow_node.schedule import send_offsets_ns
from orchestrator.scenario.arrivals import OpenArrivals
from orchestrator.scenario.fault_checks import nominal_block_ns
from orchestrator.scenario.faults import Fault, Gc, Restart

if TYPE_CHECKING:
    from orchestrator.plan.blocks import Block
    from orchestrator.scenario.models import Scenario


@dataclass(frozen=True)
class Occurrence:
    """One time that a fault happens in a block.

    `fault` is its index in the scenario's faults, `number` counts its occurrences from 0. `until_ns` is None where it
    lasts to the end of the block, and equal to `offset_ns` where it is over at once.
    """

    fault: int
    number: int
    offset_ns: int
    until_ns: int | None

    @property
    def key(self) -> str:
        """What it is called in messages and in the journal."""
        return f"{self.fault}.{self.number}"

    def is_on(self, time_ns: int) -> bool:
        """Whether it is planned to be on at that time."""
        return self.offset_ns <= time_ns and (self.until_ns is None or time_ns < self.until_ns)


def timeline(scenario: Scenario) -> tuple[Occurrence, ...]:
    """Every occurrence of every fault of `scenario` in a block, by time; the same in each of its blocks."""
    horizon_ns = nominal_block_ns(scenario)
    occurrences = []
    for index, fault in enumerate(scenario.faults):
        draws = random.Random(f"{scenario.workload.seed}:fault:{index}")
        number = 0
        while True:
            jitter_ns = draws.randrange(fault.jitter_ns) if fault.jitter_ns else 0
            offset_ns = fault.at_ns + number * (fault.every_ns or 0) + jitter_ns
            if horizon_ns is not None and offset_ns >= horizon_ns:
                break
            occurrences.append(Occurrence(index, number, offset_ns, _until_ns(fault, offset_ns)))
            number += 1
            if not fault.every_ns or horizon_ns is None:
                break
    return tuple(sorted(occurrences, key=lambda occurrence: (occurrence.offset_ns, occurrence.fault)))


def struck_ids(scenario: Scenario, block: Block, occurrence: Occurrence) -> range:
    """The measured ids of `block` that are meant to be sent while `occurrence` is on."""
    everything = range(block.first_id, block.first_id + block.count)
    arrivals = scenario.workload.arrivals
    if not isinstance(arrivals, OpenArrivals):
        return everything
    offsets = _offsets(arrivals, scenario.workload.seed, block.first_id, block.count)
    begin = bisect_left(offsets, occurrence.offset_ns)
    end = block.count if occurrence.until_ns is None else bisect_left(offsets, occurrence.until_ns)
    return everything[begin:end]


def send_offset_ns(scenario: Scenario, block: Block, request_id: int) -> int:
    """When a request of `block` is meant to be sent, counted from the block's first; 0 in closed arrivals."""
    arrivals = scenario.workload.arrivals
    if not isinstance(arrivals, OpenArrivals):
        return 0
    return _offsets(arrivals, scenario.workload.seed, block.first_id, block.count)[request_id - block.first_id]


def _until_ns(fault: Fault, offset_ns: int) -> int | None:
    if isinstance(fault, Restart | Gc):
        return offset_ns
    return None if fault.duration_ns is None else offset_ns + fault.duration_ns


@lru_cache(maxsize=256)
def _offsets(arrivals: OpenArrivals, seed: int, first_id: int, count: int) -> tuple[int, ...]:
    return tuple(send_offsets_ns(arrivals.process, arrivals.rate_per_s, seed, first_id, count))
