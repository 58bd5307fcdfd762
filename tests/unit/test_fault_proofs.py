"""What counts as proof that a fault happened, and what does not; and what is asked of whom to bring it about."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, get_args

import pytest

from hedgerow_node.chance import rule_salt, struck
from hedgerow_node.records import Action, ServedCopy, write_rows
from hedgerow_node.units import NS_PER_MS, NS_PER_S
from orchestrator.collect.folder import RunFolder
from orchestrator.errors import UsageError
from orchestrator.plan.blocks import make_plan
from orchestrator.run.faults import cpu
from orchestrator.run.faults.acts import Act, Proof, least_strikes
from orchestrator.run.faults.network import check_room
from orchestrator.run.faults.registry import HANDLERS, handler
from orchestrator.run.faults.scene import LEAD_NS, Scene, carefully
from orchestrator.scenario import faults as models
from unit.experiments import faulty
from unit.fake_topology import FakeTopology, scene_of

START_NS = 1_000 * NS_PER_S
PAUSE = "{fault: pause, target: server-0, at: 200ms, duration: 100ms}"


class Stage:
    """One block with faults, begun at `START_NS` and finished a second later."""

    def __init__(self, tmp_path: Path, *faults: str, stubborn: bool = False, overrides: tuple[str, ...] = ()) -> None:
        self.topology = FakeTopology(stubborn)
        self.folder = RunFolder.create(tmp_path, "example")
        self.scene = scene_of(faulty(*faults, overrides=overrides), self.topology, self.folder)
        self.scene.finished_ns = START_NS + NS_PER_S

    @property
    def act(self) -> Act:
        return self.scene.acts[0]

    def begin(self) -> None:
        self.scene.prepare()
        self.scene.begin(START_NS)

    def told(self, node: str, **answer: Any) -> None:
        """Lets the node's supervisor say this of its first strike."""
        strike = {"key": "0.0", "applied_ns": None, "undone_ns": None, "proof": {}, **answer}
        self.topology.control(node).answers["strikes-done"] = {"strikes": [strike]}

    def undo(self) -> None:
        for act in self.scene.acts:
            handler(act.fault).undo(act, self.scene)

    def proof(self, act: Act | None = None) -> Proof:
        act = act or self.act
        return handler(act.fault).proof(act, self.scene)


def at_ms(from_ms: float, to_ms: float) -> dict[str, int]:
    """Applied and undone at these times after the start."""
    return {
        "applied_ns": START_NS + round(from_ms * NS_PER_MS),
        "undone_ns": START_NS + round(to_ms * NS_PER_MS),
    }


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
        ({**at_ms(200, 300), "proof": {**STOPPED, "cpu_ns_after": 900}}, False, "computed for 400 ns"),
        ({**at_ms(200, 300), "proof": {**STOPPED, "cpu_ns_before": None}}, False, "never seen stopped"),
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


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """In place of CLOCK_MONOTONIC: a busy host is no matter of these tests."""
    made = Clock()
    monkeypatch.setattr(time, "monotonic_ns", lambda: made.now_ns)
    return made


class Clock:
    """Time that passes when told to."""

    now_ns = START_NS

    def live(self, stage: Stage) -> Stage:
        """Begins the block now; everything that falls due in the next 60 ms is done."""
        stage.scene.prepare()
        stage.scene.begin(self.now_ns)
        for _ in range(60):
            self.now_ns += NS_PER_MS
            stage.scene.act()
        stage.scene.finished_ns = self.now_ns
        return stage


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


def test_a_quota_that_nobody_used_up_is_no_proof(tmp_path: Path, clock: Clock) -> None:
    quota = "{fault: cpu-quota, target: client, at: 5ms, duration: 30ms, percent: 50%}"
    assert clock.live(Stage(tmp_path, quota)).proof().finding == "throttled in 3 periods"
    idle = clock.live(Stage(tmp_path, quota, stubborn=True))
    assert (idle.proof().proven, idle.proof().finding) == (False, "the node never used up its share")
    assert idle.topology.limits == {"client": None}


def test_a_quota_for_the_whole_block_is_there_before_its_first_send(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "{fault: cpu-quota, target: client, percent: 50%}")
    stage.begin()
    due_ns = stage.scene.next_due_ns()
    assert due_ns is not None
    assert START_NS - LEAD_NS < due_ns < START_NS


# --- cpu-stress -----------------------------------------------------------------------------------------------------

STRESS = "{fault: cpu-stress, target: %s, at: 200ms, duration: 100ms}"


@pytest.mark.parametrize(("cpu_ms", "proven"), [(200, True), (11, True), (9, False), (0, False)])
def test_burners_must_have_burnt_some_of_what_they_could(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu_ms: int, proven: bool
) -> None:
    monkeypatch.setattr(cpu, "cores", lambda: 2)
    stage = Stage(tmp_path, STRESS % "server-0")
    stage.begin()
    ((_, fields),) = stage.topology.control("server-0").asked
    assert fields["strikes"][0]["burners"] == 2
    stage.told("server-0", **at_ms(200, 300), proof={"burners": 2, "cpu_ns": cpu_ms * NS_PER_MS})
    stage.undo()
    assert stage.proof().proven == proven


def test_burners_of_other_nodes_and_quotas_take_their_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "cores", lambda: 2)
    quota = "{fault: cpu-quota, target: client, percent: 10%}"
    stage = Stage(tmp_path, STRESS % "everything", quota)
    stresses = [act for act in stage.scene.acts if act.fault.fault == "cpu-stress"]
    assert [act.node for act in stresses] == ["client", "server-0", "server-1", "server-2"]
    for act in stresses:
        act.applied_ns, act.undone_ns = 0, 100 * NS_PER_MS
    shares = [cpu.Stress.at_most_ns(act, stage.scene) for act in stresses]
    assert shares == [10 * NS_PER_MS, 50 * NS_PER_MS, 50 * NS_PER_MS, 50 * NS_PER_MS]


# --- service --------------------------------------------------------------------------------------------------------

DROP = '{fault: drop-requests, target: server-1, at: 200ms, duration: 500ms, when: "id % 2 == 0"}'


def serve(stage: Stage, hits: int, actions: list[Action]) -> None:
    """Lets the server end the block with these hits and rows."""
    stage.scene.served["server-1"] = {"fault_hits": {"0.0": hits}}
    first = stage.act.struck[0]
    rows = [ServedCopy(first + n, 1, 4000, 1, START_NS, START_NS, -1, action) for n, action in enumerate(actions)]
    write_rows(stage.folder.raw_copies(stage.scene.block, 1), rows, ServedCopy)


def test_service_faults_are_told_by_id_and_need_no_time_to_prepare(tmp_path: Path) -> None:
    stage = Stage(tmp_path, DROP, overrides=("workload.spread=round-robin",))
    (fault,) = stage.scene.served_faults("server-1")
    assert stage.scene.served_faults("server-0") == []
    assert fault == {
        "key": "0.0",
        "kind": "drop-requests",
        "when": "id % 2 == 0",
        "first_id": stage.act.struck[0],
        "last_id": stage.act.struck[-1],
    }
    assert stage.scene.lead_ns == 0


@pytest.mark.parametrize(
    ("hits", "actions", "proven"),
    [
        (7, [Action.DROPPED] * 7 + [Action.SERVED], True),
        (7, [Action.DROPPED] * 6, False),
        (6, [Action.DROPPED] * 7, False),
        (0, [Action.SERVED], False),
        (7, [Action.SERVED, Action.STALLED], False),
        (0, [Action.DROPPED] * 7, False),
    ],
)
def test_the_server_must_have_counted_and_logged_what_it_struck(
    tmp_path: Path, hits: int, actions: list[Action], proven: bool
) -> None:
    stage = Stage(tmp_path, DROP, overrides=("workload.spread=round-robin",))
    stage.begin()
    serve(stage, hits, actions)
    proof = stage.proof()
    assert proof.proven == proven
    meant = [id_ for id_ in stage.act.struck if id_ % 2 == 0 and id_ % 3 == 1]
    assert proof.evidence["expected_primaries"] == len(meant) == 7
    planned_ns = stage.act.planned_ns(START_NS)
    assert (stage.act.applied_ns, stage.act.undone_ns) == (planned_ns if hits else (None, None))


def test_nothing_to_strike_is_said_and_is_no_failure(tmp_path: Path) -> None:
    """Everything is asked of the first server, and the baseline hedges nothing."""
    stage = Stage(tmp_path, DROP)
    stage.begin()
    serve(stage, 0, [])
    assert (stage.proof().proven, stage.proof().finding) == (True, "there was no request to strike")


# --- network --------------------------------------------------------------------------------------------------------

LOSS = "{fault: loss, target: server-0, at: 200ms, duration: 500ms, percent: 20%}"


def test_both_directions_are_two_rules_under_one_name_and_go_when_they_are_counted(tmp_path: Path) -> None:
    stage = Stage(tmp_path, LOSS)
    stage.begin()
    hedger = stage.topology.control("hedger")
    ((do, fields),) = hedger.asked
    assert (do, fields["seed"]) == ("faults", 42)
    assert [(rule["direction"], rule["key"], rule["percent"]) for rule in fields["rules"]] == [
        ("requests", "0.0@server-0", 20.0),
        ("responses", "0.0@server-0", 20.0),
    ]
    hedger.answers["fault-hits"] = {"hits": {"0.0@server-0": 90}, "failed": 0}
    stage.undo()
    stage.undo()
    assert [do for do, _ in hedger.asked] == ["faults", "fault-hits", "faults"]
    assert hedger.asked[-1][1]["rules"] == []
    assert (stage.proof().proven, stage.proof().finding) == (True, "struck 90 copies")


def test_what_the_lots_say_must_be_struck_has_to_be(tmp_path: Path) -> None:
    stage = Stage(tmp_path, LOSS)
    stage.begin()
    stage.topology.control("hedger").answers["fault-hits"] = {"hits": {}, "failed": 0}
    stage.undo()
    salts = [rule_salt("0.0@server-0", direction) for direction in ("requests", "responses")]
    drawn = sum(any(struck(42, id_, 1, 0, salt, 20) for salt in salts) for id_ in stage.act.struck)
    proof = stage.proof()
    assert (proof.proven, proof.evidence["expected_primaries"]) == (False, drawn)
    assert drawn > 0


@pytest.mark.parametrize(("hits", "proven"), [(1.0, True), (0.91, True), (0.89, False), (0.1, False)])
def test_nearly_all_must_be_struck_whose_lot_it_was(tmp_path: Path, hits: float, proven: bool) -> None:
    stage = Stage(tmp_path, LOSS.replace("20%", "100%"))
    stage.begin()
    counted = round(hits * len(stage.act.struck))
    stage.topology.control("hedger").answers["fault-hits"] = {"hits": {"0.0@server-0": counted}, "failed": 0}
    stage.undo()
    assert stage.proof().proven is proven


@pytest.mark.parametrize(
    "other",
    [
        "{fault: pause, target: client, at: 300ms, duration: 100ms}",
        "{fault: partition, target: server-0, at: 300ms, duration: 100ms}",
        "{fault: kill, target: server-1, at: 600ms}",
    ],
)
def test_while_something_else_is_on_one_strike_proves_it(tmp_path: Path, other: str) -> None:
    """The other one may keep requests or answers from coming to where it strikes; how many, nobody can say."""
    stage = Stage(tmp_path, LOSS, other)
    assert least_strikes(stage.act, stage.scene.acts, expected=50) == 1
    assert least_strikes(stage.act, stage.scene.acts, expected=0) == 0


def test_what_comes_later_does_not_excuse_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path, LOSS, "{fault: pause, target: client, at: 700ms, duration: 100ms}")
    assert least_strikes(stage.act, stage.scene.acts, expected=50) == 45


@pytest.mark.parametrize(("failed", "proven"), [(10, True), (11, False)])
def test_copies_that_passed_though_their_lot_was_another_are_no_proof(
    tmp_path: Path, failed: int, proven: bool
) -> None:
    stage = Stage(tmp_path, "{fault: delay, target: server-0, delay: 5ms, at: 200ms, duration: 500ms}")
    stage.begin()
    answer = {"hits": {"0.0@server-0": 90}, "failed": failed}
    stage.topology.control("hedger").answers["fault-hits"] = answer
    stage.undo()
    assert stage.proof().proven == proven
    assert proven or stage.proof().finding == "11 copies that were to be struck passed, of 101"


def test_where_the_lots_strike_nobody_nothing_has_to_be_struck(tmp_path: Path) -> None:
    stage = Stage(tmp_path, LOSS.replace("20%", "0.000001%"))
    stage.begin()
    stage.topology.control("hedger").answers["fault-hits"] = {"hits": {}, "failed": 0}
    stage.undo()
    assert stage.proof().proven
    assert "no copy's lot" in stage.proof().finding


def test_more_rules_than_there_is_room_for_are_refused_before_the_run() -> None:
    often = faulty("{fault: loss, target: servers, percent: 5%, at: 0s, duration: 10ms, every: 50ms}")
    with pytest.raises(UsageError, match=r"need [0-9]+ rules in a block, there is room for 64"):
        check_room(often, make_plan(often))
    check_room(faulty(LOSS), make_plan(faulty(LOSS)))


RATE = "{fault: rate, target: server-0, rate: 1mbit, at: 5ms, duration: 30ms}"
RATE_RULE = {"key": "0.0@server-0", "replica": 0, "kind": "rate", "percent": 100.0, "rate_bit_per_s": 1_000_000}


def netem_answer(at_ns: int, **counted: int) -> dict[str, Any]:
    was = {"options": "rate 1000000bit", "replicas": [0], "packets": 0, "drops": 0, "qlen": 0, **counted}
    return {"at_ns": at_ns, "was": [was]}


def test_netem_goes_with_its_time_and_must_have_had_packets(tmp_path: Path, clock: Clock) -> None:
    stage = Stage(tmp_path, RATE)
    hedger = stage.topology.control("hedger")
    hedger.answers["netem"] = netem_answer(5)
    clock.live(stage)
    stage.undo()
    stage.undo()
    assert hedger.asked == [
        ("prepare-netem", {"phases": [{"rules": [RATE_RULE]}]}),
        ("netem", {"rules": [RATE_RULE]}),
        ("netem", {"rules": []}),
        ("prepare-netem", {"phases": []}),
    ]
    assert (stage.act.applied_ns, stage.act.undone_ns) == (5, 5)  # as the hedger says, not as it was asked
    stage.act.applied_ns, stage.act.undone_ns = stage.act.planned_ns(stage.scene.start_ns)
    assert "no packet" in stage.proof().finding
    stage.act.evidence.update(packets=0, drops=4)
    assert (stage.proof().proven, stage.proof().finding) == (True, "4 packets came to the qdisc")


def test_netem_in_force_at_the_end_is_taken_back_and_its_packets_counted(tmp_path: Path, clock: Clock) -> None:
    stage = Stage(tmp_path, RATE.replace(", duration: 30ms", ""))
    hedger = stage.topology.control("hedger")
    hedger.answers["netem"] = netem_answer(6)
    clock.live(stage)
    hedger.answers["netem"] = netem_answer(7, packets=2)
    stage.scene.stop()
    stage.undo()
    assert [do for do, _ in hedger.asked] == ["prepare-netem", "netem", "netem", "prepare-netem"]
    assert (stage.act.applied_ns, stage.act.undone_ns) == (6, 7)
    assert stage.act.evidence == {"packets": 2, "drops": 0}


def test_netem_is_told_beforehand_what_will_be_in_force_together(tmp_path: Path) -> None:
    partition = "{fault: partition, target: server-1, model: netem, at: 20ms, duration: 30ms}"
    stage = Stage(tmp_path, RATE, partition)
    stage.scene.prepare()
    ((_, fields),) = stage.topology.control("hedger").asked
    together = [[rule["key"] for rule in phase["rules"]] for phase in fields["phases"]]
    assert together == [["0.0@server-0"], ["0.0@server-0", "1.0@server-1"], ["1.0@server-1"]]


def test_netem_is_told_once_of_what_comes_again(tmp_path: Path) -> None:
    stage = Stage(tmp_path, RATE.replace("duration: 30ms", "duration: 30ms, every: 100ms"))
    assert len(stage.scene.acts) > 5
    stage.scene.prepare()
    assert stage.topology.control("hedger").asked == [("prepare-netem", {"phases": [{"rules": [RATE_RULE]}]})]


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
