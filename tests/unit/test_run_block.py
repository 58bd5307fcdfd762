"""One block on nodes that only a test plays: silence that is explained or not, and a clock that was set."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from hedgerow_node.control import ControlError
from hedgerow_node.records import FIRST_WARMUP_ID, NO_TIME, Outcome, Sample, ServedCopy, read_rows, write_rows
from hedgerow_node.units import NS_PER_MS, NS_PER_S
from orchestrator.errors import RunError
from orchestrator.run.block import Attempt, BlockReport, BlockRun
from orchestrator.run.silence import REMEDY
from orchestrator.runfolder.folder import RunFolder
from orchestrator.runfolder.journal import Journal
from support.experiments import OPEN, experiment_of, faulty
from support.fake_topology import FakeControl, FakeTopology, first_block

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.scenario.experiment import Experiment

START_NS = 10**12
SERIAL = 7


class ScriptedClient(FakeControl):
    """A client that says `events`, one after the other."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        super().__init__({})
        self.events = events

    def wait_event(self, names: tuple[str, ...], _: float) -> dict[str, Any]:
        if not self.events:
            raise ControlError("no event")
        event = {"block": SERIAL, "strategy": "baseline", **self.events.pop(0)}
        assert event["event"] in names
        return event


MEASURING = {"event": "measuring", "start_ns": START_NS}
STATISTICS: dict[str, Any] = {"counters": {}, "monotonic_ns": 1, "hedges_lost": 0, "latency_us": {}}
COLLECTED: dict[str, Any] = {"counters": {}, "rows": 0}


def silent(from_s: float, to_s: float, first_id: int = 0, requests: int = 50) -> dict[str, Any]:
    times = {"since_ns": START_NS + round(from_s * NS_PER_S), "until_ns": START_NS + round(to_s * NS_PER_S)}
    return {
        "event": "silent",
        **times,
        "requests": requests,
        "first_id": first_id,
        "last_id": first_id + requests - 1,
    }


def done(**changes: Any) -> dict[str, Any]:
    return {"event": "block-done", "rows": 3, "answered": 3, "realtime_offset_drift_ns": 12, **changes}


class Played:
    """A block that is run with those events of the client."""

    def __init__(self, tmp_path: Path, experiment: Experiment, *events: dict[str, Any], received: int = 5) -> None:
        self.folder = RunFolder.create(tmp_path, "example")
        self.block = first_block(experiment)
        self.topology = FakeTopology()
        self.client = ScriptedClient(list(events))
        self.topology.controls["client"] = self.client
        hedger = self.topology.control("hedger")
        hedger.answers = {"stats": STATISTICS, "collect": COLLECTED}
        for replica in range(3):
            self.topology.control(f"server-{replica}").answers["end-block"] = {"rows": received, "in_flight": 0}
            write_rows(self.folder.raw_copies(self.block, replica), [], ServedCopy)
        topology: Any = self.topology
        topology.servers = lambda: [(f"10.0.0.{replica}", 9000) for replica in range(3)]
        topology.check = lambda: None
        attempt = Attempt(self.block, experiment.arm(self.block.arm).scenario, SERIAL)
        self._run = BlockRun(attempt, topology, self.folder, Journal(self.folder.journal))

    def run(self, outcome: Outcome = Outcome.ANSWERED, copies: int = 1) -> BlockReport:
        rows = [Sample(id_, id_, START_NS, START_NS, START_NS, START_NS, outcome, copies) for id_ in range(3)]
        write_rows(self.folder.raw_samples(self.block), rows, Sample)
        return self._run.run()

    @property
    def samples(self) -> list[Sample]:
        return read_rows(self.folder.raw_samples(self.block), Sample)

    @property
    def cancelled(self) -> bool:
        return "cancel-block" in [do for do, _ in self.client.asked]


PLAIN = experiment_of(OPEN)
DROPPING = faulty("{fault: drop-requests, target: server-0, at: 100ms, duration: 800ms}")


def test_a_block_that_is_answered_is_not_lost(tmp_path: Path) -> None:
    played = Played(tmp_path, PLAIN, MEASURING, done())
    report = played.run()
    assert (report.lost, report.clock_set_ns, report.client["rows"]) == (None, None, 3)
    assert report.host is not None
    assert not played.cancelled


def test_a_silent_warm_up_ends_the_block_whatever_is_declared(tmp_path: Path) -> None:
    played = Played(tmp_path, DROPPING, silent(-3, -1, FIRST_WARMUP_ID, 4), received=0)
    report = played.run()
    assert report.lost is not None
    assert "no answer to any of 4 warm-up requests in 2.0 s" in report.lost
    assert "requests do not reach the servers" in report.lost
    assert played.cancelled


def test_silence_in_its_middle_ends_it(tmp_path: Path) -> None:
    played = Played(tmp_path, PLAIN, MEASURING, silent(0.2, 2.2))
    report = played.run()
    assert report.lost is not None
    assert "no answer to any of 50 requests" in report.lost
    assert "servers were reached (server-0 received 5, server-1 received 5, server-2 received 5" in report.lost
    assert played.cancelled


def test_silence_that_a_fault_explains_is_measured(tmp_path: Path) -> None:
    played = Played(tmp_path, DROPPING, MEASURING, silent(0.1, 0.9), silent(0.1, 1.9), done())
    assert played.run().lost is None
    assert not played.cancelled


def test_silence_long_after_the_fault_is_not(tmp_path: Path) -> None:
    played = Played(tmp_path, DROPPING, MEASURING, silent(0.1, 1.9), silent(0.1, 8.9))
    assert played.run().lost is not None


def test_the_last_word_of_a_block_that_was_cancelled_is_passed_over(tmp_path: Path) -> None:
    played = Played(tmp_path, PLAIN, {**done(rows=99), "block": SERIAL - 1}, MEASURING, done())
    assert played.run().client["rows"] == 3


@pytest.mark.parametrize(("copies", "lost"), [(0, True), (1, False)])
def test_a_short_block_without_a_single_answer_is_lost_unless_late_ones_came(
    copies: int, lost: bool, tmp_path: Path
) -> None:
    played = Played(tmp_path, PLAIN, MEASURING, done(answered=0))
    assert (played.run(Outcome.TIMEOUT, copies).lost is not None) is lost


@pytest.mark.parametrize(("error", "remedy"), [("[Errno 101] Network is unreachable", True), ("worker died", False)])
def test_a_way_that_the_kernel_knows_to_be_closed_has_the_same_remedy(
    error: str, remedy: bool, tmp_path: Path
) -> None:
    played = Played(tmp_path, PLAIN, {"event": "block-failed", "error": error})
    with pytest.raises(RunError, match=re.escape(error)) as caught:
        played.run()
    assert (caught.value.remedy == REMEDY) is remedy


def test_a_block_whose_copies_reached_no_server_is_lost(tmp_path: Path) -> None:
    report = Played(tmp_path, PLAIN, MEASURING, done(), received=0).run()
    assert report.lost == "no request reached server-0, and no declared fault explains it"


@pytest.mark.parametrize(
    ("moved_ns", "is_set"), [(0, False), (NS_PER_MS, False), (NS_PER_MS + 1, True), (-2 * NS_PER_S, True)]
)
def test_a_clock_that_was_set_voids_what_it_stamped(moved_ns: int, is_set: bool, tmp_path: Path) -> None:
    played = Played(tmp_path, PLAIN, MEASURING, done(realtime_offset_drift_ns=moved_ns))
    report = played.run()
    assert report.clock_set_ns == (moved_ns if is_set else None)
    assert {row.kernel_rx_ns for row in played.samples} == {NO_TIME if is_set else START_NS}
    assert {row.received_ns for row in played.samples} == {START_NS}, "the rest stays"
