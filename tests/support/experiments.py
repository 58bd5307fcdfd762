"""Scenarios written in tests: a short base to lay things over, and loading from text."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.scenario.load import load_experiment

if TYPE_CHECKING:
    from orchestrator.scenario.experiment import Experiment

#: 10 blocks of one second each; every other key is as left out.
OPEN = """
version: 1
name: example
topology: {replicas: 3}
workload: {requests: 1000, arrivals: {mode: open, rate: 100/s}}
hedging: {delay: 10ms}
strategies: [baseline, app-deadline, kernel]
"""


def experiment_of(text: str, *overrides: str, smoke: bool = False) -> Experiment:
    """The experiment that a file with `text` describes; ScenarioError where it describes none."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "scenario.yaml"
        path.write_text(text)
        return load_experiment(path, overrides, smoke)


def faulty(*faults: str, more: str = "", overrides: tuple[str, ...] = ()) -> Experiment:
    """`OPEN` with these faults, each in YAML's flow style, and `more` lines."""
    listed = "".join(f"  - {fault}\n" for fault in faults)
    return experiment_of(f"{OPEN}faults:\n{listed}{more}", *overrides)
