"""What counts as proof of the faults that strike by id, of service and of network, and of netem's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hedgerow_node.chance import rule_salt, struck
from hedgerow_node.records import Action, ServedCopy, write_rows
from orchestrator.errors import UsageError
from orchestrator.plan.blocks import make_plan
from orchestrator.run.faults.acts import least_strikes
from orchestrator.run.faults.network import check_room
from support.experiments import faulty
from support.fault_stage import START_NS, Clock, Stage

if TYPE_CHECKING:
    from pathlib import Path

# --- service --------------------------------------------------------------------------------------------------------

DROP = '{fault: drop-requests, target: server-1, at: 200ms, duration: 500ms, when: "id % 2 == 0"}'


def serve(stage: Stage, hits: int, actions: list[Action]) -> None:
    """Lets the server end the block with these hits and rows."""
    stage.scene.served[stage.act.node] = {"fault_hits": {"0.0": hits}}
    first, replica = stage.act.struck[0], stage.act.replica
    rows = [
        ServedCopy(first + n, 1, 4000, replica, START_NS, START_NS, -1, action) for n, action in enumerate(actions)
    ]
    write_rows(stage.folder.raw_copies(stage.scene.block, replica), rows, ServedCopy)


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


SLOW = "{fault: slow, target: server-0, factor: 20, at: 200ms, duration: 500ms}"


@pytest.mark.parametrize(
    ("slowed", "stalled", "healed", "served", "hits", "proven"),
    [
        (80, 20, 0, 0, 100, True),
        (60, 20, 20, 0, 100, True),
        (0, 100, 0, 0, 100, True),
        # What stalled without being slowed is in the log just the same, but not among the hits.
        (0, 100, 0, 0, 0, False),
        (80, 20, 0, 0, 80, False),
        (80, 0, 0, 20, 100, False),
    ],
)
def test_a_slowed_copy_that_stalls_as_well_or_is_healed_of_it_was_slowed(
    tmp_path: Path, slowed: int, stalled: int, healed: int, served: int, hits: int, proven: bool
) -> None:
    """Percentages, of the requests that the fault is meant for."""
    stage = Stage(tmp_path, SLOW, overrides=("service.stall.when=id % 5 == 0", "service.stall.duration=50ms"))
    stage.begin()
    meant = len(stage.act.struck)
    shares = {
        Action.SLOWED: slowed,
        Action.STALLED: stalled,
        Action.HEALED: healed,
        Action.SERVED: served,
    }
    actions = [action for action, percent in shares.items() for _ in range(round(percent * meant / 100))]
    serve(stage, round(hits * meant / 100), actions[:meant])
    assert (stage.proof().proven, stage.proof().evidence["expected_primaries"]) == (proven, meant)


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
