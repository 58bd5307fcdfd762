"""A run as the analysis and the plots see it: by arm, with measures by strategy and the faults that occurred.

Arms share their rounds: round n of every arm ran in the same stretch of time, and one set of resamples serves them
all, so that a comparison across arms is paired by round as one within an arm is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from orchestrator.analysis.lost_blocks import check_nothing_lost
from orchestrator.analysis.measures import Measures
from orchestrator.analysis.statistics import Ints, resample
from orchestrator.errors import RunError
from orchestrator.runfolder.tables import (
    Columns,
    no_copies,
    no_hedges,
    no_samples,
)

if TYPE_CHECKING:
    from orchestrator.analysis.statistics import Resamples
    from orchestrator.runfolder.journal import FaultRecord
    from orchestrator.runfolder.run import Run
    from orchestrator.scenario.experiment import Arm, Experiment
    from orchestrator.scenario.models import Scenario


@dataclass(frozen=True)
class ArmData:
    """One arm (`name` None where the run has none): rows and measures of every strategy of its `scenario`.

    A strategy that left no rows has empty columns, and measures without values.
    """

    name: str | None
    scenario: Scenario
    samples: dict[str, Columns]
    hedges: dict[str, Columns]
    server: dict[str, Columns]
    measures: dict[str, Measures]
    faults: tuple[FaultRecord, ...]


@dataclass(frozen=True)
class RunData:
    """A whole run; `round_numbers` are its block numbers, ascending, `resamples` None where these are too few."""

    run: Run
    arms: tuple[ArmData, ...]
    round_numbers: Ints
    resamples: Resamples | None

    @classmethod
    def of(cls, run: Run) -> RunData:
        """The data of `run`; RunError where its tables are empty, one is missing, or a block measured nothing."""
        blocks = [columns["block"] for strategies in run.tables.samples.values() for columns in strategies.values()]
        if not blocks:
            raise RunError(f"{run.name} holds no samples", "run the scenario again")
        numbers = np.unique(np.concatenate(blocks))
        arms = tuple(_arm(run, arm, numbers) for arm in run.experiment.arms)
        for arm in arms:
            check_nothing_lost(arm)
        return cls(run, arms, numbers, resample(len(numbers)))

    @property
    def experiment(self) -> Experiment:
        """The scenario as it was run."""
        return self.run.experiment

    @property
    def rounds(self) -> int:
        """How many there are."""
        return len(self.round_numbers)

    @property
    def matrix(self) -> tuple[str, ...]:
        """The swept keys, outermost first; none where the run is not a sweep."""
        return tuple(self.experiment.matrix)


def _arm(run: Run, arm: Arm, numbers: Ints) -> ArmData:
    strategies: tuple[str, ...] = arm.scenario.strategies
    sampled, hedged, served = (
        table.get(arm.name, {}) for table in (run.tables.samples, run.tables.hedges, run.tables.server)
    )
    own_samples = {strategy: sampled.get(strategy, no_samples()) for strategy in strategies}
    return ArmData(
        arm.name,
        arm.scenario,
        samples=own_samples,
        hedges={strategy: hedged.get(strategy, no_hedges()) for strategy in strategies},
        server={strategy: served.get(strategy, no_copies()) for strategy in strategies},
        measures={
            strategy: Measures(
                own_samples[strategy],
                hedged.get(strategy),
                served.get(strategy),
                numbers,
                open_arrivals=arm.scenario.is_open,
            )
            for strategy in strategies
        },
        faults=tuple(record for record in run.fault_log.records if record.arm == arm.name),
    )
