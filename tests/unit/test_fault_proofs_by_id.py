"""What counts as proof of the faults that affect requests by id, of service and of network, and of netem's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hedgerow_node.fault_draw import is_selected, rule_salt
from hedgerow_node.protocol.server import DropFault, ServerReport
from hedgerow_node.records import Action, ServedCopy, write_rows
from orchestrator.run.faults.outcome import FaultOutcome, Observed
from support.fault_harness import START_NS, Clock, FaultHarness

if TYPE_CHECKING:
    from pathlib import Path

# --- service --------------------------------------------------------------------------------------------------------

DROP = '{fault: drop-requests, target: server-1, at: 200ms, duration: 500ms, when: "id % 2 == 0"}'


def serve(harness: FaultHarness, hits: int, actions: list[Action]) -> None:
    """Lets the server end the block with these hits and rows."""
    planned = harness.planned
    harness.servers[planned.node] = ServerReport(len(actions), 0, fault_hits={"0.0": hits})
    first, replica = planned.affected_ids[0], planned.replica
    rows = [
        ServedCopy(first + n, 1, 4000, replica, START_NS, START_NS, -1, action) for n, action in enumerate(actions)
    ]
    write_rows(harness.folder.raw_copies(harness.block, replica), rows, ServedCopy)


def test_service_faults_are_told_by_id_and_need_no_time_to_prepare(tmp_path: Path) -> None:
    harness = FaultHarness(tmp_path, DROP, overrides=("workload.spread=round-robin",))
    (fault,) = harness.session.service_faults("server-1")
    assert harness.session.service_faults("server-0") == ()
    ids = harness.planned.affected_ids
    assert fault == DropFault("0.0", ids[0], ids[-1], "id % 2 == 0")
    assert harness.session.lead_ns == 0


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
def test_the_server_must_have_counted_and_logged_what_it_affected(
    tmp_path: Path, hits: int, actions: list[Action], proven: bool
) -> None:
    harness = FaultHarness(tmp_path, DROP, overrides=("workload.spread=round-robin",))
    harness.begin()
    serve(harness, hits, actions)
    proof = harness.proof()
    assert proof.proven == proven
    meant = [id_ for id_ in harness.planned.affected_ids if id_ % 2 == 0 and id_ % 3 == 1]
    assert proof.outcome.evidence["expected_primaries"] == len(meant) == 7
    affected = min(hits, actions.count(Action.DROPPED))
    assert proven or proof.finding == f"affected {affected} of the 7 requests that it was meant to affect"
    span = harness.planned.span_from(START_NS)
    times = (proof.outcome.applied_ns, proof.outcome.undone_ns)
    assert times == ((span.from_ns, span.until_ns) if hits else (None, None))


def test_that_no_request_was_to_be_affected_is_said_and_is_no_failure(tmp_path: Path) -> None:
    """Everything is asked of the first server, and the baseline hedges nothing."""
    harness = FaultHarness(tmp_path, DROP)
    harness.begin()
    serve(harness, 0, [])
    assert (harness.proof().proven, harness.proof().finding) == (True, "there was no request to affect")


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
    harness = FaultHarness(
        tmp_path, SLOW, overrides=("service.stall.when=id % 5 == 0", "service.stall.duration=50ms")
    )
    harness.begin()
    meant = len(harness.planned.affected_ids)
    shares = {
        Action.SLOWED: slowed,
        Action.STALLED: stalled,
        Action.HEALED: healed,
        Action.SERVED: served,
    }
    actions = [action for action, percent in shares.items() for _ in range(round(percent * meant / 100))]
    serve(harness, round(hits * meant / 100), actions[:meant])
    assert (harness.proof().proven, harness.proof().outcome.evidence["expected_primaries"]) == (proven, meant)


# --- network --------------------------------------------------------------------------------------------------------

LOSS = "{fault: loss, target: server-0, at: 200ms, duration: 500ms, percent: 20%}"


def test_both_directions_are_two_rules_under_one_name_and_go_when_they_are_counted(tmp_path: Path) -> None:
    harness = FaultHarness(tmp_path, LOSS)
    harness.begin()
    hedger = harness.topology.control("hedger")
    ((do, fields),) = hedger.asked
    assert (do, fields["seed"]) == ("faults", 42)
    assert [(rule["direction"], rule["key"], rule["percent"]) for rule in fields["rules"]] == [
        ("requests", "0.0@server-0", 20.0),
        ("responses", "0.0@server-0", 20.0),
    ]
    hedger.answers["fault-hits"] = {"hits": {"0.0@server-0": 90}, "failed": 0}
    harness.give_back()
    harness.give_back()
    assert [do for do, _ in hedger.asked] == ["faults", "fault-hits", "faults"]
    assert hedger.asked[-1][1]["rules"] == []
    assert (harness.proof().proven, harness.proof().finding) == (True, "affected 90 copies")


def test_what_the_draw_selects_must_be_affected(tmp_path: Path) -> None:
    harness = FaultHarness(tmp_path, LOSS)
    harness.begin()
    harness.topology.control("hedger").answers["fault-hits"] = {"hits": {}, "failed": 0}
    harness.give_back()
    salts = [rule_salt("0.0@server-0", direction) for direction in ("requests", "responses")]
    drawn = sum(any(is_selected(42, id_, 1, 0, salt, 20) for salt in salts) for id_ in harness.planned.affected_ids)
    proof = harness.proof()
    assert (proof.proven, proof.outcome.evidence["expected_primaries"]) == (False, drawn)
    assert drawn > 0


@pytest.mark.parametrize(("hits", "proven"), [(1.0, True), (0.91, True), (0.89, False), (0.1, False)])
def test_nearly_all_that_the_draw_selects_must_be_affected(tmp_path: Path, hits: float, proven: bool) -> None:
    harness = FaultHarness(tmp_path, LOSS.replace("20%", "100%"))
    harness.begin()
    counted = round(hits * len(harness.planned.affected_ids))
    harness.topology.control("hedger").answers["fault-hits"] = {"hits": {"0.0@server-0": counted}, "failed": 0}
    harness.give_back()
    assert harness.proof().proven is proven


def observed(harness: FaultHarness) -> Observed:
    """Of a block that left nothing."""
    return Observed(harness.scenario, harness.session.planned, START_NS, START_NS, {}, lambda _: (), ())


@pytest.mark.parametrize(
    "other",
    [
        "{fault: pause, target: client, at: 300ms, duration: 100ms}",
        "{fault: partition, target: server-0, at: 300ms, duration: 100ms}",
        "{fault: kill, target: server-1, at: 600ms}",
    ],
)
def test_while_something_else_is_on_a_single_copy_proves_it(tmp_path: Path, other: str) -> None:
    """The other one may keep requests or answers from coming to where it is injected; how many is not known."""
    harness = FaultHarness(tmp_path, LOSS, other)
    assert observed(harness).least_affected(harness.planned, expected=50) == 1
    assert observed(harness).least_affected(harness.planned, expected=0) == 0


def test_what_comes_later_does_not_excuse_it(tmp_path: Path) -> None:
    harness = FaultHarness(tmp_path, LOSS, "{fault: pause, target: client, at: 700ms, duration: 100ms}")
    assert observed(harness).least_affected(harness.planned, expected=50) == 45


@pytest.mark.parametrize(("failed", "proven"), [(10, True), (11, False)])
def test_selected_copies_that_passed_are_no_proof(tmp_path: Path, failed: int, proven: bool) -> None:
    harness = FaultHarness(tmp_path, "{fault: delay, target: server-0, delay: 5ms, at: 200ms, duration: 500ms}")
    harness.begin()
    answer = {"hits": {"0.0@server-0": 90}, "failed": failed}
    harness.topology.control("hedger").answers["fault-hits"] = answer
    harness.give_back()
    assert harness.proof().proven == proven
    assert proven or harness.proof().finding == "11 copies that were to be affected passed, of 101"


def test_where_the_draw_selects_no_packet_none_has_to_be_affected(tmp_path: Path) -> None:
    harness = FaultHarness(tmp_path, LOSS.replace("20%", "0.000001%"))
    harness.begin()
    harness.topology.control("hedger").answers["fault-hits"] = {"hits": {}, "failed": 0}
    harness.give_back()
    assert harness.proof().proven
    assert harness.proof().finding == "the draw selected no packet"


RATE = "{fault: rate, target: server-0, rate: 1mbit, at: 5ms, duration: 30ms}"
RATE_RULE = {
    "key": "0.0@server-0",
    "replica": 0,
    "kind": "rate",
    "percent": 100.0,
    "delay_ns": None,
    "rate_bit_per_s": 1_000_000,
}


def netem_answer(at_ns: int, **counted: int) -> dict[str, Any]:
    was = {"options": "rate 1000000bit", "replicas": [0], "packets": 0, "drops": 0, "qlen": 0, **counted}
    return {"at_ns": at_ns, "was": [was]}


def test_netem_goes_with_its_time_and_must_have_had_packets(tmp_path: Path, clock: Clock) -> None:
    harness = FaultHarness(tmp_path, RATE)
    hedger = harness.topology.control("hedger")
    hedger.answers["netem"] = netem_answer(5)
    clock.live(harness)
    harness.give_back()
    harness.give_back()
    assert hedger.asked == [
        ("prepare-netem", {"phases": [{"rules": [RATE_RULE]}]}),
        ("netem", {"rules": [RATE_RULE]}),
        ("netem", {"rules": []}),
        ("prepare-netem", {"phases": []}),
    ]
    assert (harness.outcome.applied_ns, harness.outcome.undone_ns) == (5, 5)  # as the hedger says
    span = harness.planned.span_from(harness.session.start_ns)
    harness.session.outcomes.put(harness.planned, FaultOutcome(span.from_ns, span.until_ns))
    assert "no packet" in harness.proof().finding
    harness.session.outcomes.note(harness.planned, packets=0, drops=4)
    assert (harness.proof().proven, harness.proof().finding) == (True, "4 packets came to the qdisc")


def test_netem_in_force_at_the_end_is_taken_back_and_its_packets_counted(tmp_path: Path, clock: Clock) -> None:
    harness = FaultHarness(tmp_path, RATE.replace(", duration: 30ms", ""))
    hedger = harness.topology.control("hedger")
    hedger.answers["netem"] = netem_answer(6)
    clock.live(harness)
    hedger.answers["netem"] = netem_answer(7, packets=2)
    harness.give_back()
    assert [do for do, _ in hedger.asked] == ["prepare-netem", "netem", "netem", "prepare-netem"]
    assert harness.outcome == FaultOutcome(6, 7, {"packets": 2, "drops": 0})


def test_netem_is_told_beforehand_what_will_be_in_force_together(tmp_path: Path) -> None:
    partition = "{fault: partition, target: server-1, model: netem, at: 20ms, duration: 30ms}"
    harness = FaultHarness(tmp_path, RATE, partition)
    harness.session.prepare()
    ((_, fields),) = harness.topology.control("hedger").asked
    together = [[rule["key"] for rule in phase["rules"]] for phase in fields["phases"]]
    assert together == [["0.0@server-0"], ["0.0@server-0", "1.0@server-1"], ["1.0@server-1"]]


def test_netem_is_told_once_of_what_comes_again(tmp_path: Path) -> None:
    harness = FaultHarness(tmp_path, RATE.replace("duration: 30ms", "duration: 30ms, every: 100ms"))
    assert len(harness.session.planned) > 5
    harness.session.prepare()
    assert harness.topology.control("hedger").asked == [("prepare-netem", {"phases": [{"rules": [RATE_RULE]}]})]
