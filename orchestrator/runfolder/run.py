"""A run as its folder has it: what was run, on what, what happened, and what became of the claims."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.runfolder.journal import FaultLog, read_fault_log
from orchestrator.runfolder.manifest import Manifest
from orchestrator.runfolder.summary import Summary
from orchestrator.scenario.load import load_recorded

if TYPE_CHECKING:
    from orchestrator.runfolder.folder import RunFolder
    from orchestrator.runfolder.tables import Tables
    from orchestrator.scenario.experiment import Experiment


class Run:
    """The files in `folder`, each read when it is first asked for, and not again.

    RunError where a file is missing or not what it should be, ScenarioError where this version cannot read the
    scenario.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    @property
    def name(self) -> str:
        """The run's name, which is the folder's."""
        return self.folder.name

    @cached_property
    def manifest(self) -> Manifest:
        """What was run, where, with which versions."""
        return Manifest.read(self.folder.manifest)

    @cached_property
    def experiment(self) -> Experiment:
        """The scenario as it was run."""
        return load_recorded(self.folder.scenario)

    @cached_property
    def tables(self) -> Tables:
        """Requests, hedges, and the copies that servers received."""
        from orchestrator.runfolder.tables import read_tables  # noqa: PLC0415 - numpy and pyarrow take half a second

        return read_tables(self.folder)

    @cached_property
    def fault_log(self) -> FaultLog:
        """The faults that occurred, and the blocks that were discarded; none where there is no journal."""
        return read_fault_log(self.folder.journal)

    @cached_property
    def summary(self) -> Summary:
        """Figures and verdicts. Whoever computes them sets this, instead of having them read."""
        return Summary.read(self.folder.summary)
