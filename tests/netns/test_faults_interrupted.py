"""Runs that end in the middle of a fault, by whatever hand: nobody stays stopped, frozen, burning or limited."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from netns.fault_run import NODES, write_fault_scenario
from netns.observer import Observer
from netns.scenario_files import orchestrate, start_run, wait_for
from orchestrator.host.audit import leftovers
from orchestrator.host.cgroups import groups_of
from orchestrator.host.marks import processes_of

pytestmark = pytest.mark.root


def is_stopped(observer: Observer) -> bool:
    return any((sight.node, sight.depth, sight.state) == ("server-0", 1, "T") for sight in observer.sights[-20:])


def is_frozen(observer: Observer) -> bool:
    return any(look.node == "server-0" and look.frozen for look in observer.groups[-20:])


def is_burning(observer: Observer) -> bool:
    ticks: dict[int, set[int]] = {}
    workers = [sight for sight in observer.sights if (sight.node, sight.depth) == ("server-0", 1)]
    stopped = {sight.pid for sight in workers if sight.state == "T"}
    for sight in workers:
        ticks.setdefault(sight.pid, set()).add(sight.cpu_ticks)
    return any(len(ticks[pid]) > 5 for pid in stopped)


def is_limited(observer: Observer) -> bool:
    return any(look.node == "server-0" and look.quota.startswith("2000") for look in observer.groups[-20:])


#: Each begins soon and lasts longer than anybody waits; and how its effect is seen from outside.
FAULTS: dict[str, tuple[str, Callable[[Observer], bool]]] = {
    "pause": ("fault: pause, target: server-0, at: 300ms, duration: 40s", is_stopped),
    "freeze": ("fault: freeze, target: server-0, at: 300ms, duration: 40s", is_frozen),
    "cpu-stress": ("fault: cpu-stress, target: server-0, at: 300ms, duration: 40s", is_burning),
    "cpu-quota": ("fault: cpu-quota, target: server-0, at: 300ms, duration: 40s, percent: 2", is_limited),
}


@dataclass
class Struck:
    """A run at work, its fault seen in force."""

    token: str
    processes: list[int]
    end: Callable[[signal.Signals], int]
    results: Path


@pytest.fixture(params=sorted(FAULTS))
def struck(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Struck]:
    fault, in_force = FAULTS[request.param]
    results = tmp_path / "results"
    # What is undone by removing the control group is of no use to one who cannot tell that there was one.
    everything = [fault, "fault: freeze, target: server-2, at: 45s, duration: 1s"]
    process = start_run(write_fault_scenario(tmp_path, *everything, requests=10_000), results)
    wait_for(lambda: results.exists() and any(results.iterdir()), "a run folder")
    (folder,) = results.iterdir()
    observer = Observer(folder.name.rsplit("-", 1)[1], NODES)
    observer.start()
    wait_for(lambda: in_force(observer), f"{request.param} in force")

    def end(number: signal.Signals) -> int:
        observer.finish()
        os.kill(process.pid, number)
        process.communicate(timeout=60)
        return process.returncode

    token = folder.name.rsplit("-", 1)[1]
    yield Struck(token, processes_of(token), end, results)
    assert leftovers(token) == []


def alive(pids: list[int], token: str) -> list[int]:
    """Those of the processes that still run for the run; numbers may be in use by others by now."""
    return sorted(set(pids) & set(processes_of(token)))


def test_after_minus_nine_down_leaves_nobody_under_a_fault(struck: Struck) -> None:
    assert groups_of(struck.token)
    struck.end(signal.SIGKILL)
    assert leftovers(struck.token)
    done = orchestrate("down")
    assert (done.returncode, f"cleaned up after run {struck.token}\n" in done.stdout) == (0, True), done.stderr
    assert groups_of(struck.token) == []
    assert alive(struck.processes, struck.token) == []


def test_after_minus_nine_and_without_its_journal_down_leaves_nobody_under_a_fault(struck: Struck) -> None:
    struck.end(signal.SIGKILL)
    (folder,) = struck.results.iterdir()
    (folder / "journal.jsonl").unlink()
    assert orchestrate("down").returncode == 0
    assert groups_of(struck.token) == []
    assert alive(struck.processes, struck.token) == []


def test_an_interrupt_undoes_the_fault_and_the_run_at_once(struck: Struck) -> None:
    begun_s = time.monotonic()
    assert struck.end(signal.SIGINT) == 130
    assert time.monotonic() - begun_s < 30, "the fault was waited for"
    assert alive(struck.processes, struck.token) == []
