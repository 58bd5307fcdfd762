"""What counts as proof that a fault happened, and what does not; and what is asked of which program to inject it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, get_args

import pytest

from hedgerow_node.protocol.client import GcSettings
from hedgerow_node.protocol.limits import LEAD_NS
from hedgerow_node.protocol.server import CollectionTimes, ObjectGraph
from hedgerow_node.units import NS_PER_MS
from orchestrator.plan.faults import plan_faults
from orchestrator.run.faults.carriers import CARRIERS, supervisor
from orchestrator.run.faults.carriers.orchestrator import UNUSED
from orchestrator.run.faults.outcome import FaultOutcome
from orchestrator.run.faults.session import FaultSession, run_all
from orchestrator.scenario.fault_base import Carrier
from support.experiments import faulty
from support.fake_topology import FakeTopology
from support.fault_harness import PAUSE, START_NS, Clock, FaultHarness, at_ms

if TYPE_CHECKING:
    from pathlib import Path


def test_there_is_every_carrier_that_a_model_may_name() -> None:
    assert set(CARRIERS) == set(get_args(Carrier))


def test_network_faults_go_to_the_hedger_or_to_netem() -> None:
    (by_netem,) = faulty("{fault: loss, target: server-0, percent: 5%, model: netem}").scenario.faults
    (by_ebpf,) = faulty("{fault: loss, target: server-0, percent: 5%}").scenario.faults
    assert (by_netem.carrier_at("server-0"), by_ebpf.carrier_at("server-0")) == ("netem", "hedger")


# --- pause --------------------------------------------------------------------------------------------------------

STOPPED = {"state": "T", "state_after": "S", "cpu_ns_before": 500, "cpu_ns_after": 500}


def computed(cpu_ns: int) -> dict[str, Any]:
    """What is reported of a worker that used so much processor time after it was seen stopped."""
    return {**STOPPED, "cpu_ns_after": 500 + cpu_ns}


def test_a_process_fault_is_handed_over_with_absolute_times_and_taken_back_once(tmp_path: Path) -> None:
    harness = FaultHarness(tmp_path, PAUSE)
    assert harness.session.lead_ns == LEAD_NS
    harness.begin()
    harness.reports("server-0", **at_ms(200, 300), proof=STOPPED)
    harness.give_back()
    harness.give_back()
    (injected, done) = harness.topology.control("server-0").asked
    message = {
        "key": "0.0",
        "fault": "pause",
        "at_ns": START_NS + 200 * NS_PER_MS,
        "until_ns": START_NS + 300 * NS_PER_MS,
        "burners": None,
    }
    assert injected == ("inject", {"faults": [message]})
    assert done == ("faults-done", {})


@pytest.mark.parametrize(
    ("report", "proven", "words"),
    [
        ({**at_ms(200, 300), "proof": STOPPED}, True, "stood still"),
        ({**at_ms(205, 296), "proof": STOPPED}, True, "stood still"),
        ({**at_ms(215, 300), "proof": STOPPED}, False, "85.0 ms instead of 100.0 ms"),
        ({**at_ms(245, 340), "proof": STOPPED}, True, "stood still"),
        ({**at_ms(255, 350), "proof": STOPPED}, False, "began 55.0 ms late, of 100.0 ms"),
        ({**at_ms(200, 300), "proof": {**STOPPED, "state": "S"}}, False, "never seen stopped"),
        ({**at_ms(200, 300), "proof": computed(1_000_000)}, True, "stood still"),
        ({**at_ms(200, 300), "proof": computed(1_000_001)}, False, "computed for 1000001 ns"),
        ({**at_ms(200, 300), "proof": {**STOPPED, "cpu_ns_before": None}}, False, "too late to be timed"),
        ({**at_ms(200, 300), "proof": {**STOPPED, "cpu_ns_after": None}}, False, "never seen stopped"),
        ({**at_ms(200, 300), "proof": {**STOPPED, "state_after": "T"}}, False, "still stopped"),
        ({"proof": STOPPED}, False, "never applied"),
        ({"applied_ns": START_NS, "proof": STOPPED}, False, "never undone"),
    ],
)
def test_a_pause_is_seen_stopped_idle_and_long_enough(
    tmp_path: Path, report: dict[str, Any], proven: bool, words: str
) -> None:
    harness = FaultHarness(tmp_path, PAUSE)
    harness.begin()
    harness.reports("server-0", **report)
    harness.give_back()
    proof = harness.proof()
    assert proof.proven == proven
    assert words in proof.finding
    assert proof.as_record()["finding"] == proof.finding


@pytest.mark.parametrize(("cpu_ns", "proven"), [(200_000, True), (200_001, False)])
def test_of_a_short_pause_a_worker_may_compute_for_a_tenth(tmp_path: Path, cpu_ns: int, proven: bool) -> None:
    harness = FaultHarness(tmp_path, PAUSE.replace("100ms", "2ms"))
    harness.begin()
    harness.reports("server-0", **at_ms(200, 202), proof=computed(cpu_ns))
    harness.give_back()
    assert harness.proof().proven == proven


def test_what_the_end_of_the_block_cut_off_is_not_missing(tmp_path: Path) -> None:
    harness = FaultHarness(tmp_path, PAUSE)
    harness.begin()
    harness.finished_ns = START_NS + 250 * NS_PER_MS
    harness.reports("server-0", **at_ms(200, 251), proof=STOPPED)
    harness.give_back()
    assert harness.proof().proven


def test_a_fault_that_was_due_after_the_end_of_the_block_is_not_proven(tmp_path: Path) -> None:
    harness = FaultHarness(tmp_path, PAUSE)
    harness.begin()
    harness.finished_ns = START_NS + 150 * NS_PER_MS
    harness.reports("server-0")
    harness.give_back()
    assert harness.proof().finding == "the block was over before it came"


# --- kill, restart, gc --------------------------------------------------------------------------------------------

KILLED = {"old_pid": 10, "new_pid": 11, "ended": "signal 9 (SIGKILL)"}


@pytest.mark.parametrize("fault", ["kill, duration: 100ms", "restart"])
@pytest.mark.parametrize(
    ("proof", "proven"),
    [
        (KILLED, True),
        ({**KILLED, "new_pid": None}, False),
        ({**KILLED, "new_pid": 10}, False),
        ({**KILLED, "ended": "exit code 1"}, False),
        ({**KILLED, "ended": None}, False),
    ],
)
def test_a_killed_worker_ended_by_sigkill_and_was_replaced(
    tmp_path: Path, fault: str, proof: dict[str, Any], proven: bool
) -> None:
    harness = FaultHarness(tmp_path, f"{{fault: {fault}, target: server-0, at: 200ms}}")
    harness.begin()
    harness.reports("server-0", **at_ms(200, 310), proof=proof)
    harness.give_back()
    assert harness.proof().proven == proven


GC = "{fault: gc, target: %s, at: 100ms, every: 300ms, objects: 5000}"


def test_the_client_has_the_times_of_its_collections_beforehand_which_are_known_by_order(
    tmp_path: Path,
) -> None:
    harness = FaultHarness(tmp_path, GC % "client")
    assert harness.session.client_gc() == GcSettings(5000, (100 * NS_PER_MS, 400 * NS_PER_MS, 700 * NS_PER_MS))
    harness.begin()
    harness.client_gc_runs = [
        CollectionTimes(START_NS + 101 * NS_PER_MS, START_NS + 131 * NS_PER_MS),
        CollectionTimes(START_NS + 401 * NS_PER_MS, START_NS + 441 * NS_PER_MS),
    ]
    harness.give_back()
    first, second, third = harness.proofs()
    assert (first.proven, first.finding) == (True, "collected for 30.0 ms")
    assert (second.proven, second.finding) == (True, "collected for 40.0 ms")
    assert (third.proven, third.finding) == (False, "the worker did not collect")


def test_a_servers_worker_carries_the_objects_and_its_supervisor_has_the_times(tmp_path: Path) -> None:
    harness = FaultHarness(tmp_path, GC % "server-1")
    assert harness.session.object_graph("server-1") == ObjectGraph(5000)
    assert (harness.session.object_graph("server-0"), harness.session.client_gc()) == (None, None)
    harness.begin()
    ((_, fields),) = harness.topology.control("server-1").asked
    assert [fault["at_ns"] - START_NS for fault in fields["faults"]] == [
        100 * NS_PER_MS,
        400 * NS_PER_MS,
        700 * NS_PER_MS,
    ]
    assert [fault["until_ns"] for fault in fields["faults"]] == [None, None, None]


# --- what the orchestrator does itself ------------------------------------------------------------------------------


FREEZE = "{fault: freeze, target: server-0, at: 5ms, duration: 30ms}"


def test_a_freeze_is_seen_from_first_to_last_and_ends_by_itself(tmp_path: Path, clock: Clock) -> None:
    harness = clock.live(FaultHarness(tmp_path, FREEZE))
    assert not harness.topology.frozen_nodes
    proof = harness.proof()
    assert proof.proven
    assert proof.outcome.evidence == {"frozen": True, "frozen_at_the_end": True, "frozen_afterwards": False}


def test_a_node_that_did_not_freeze_is_no_proof(tmp_path: Path, clock: Clock) -> None:
    assert "not seen frozen" in clock.live(FaultHarness(tmp_path, FREEZE, stubborn=True)).proof().finding


def test_a_freeze_in_force_is_undone_at_once(tmp_path: Path, clock: Clock) -> None:
    harness = clock.live(FaultHarness(tmp_path, "{fault: freeze, target: server-0, at: 5ms, duration: 500ms}"))
    assert harness.topology.frozen_nodes == {"server-0"}
    harness.give_back()
    assert not harness.topology.frozen_nodes
    assert harness.session.next_due_ns() is None
    assert harness.proof().proven  # the end of the block cut it off


class Interrupted(BaseException):
    """As by Ctrl-C."""


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(
    ("fault", "undo"),
    [
        ("{fault: freeze, target: server-0, at: 5ms, duration: 500ms}", "thaw"),
        ("{fault: cpu-quota, target: server-0, at: 5ms, duration: 500ms, percent: 50%}", "limit_cpu"),
    ],
)
def test_an_undo_that_is_interrupted_is_done_when_asked_for_again(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, fault: str, undo: str, before: bool
) -> None:
    harness = clock.live(FaultHarness(tmp_path, fault))
    undone = getattr(FakeTopology, undo)

    def interrupted(*arguments: object) -> None:
        if not before:
            undone(*arguments)
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(FakeTopology, undo, interrupted)
        with pytest.raises(Interrupted):
            harness.give_back()
    assert harness.outcome.is_on
    harness.give_back()
    assert not harness.outcome.is_on
    assert (harness.topology.frozen_nodes, harness.topology.limits.get("server-0")) == (set(), None)


def test_a_quota_that_nobody_used_up_is_no_proof(tmp_path: Path, clock: Clock) -> None:
    quota = "{fault: cpu-quota, target: client, at: 5ms, duration: 30ms, percent: 50%}"
    assert clock.live(FaultHarness(tmp_path, quota)).proof().finding == "throttled in 3 periods"
    idle = clock.live(FaultHarness(tmp_path, quota, stubborn=True))
    assert not idle.proof().proven
    assert idle.proof().finding == f"{UNUSED}; lower percent, or add cpu-stress to the same node"
    assert idle.topology.limits == {"client": None}


def test_a_quota_for_the_whole_block_is_there_before_its_first_send(tmp_path: Path) -> None:
    harness = FaultHarness(tmp_path, "{fault: cpu-quota, target: client, percent: 50%}")
    harness.begin()
    due_ns = harness.session.next_due_ns()
    assert due_ns is not None
    assert START_NS - LEAD_NS < due_ns < START_NS


# --- cpu-stress -----------------------------------------------------------------------------------------------------

STRESS = "{fault: cpu-stress, target: %s, at: 200ms, duration: 100ms}"


def host_with(monkeypatch: pytest.MonkeyPatch, processors: int, quota: float | None = None) -> None:
    """Has this host so many processors, and our control groups such a quota of them, in percent of one."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(processors)))
    monkeypatch.setattr(supervisor, "cpu_quota_percent", lambda _: quota)


@pytest.mark.parametrize(("cpu_ms", "proven"), [(200, True), (11, True), (9, False), (0, False)])
def test_burners_must_have_burnt_some_of_what_they_could(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu_ms: int, proven: bool
) -> None:
    host_with(monkeypatch, processors=2)
    harness = FaultHarness(tmp_path, STRESS % "server-0")
    harness.begin()
    ((_, fields),) = harness.topology.control("server-0").asked
    assert fields["faults"][0]["burners"] == 2
    harness.reports("server-0", **at_ms(200, 300), proof={"burners": 2, "cpu_ns": cpu_ms * NS_PER_MS})
    harness.give_back()
    assert harness.proof().proven == proven


@pytest.mark.parametrize(
    ("quota", "backend", "burners", "at_most_ms", "proven"),
    [
        (200, "netns", 2, 200, True),
        (150, "netns", 2, 150, True),
        (50, "netns", 1, 50, True),
        (20_000, "netns", 64, 6400, False),
        (None, "netns", 64, 6400, False),
        (200, "docker", 64, 6400, False),
    ],
)
def test_of_a_quota_that_holds_for_the_nodes_burners_can_have_no_more(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    quota: float | None,
    backend: str,
    burners: int,
    at_most_ms: int,
    proven: bool,
) -> None:
    """45 ms are little of what a host of 64 processors has, and much of what is left of them."""
    host_with(monkeypatch, 64, quota)
    monkeypatch.setattr(FakeTopology, "backend", backend)
    harness = FaultHarness(tmp_path, STRESS % "server-0")
    harness.begin()
    ((_, fields),) = harness.topology.control("server-0").asked
    assert fields["faults"][0]["burners"] == burners
    harness.reports("server-0", **at_ms(200, 300), proof={"burners": burners, "cpu_ns": 45 * NS_PER_MS})
    harness.give_back()
    assert (harness.proof().proven, harness.proof().outcome.evidence["at_most_ns"]) == (
        proven,
        at_most_ms * NS_PER_MS,
    )


def test_burners_of_other_nodes_and_quotas_take_their_share(tmp_path: Path) -> None:
    quota = "{fault: cpu-quota, target: client, percent: 10%}"
    harness = FaultHarness(tmp_path, STRESS % "everything", quota)
    stresses = [planned for planned in harness.session.planned if planned.fault.fault == "cpu-stress"]
    assert [planned.node for planned in stresses] == ["client", "server-0", "server-1", "server-2"]
    outcome = FaultOutcome(0, 100 * NS_PER_MS)
    shares = [supervisor.at_most_cpu_ns(each, outcome, harness.session.planned, 2) for each in stresses]
    assert shares == [10 * NS_PER_MS, 50 * NS_PER_MS, 50 * NS_PER_MS, 50 * NS_PER_MS]


# --- undoing --------------------------------------------------------------------------------------------------------


def test_one_undo_that_fails_does_not_keep_the_others_from_being_done(tmp_path: Path) -> None:
    done: list[str] = []

    def fail() -> None:
        raise OSError("no such container")

    problems = run_all([("pause", fail), ("freeze", lambda: done.append("freeze"))])
    assert (problems, done) == (["pause: no such container"], ["freeze"])


def test_what_is_in_force_is_given_back_before_nodes_are_asked(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that is frozen does not answer."""
    freeze = "{fault: freeze, target: server-0, at: 5ms, duration: 500ms}"
    pause = "{fault: pause, target: server-0, at: 700ms, duration: 100ms}"
    harness = clock.live(FaultHarness(tmp_path, pause, freeze))
    frozen: list[bool] = []

    def call(do: str) -> dict[str, Any]:
        frozen.append("server-0" in harness.topology.frozen_nodes)
        assert do == "faults-done"
        return {"faults": []}

    assert harness.topology.frozen_nodes == {"server-0"}
    monkeypatch.setattr(harness.topology.control("server-0"), "call", call)
    harness.give_back()
    assert frozen == [False]


def test_a_session_without_faults_asks_no_node_for_anything(tmp_path: Path) -> None:
    harness = FaultHarness(tmp_path, PAUSE)
    scenario = harness.scenario.model_copy(update={"faults": ()})
    topology: Any = harness.topology
    quiet = FaultSession(scenario, harness.block, topology, harness.folder)
    assert plan_faults(scenario, harness.block) == ((), ())
    quiet.prepare()
    quiet.begin(START_NS)
    quiet.do_what_is_due()
    assert quiet.give_back() == []
    assert (quiet.lead_ns, quiet.next_due_ns(), harness.topology.controls) == (0, None, {})
