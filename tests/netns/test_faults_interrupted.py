"""Runs that end in the middle of a fault, however they end: no process stays stopped, frozen, burning or limited."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from orchestrator.host.audit import leftovers, processes_of
from orchestrator.host.cgroups import groups_of
from support.fault_run import NODES, no_longer_than_this, write_fault_scenario
from support.in_force import FAULTS
from support.observer import Observer
from support.scenario_files import orchestrate, start_run, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.root


#: What must be undone on the host, and not only end with a process or a namespace, and one of those as well.
ENDED_OTHERWISE = ("pause", "freeze", "cpu-stress", "cpu-quota", "loss")


@dataclass
class FaultyRun:
    """A run at work, its fault seen in force."""

    token: str
    processes: list[int]
    end: Callable[[signal.Signals], int]
    results: Path


@pytest.fixture
def faulty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FaultyRun]:
    name: str = request.param
    fault, in_force = FAULTS[name]
    results = tmp_path / "results"
    # What is undone by removing the control group is of no use to one who cannot tell that there was one.
    everything = [fault, "fault: freeze, target: server-2, at: 605s, duration: 1s"]
    process = start_run(write_fault_scenario(tmp_path, *everything, requests=125_000), results)
    with no_longer_than_this(process):
        wait_for(lambda: results.exists() and any(results.iterdir()), "a run folder", process)
        (folder,) = results.iterdir()
        token = folder.name.rsplit("-", 1)[1]
        observer = Observer(token, NODES)
        observer.start()
        try:
            wait_for(lambda: in_force(observer), f"{name} in force", process)
        finally:
            observer.finish()

        def end(number: signal.Signals) -> int:
            os.kill(process.pid, number)
            process.communicate(timeout=60)
            return process.returncode

        yield FaultyRun(token, processes_of(token), end, results)
    assert leftovers(token) == []


def test_a_run_that_a_test_gives_up_is_ended_before_the_next_one(tmp_path: Path) -> None:
    fault, _ = FAULTS["pause"]
    results = tmp_path / "results"
    process = start_run(write_fault_scenario(tmp_path, fault, requests=125_000), results)
    with pytest.raises(ZeroDivisionError), no_longer_than_this(process):
        wait_for(lambda: results.exists() and any(results.iterdir()), "a run folder", process)
        raise ZeroDivisionError
    (folder,) = results.iterdir()
    assert (process.returncode, leftovers(folder.name.rsplit("-", 1)[1])) == (130, [])


def alive(pids: list[int], token: str) -> list[int]:
    """Those of the processes that still run for the run; numbers may be in use by others by now."""
    return sorted(set(pids) & set(processes_of(token)))


@pytest.mark.parametrize("faulty", FAULTS, indirect=True)
def test_after_minus_nine_down_leaves_no_process_under_a_fault(faulty: FaultyRun) -> None:
    assert groups_of(faulty.token)
    faulty.end(signal.SIGKILL)
    assert leftovers(faulty.token)
    done = orchestrate("down")
    assert (done.returncode, f"cleaned up after run {faulty.token}\n" in done.stdout) == (0, True), done.stderr
    assert groups_of(faulty.token) == []
    assert alive(faulty.processes, faulty.token) == []


@pytest.mark.parametrize("faulty", ENDED_OTHERWISE, indirect=True)
def test_after_minus_nine_and_without_its_journal_down_leaves_no_process_under_a_fault(faulty: FaultyRun) -> None:
    faulty.end(signal.SIGKILL)
    (folder,) = faulty.results.iterdir()
    (folder / "journal.jsonl").unlink()
    assert orchestrate("down").returncode == 0
    assert groups_of(faulty.token) == []
    assert alive(faulty.processes, faulty.token) == []


@pytest.mark.parametrize("faulty", ENDED_OTHERWISE, indirect=True)
def test_an_interrupt_undoes_the_fault_and_the_run_at_once(faulty: FaultyRun) -> None:
    """A fault lasts for ten minutes, and the test does not wait that long."""
    assert faulty.end(signal.SIGINT) == 130
    assert alive(faulty.processes, faulty.token) == []
