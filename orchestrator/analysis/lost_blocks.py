"""Blocks whose requests reached no server, or all of which were lost: they measured a path that was closed.

A run discards them while it measures; in a folder they are looked for again, since it may be of an earlier version,
or have been changed. A fault of the block that could have done that explains it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hedgerow_node.records import FIRST_WARMUP_ID, Outcome
from orchestrator.errors import RunError
from orchestrator.scenario.fault_base import NEVER

if TYPE_CHECKING:
    from orchestrator.analysis.run_data import ArmData

_REMEDY = (
    "such a run measured nothing: was the network down, or were files changed? "
    "sha256sum --check SHA256SUMS tells; run the scenario again"
)


def check_nothing_lost(arm: ArmData) -> None:
    """RunError where a block of `arm` measured nothing but time-outs, and no fault of it explains that."""
    for strategy, samples in arm.samples.items():
        server = arm.server[strategy]
        received = np.unique(server["block"][server["request_id"] < FIRST_WARMUP_ID])
        heard = (samples["outcome"] == Outcome.ANSWERED) | (samples["copies_received"] > 0)
        sent, answered = np.unique(samples["block"]), np.unique(samples["block"][heard])
        for block in sent:
            if block in received and block in answered:
                continue
            if not _explained(arm, strategy, int(block)):
                what = "no request was answered" if block in received else "no server received a request"
                where = strategy if arm.name is None else f"{arm.name}, {strategy}"
                raise RunError(f"block {block} ({where}): {what}, and no declared fault explains it", _REMEDY)


def _explained(arm: ArmData, strategy: str, block: int) -> bool:
    ids = arm.samples[strategy]["request_id"][arm.samples[strategy]["block"] == block]
    chance = 0.0
    for record in arm.faults:
        if (record.strategy, record.block) == (strategy, block) and record.applied_ns is not None:
            fault = arm.scenario.faults[record.declared]
            if fault.condition is None or all(fault.condition.evaluate(int(id_)) for id_ in ids):
                chance += fault.chance_silenced
    return bool(min(1.0, chance) ** len(ids) > NEVER)
