"""What counts as proof that a fault happened, and what does not; and what is asked of whom to bring it about."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, get_args

import pytest

from hedgerow_node.protocol.limits import LEAD_NS
from hedgerow_node.units import NS_PER_MS
from orchestrator.run.faults import cpu
from orchestrator.run.faults.registry import HANDLERS, handler
from orchestrator.run.faults.scene import Scene, carefully
from orchestrator.scenario import faults as models
from support.experiments import faulty
from support.fake_topology import FakeTopology
from support.fault_stage import PAUSE, START_NS, Clock, Stage, at_ms

if TYPE_CHECKING:
    from pathlib import Path


def test_every_kind_of_fault_has_somebody_who_brings_it_about() -> None:
    union = get_args(models.Fault)[0]
    kinds = {get_args(model.model_fields["fault"].annotation)[0] for model in get_args(union)}
    assert kinds == set(HANDLERS)


def test_what_the_kernel_cannot_draw_goes_to_netem() -> None:
    (by_netem,) = faulty("{fault: loss, target: server-0, percent: 5%, model: netem}").scenario.faults
    (by_ebpf,) = faulty("{fault: loss, target: server-0, percent: 5%}").scenario.faults
    assert type(handler(by_netem)) is type(HANDLERS["rate"])
    assert type(handler(by_ebpf)) is not type(handler(by_netem))


# --- pause --------------------------------------------------------------------------------------------------------

STOPPED = {"state": "T", "state_after": "S", "cpu_ns_before": 500, "cpu_ns_after": 500}


def computed(cpu_ns: int) -> dict[str, Any]:
    """What is told of a worker that used so much processor time after it was seen stopped."""
    return {**STOPPED, "cpu_ns_after": 500 + cpu_ns}


def test_a_strike_is_handed_over_with_absolute_times_and_taken_back_once(tmp_path: Path) -> None:
    stage = Stage(tmp_path, PAUSE)
    assert stage.scene.lead_ns == LEAD_NS
    stage.begin()
    stage.told("server-0", **at_ms(200, 300), proof=STOPPED)
    stage.undo()
    stage.undo()
    (strike, done) = stage.topology.control("server-0").asked
    message = {
        "key": "0.0",
        "fault": "pause",
        "at_ns": START_NS + 200 * NS_PER_MS,
        "until_ns": START_NS + 300 * NS_PER_MS,
    }
    assert strike == ("strike", {"strikes": [message]})
    assert done == ("strikes-done", {})


@pytest.mark.parametrize(
    ("told", "proven", "words"),
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
    tmp_path: Path, told: dict[str, Any], proven: bool, words: str
) -> None:
    stage = Stage(tmp_path, PAUSE)
    stage.begin()
    stage.told("server-0", **told)
    stage.undo()
    proof = stage.proof()
    assert proof.proven == proven
    assert words in proof.finding
    assert proof.as_record()["finding"] == proof.finding


@pytest.mark.parametrize(("cpu_ns", "proven"), [(200_000, True), (200_001, False)])
def test_of_a_short_pause_a_worker_may_compute_for_a_tenth(tmp_path: Path, cpu_ns: int, proven: bool) -> None:
    stage = Stage(tmp_path, PAUSE.replace("100ms", "2ms"))
    stage.begin()
    stage.told("server-0", **at_ms(200, 202), proof=computed(cpu_ns))
    stage.undo()
    assert stage.proof().proven == proven


def test_what_the_end_of_the_block_cut_off_is_not_missing(tmp_path: Path) -> None:
    stage = Stage(tmp_path, PAUSE)
    stage.begin()
    stage.scene.finished_ns = START_NS + 250 * NS_PER_MS
    stage.told("server-0", **at_ms(200, 251), proof=STOPPED)
    stage.undo()
    assert stage.proof().proven


def test_a_fault_that_the_block_did_not_live_to_see_is_not_proven(tmp_path: Path) -> None:
    stage = Stage(tmp_path, PAUSE)
    stage.begin()
    stage.scene.finished_ns = START_NS + 150 * NS_PER_MS
    stage.told("server-0")
    stage.undo()
    assert stage.proof().finding == "the block was over before it came"


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
def test_who_is_killed_ends_so_and_another_takes_its_place(
    tmp_path: Path, fault: str, proof: dict[str, Any], proven: bool
) -> None:
    stage = Stage(tmp_path, f"{{fault: {fault}, target: server-0, at: 200ms}}")
    stage.begin()
    stage.told("server-0", **at_ms(200, 310), proof=proof)
    stage.undo()
    assert stage.proof().proven == proven


GC = "{fault: gc, target: %s, at: 100ms, every: 300ms, objects: 5000}"


def test_the_clients_collections_are_told_beforehand_and_known_by_their_order(tmp_path: Path) -> None:
    stage = Stage(tmp_path, GC % "client")
    assert stage.scene.garbage("client") == {
        "objects": 5000,
        "offsets_ns": [100 * NS_PER_MS, 400 * NS_PER_MS, 700 * NS_PER_MS],
    }
    stage.begin()
    stage.scene.collections = [
        {"start_ns": START_NS + 101 * NS_PER_MS, "end_ns": START_NS + 131 * NS_PER_MS},
        {"start_ns": START_NS + 401 * NS_PER_MS, "end_ns": START_NS + 441 * NS_PER_MS},
    ]
    stage.undo()
    first, second, third = (stage.proof(act) for act in stage.scene.acts)
    assert (first.proven, first.finding) == (True, "collected for 30.0 ms")
    assert (second.proven, second.finding) == (True, "collected for 40.0 ms")
    assert (third.proven, third.finding) == (False, "the worker did not collect")


def test_a_servers_worker_carries_the_objects_and_its_supervisor_has_the_times(tmp_path: Path) -> None:
    stage = Stage(tmp_path, GC % "server-1")
    assert stage.scene.garbage("server-1") == {"objects": 5000}
    assert stage.scene.garbage("server-0") is None
    stage.begin()
    ((_, fields),) = stage.topology.control("server-1").asked
    assert [strike["at_ns"] - START_NS for strike in fields["strikes"]] == [
        100 * NS_PER_MS,
        400 * NS_PER_MS,
        700 * NS_PER_MS,
    ]
    assert not any("until_ns" in strike for strike in fields["strikes"])


# --- what the orchestrator does itself ------------------------------------------------------------------------------


FREEZE = "{fault: freeze, target: server-0, at: 5ms, duration: 30ms}"


def test_a_freeze_is_seen_from_first_to_last_and_ends_by_itself(tmp_path: Path, clock: Clock) -> None:
    stage = clock.live(Stage(tmp_path, FREEZE))
    assert not stage.topology.frozen_nodes
    proof = stage.proof()
    assert proof.proven
    assert proof.evidence == {"frozen": True, "frozen_at_the_end": True, "frozen_afterwards": False}


def test_a_node_that_did_not_freeze_is_no_proof(tmp_path: Path, clock: Clock) -> None:
    assert "not seen frozen" in clock.live(Stage(tmp_path, FREEZE, stubborn=True)).proof().finding


def test_a_freeze_in_force_is_undone_at_once(tmp_path: Path, clock: Clock) -> None:
    stage = clock.live(Stage(tmp_path, "{fault: freeze, target: server-0, at: 5ms, duration: 500ms}"))
    assert stage.topology.frozen_nodes == {"server-0"}
    stage.scene.stop()
    stage.undo()
    assert not stage.topology.frozen_nodes
    assert stage.scene.next_due_ns() is None
    assert stage.proof().proven  # the end of the block cut it off


class Interrupted(BaseException):
    """Somebody pressed Ctrl-C."""


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
    stage = clock.live(Stage(tmp_path, fault))
    undone = getattr(FakeTopology, undo)

    def interrupted(*arguments: object) -> None:
        if not before:
            undone(*arguments)
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(FakeTopology, undo, interrupted)
        with pytest.raises(Interrupted):
            stage.undo()
    assert stage.act.is_on
    stage.undo()
    assert not stage.act.is_on
    assert (stage.topology.frozen_nodes, stage.topology.limits.get("server-0")) == (set(), None)


def test_a_quota_that_nobody_used_up_is_no_proof(tmp_path: Path, clock: Clock) -> None:
    quota = "{fault: cpu-quota, target: client, at: 5ms, duration: 30ms, percent: 50%}"
    assert clock.live(Stage(tmp_path, quota)).proof().finding == "throttled in 3 periods"
    idle = clock.live(Stage(tmp_path, quota, stubborn=True))
    assert not idle.proof().proven
    assert idle.proof().finding == f"{cpu.UNUSED}; lower percent, or add cpu-stress to the same node"
    assert idle.topology.limits == {"client": None}


def test_a_quota_for_the_whole_block_is_there_before_its_first_send(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "{fault: cpu-quota, target: client, percent: 50%}")
    stage.begin()
    due_ns = stage.scene.next_due_ns()
    assert due_ns is not None
    assert START_NS - LEAD_NS < due_ns < START_NS


# --- cpu-stress -----------------------------------------------------------------------------------------------------

STRESS = "{fault: cpu-stress, target: %s, at: 200ms, duration: 100ms}"


def host_with(monkeypatch: pytest.MonkeyPatch, processors: int, quota: float | None = None) -> None:
    """Has this host so many processors, and our control groups such a quota of them, in percent of one."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(processors)))
    monkeypatch.setattr(cpu, "cpu_quota_percent", lambda _: quota)


@pytest.mark.parametrize(("cpu_ms", "proven"), [(200, True), (11, True), (9, False), (0, False)])
def test_burners_must_have_burnt_some_of_what_they_could(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu_ms: int, proven: bool
) -> None:
    host_with(monkeypatch, processors=2)
    stage = Stage(tmp_path, STRESS % "server-0")
    stage.begin()
    ((_, fields),) = stage.topology.control("server-0").asked
    assert fields["strikes"][0]["burners"] == 2
    stage.told("server-0", **at_ms(200, 300), proof={"burners": 2, "cpu_ns": cpu_ms * NS_PER_MS})
    stage.undo()
    assert stage.proof().proven == proven


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
    stage = Stage(tmp_path, STRESS % "server-0")
    stage.begin()
    ((_, fields),) = stage.topology.control("server-0").asked
    assert fields["strikes"][0]["burners"] == burners
    stage.told("server-0", **at_ms(200, 300), proof={"burners": burners, "cpu_ns": 45 * NS_PER_MS})
    stage.undo()
    assert (stage.proof().proven, stage.proof().evidence["at_most_ns"]) == (proven, at_most_ms * NS_PER_MS)


def test_burners_of_other_nodes_and_quotas_take_their_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host_with(monkeypatch, processors=2)
    quota = "{fault: cpu-quota, target: client, percent: 10%}"
    stage = Stage(tmp_path, STRESS % "everything", quota)
    stresses = [act for act in stage.scene.acts if act.fault.fault == "cpu-stress"]
    assert [act.node for act in stresses] == ["client", "server-0", "server-1", "server-2"]
    for act in stresses:
        act.applied_ns, act.undone_ns = 0, 100 * NS_PER_MS
    shares = [cpu.Stress.at_most_ns(act, stage.scene) for act in stresses]
    assert shares == [10 * NS_PER_MS, 50 * NS_PER_MS, 50 * NS_PER_MS, 50 * NS_PER_MS]


# --- undoing --------------------------------------------------------------------------------------------------------


def test_one_undo_that_fails_does_not_keep_the_others_from_being_done(tmp_path: Path) -> None:
    done: list[str] = []

    def fail() -> None:
        raise OSError("no such container")

    problems = carefully([("pause", fail), ("freeze", lambda: done.append("freeze"))])
    assert (problems, done) == (["pause: no such container"], ["freeze"])


def test_a_scene_without_faults_asks_nobody_for_anything(tmp_path: Path) -> None:
    stage = Stage(tmp_path, PAUSE)
    quiet = Scene(stage.scene.scenario, stage.scene.block, stage.topology, stage.folder)  # type: ignore[arg-type]
    quiet.prepare()
    quiet.begin(START_NS)
    quiet.end_rules()
    quiet.end_strikes("server-0")
    assert (quiet.lead_ns, quiet.next_due_ns(), stage.topology.controls) == (0, None, {})
