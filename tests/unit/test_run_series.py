"""The order of a run's blocks and what becomes of those whose faults are not proven."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hedgerow_node.control import ControlError
from orchestrator.errors import ExitCode, RunError
from orchestrator.plan.blocks import make_plan
from orchestrator.plan.faults import plan_faults
from orchestrator.run.runner import layout_of
from orchestrator.runfolder.observed import HostPressed
from orchestrator.topology.base import Layout
from support.experiments import OPEN, experiment_of, faulty
from support.series_outcome import START_NS, Outcome, one_strategy

if TYPE_CHECKING:
    from pathlib import Path

PAUSE = "{fault: pause, target: server-0, at: 200ms, duration: 100ms}"


def test_every_fault_that_is_proven_is_in_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = faulty(PAUSE)
    outcome = Outcome(tmp_path, monkeypatch, experiment, set())
    outcome.run(one_strategy(experiment))
    fault = next(record for record in outcome.journal if record["event"] == "fault")
    del fault["at"], fault["monotonic_ns"]
    assert fault == {
        "event": "fault",
        "serial": 0,
        "order": 0,
        "arm": None,
        "strategy": "baseline",
        "block": 0,
        "key": "0.0",
        "fault": "pause",
        "target": "server-0",
        "planned_ns": START_NS + 200_000_000,
        "applied_ns": None,
        "planned_until_ns": START_NS + 300_000_000,
        "undone_ns": None,
        "start_ns": START_NS,
        "proven": True,
        "proof": {"finding": "as it is told", "state": "T"},
    }
    assert outcome.manifest["discarded"] == []
    assert [block["serial"] for block in outcome.manifest["blocks"]] == [0, 1]


def test_a_block_that_is_not_proven_is_discarded_aloud_and_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = faulty(PAUSE)
    outcome = Outcome(tmp_path, monkeypatch, experiment, {0, 1})
    outcome.run(one_strategy(experiment))
    assert [(a.block.order, a.serial, a.number) for a in outcome.attempts] == [
        (0, 0, 1),
        (0, 1, 2),
        (0, 2, 3),
        (1, 3, 1),
    ]
    first = outcome.attempts[0].block
    assert outcome.folder.raw_samples(first).read_text() == "of 2"
    assert (outcome.folder.raw / "discarded-1" / outcome.folder.raw_samples(first).name).read_text() == "of 1"
    reason = "pause of server-0 (0.0) is not proven: as it is told"
    discarded = [record for record in outcome.journal if record["event"] == "block-discarded"]
    assert [(record["serial"], record["attempt"], record["reasons"]) for record in discarded] == [
        (0, 1, [reason]),
        (1, 2, [reason]),
    ]
    assert [entry["serial"] for entry in outcome.manifest["discarded"]] == [0, 1]
    assert [block["serial"] for block in outcome.manifest["blocks"]] == [2, 3]
    assert outcome.manifest["counters"] == {"baseline": {"requests": 200}}
    assert outcome.watcher.said[1:] == [
        f"block 0 (baseline): attempt {number} of 3 discarded: {reason}" for number in (1, 2)
    ]
    assert outcome.watcher.ended == 2


def test_after_three_attempts_the_run_fails_by_fault_node_and_evidence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = faulty(PAUSE)
    outcome = Outcome(tmp_path, monkeypatch, experiment, {0, 1, 2})
    with pytest.raises(RunError) as caught:
        outcome.run(one_strategy(experiment))
    assert caught.value.exit_code == ExitCode.RUN_FAILED
    assert (
        "pause of server-0 (0.0) is not proven: as it is told, in 3 attempts; {'state': 'T'}" in caught.value.message
    )
    assert len(outcome.attempts) == 3
    assert not outcome.folder.raw_samples(outcome.attempts[0].block).exists()


def test_a_block_whose_requests_were_lost_is_run_again_and_then_fails_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = experiment_of(OPEN)
    outcome = Outcome(
        tmp_path, monkeypatch, experiment, set(), lost=lambda serial: "no answer" if serial != 2 else None
    )
    with pytest.raises(RunError) as caught:
        outcome.run(one_strategy(experiment))
    assert caught.value.exit_code == ExitCode.RUN_FAILED
    assert caught.value.message == "block 1 (baseline): no answer, in 3 attempts"
    assert caught.value.remedy is not None
    assert "firewall" in caught.value.remedy
    discarded = [record for record in outcome.journal if record["event"] == "block-discarded"]
    assert [(record["order"], record["reasons"]) for record in discarded] == [
        (order, ["no answer"]) for order in (0, 0, 1, 1, 1)
    ]
    assert [entry["serial"] for entry in outcome.manifest["discarded"]] == [0, 1, 3, 4, 5]
    assert [entry["serial"] for entry in outcome.manifest["blocks"]] == [2]
    assert "block 0 (baseline): attempt 1 of 3 discarded: no answer" in outcome.watcher.said


def test_a_clock_that_was_set_and_what_other_work_took_are_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = experiment_of(OPEN)
    outcome = Outcome(
        tmp_path,
        monkeypatch,
        experiment,
        set(),
        clock_set_ns=lambda serial: -2_500_000 if serial else None,
        host=lambda serial: HostPressed(10 * serial, 300),
    )
    outcome.run(one_strategy(experiment))
    first, second = outcome.manifest["blocks"]
    assert "clock_set_ns" not in first
    assert second["clock_set_ns"] == -2_500_000
    assert [(block["steal_ms"], block["cpu_pressure_us"]) for block in (first, second)] == [(0, 300), (10, 300)]
    (record,) = [record for record in outcome.journal if record["event"] == "clock-set"]
    assert (record["serial"], record["by_ns"]) == (1, -2_500_000)
    assert any("the clock was set by -2.5 ms meanwhile" in said for said in outcome.watcher.said)


ARMS = """
design: {blocks: 2, order: fixed}
arms:
  near: {}
  twice: {hedging: {delay: 20ms}}
  alone: {topology: {replicas: 1}}
  faulty: {faults: [{fault: freeze, target: server-2, at: 10ms, duration: 50ms}]}
"""


def test_the_hedger_is_set_anew_only_where_an_arm_hedges_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = experiment_of(OPEN + ARMS)
    outcome = Outcome(tmp_path, monkeypatch, experiment, set())
    outcome.run(make_plan(experiment, ("baseline",)))
    assert [(set_["delay_ns"] // 1_000_000, len(set_["services"][0])) for set_ in outcome.configured()] == [
        (10, 3),
        (20, 3),
        (10, 1),
        (10, 3),  # the last arm's, and the next round's first
        (20, 3),
        (10, 1),
        (10, 3),
    ]
    assert outcome.manifest["arms"] == [
        {"name": name, "engine": "clone", "delay_line": "htb"} for name in ("near", "twice", "alone", "faulty")
    ]
    assert (outcome.manifest["engine"], outcome.manifest["delay_line"]) == ("clone", "htb")
    assert set(outcome.manifest["counters"]) == {f"baseline@{arm.name}" for arm in experiment.arms}
    statistics = outcome.manifest["delay_line_statistics"]
    assert all({"arm", "engine", "before", "after"} == set(entry) for entry in statistics)


@pytest.mark.parametrize("silent", ["configure", "delay-line"])
def test_a_hedger_that_does_not_answer_fails_the_run_by_name(
    silent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = experiment_of(OPEN)
    outcome = Outcome(tmp_path, monkeypatch, experiment, set())
    checked: list[bool] = []
    topology: Any = outcome.topology
    topology.check = lambda: checked.append(True)
    hedger: Any = topology.control("hedger")
    answer = hedger.call

    def call(do: str, **fields: Any) -> dict[str, Any]:
        if do == silent:
            raise ControlError("no answer within 60 s")
        told: dict[str, Any] = answer(do, **fields)
        return told

    hedger.call = call
    with pytest.raises(RunError, match="hedger: no answer within 60 s"):
        outcome.run(one_strategy(experiment))
    assert checked == [True]


def test_what_is_stood_up_is_enough_for_every_arm() -> None:
    assert layout_of(experiment_of(OPEN + ARMS)) == Layout(port=9000, replicas=3, freezes=True, limits=False)
    quota = "{fault: cpu-quota, target: client, percent: 50%}"
    assert layout_of(faulty(quota)) == Layout(port=9000, replicas=3, freezes=False, limits=True)


def test_faults_that_come_after_the_end_of_a_short_block_are_known_beforehand() -> None:
    """Every block has the offsets of all, but the gaps of its own schedule: some end before the last of them."""
    experiment = faulty("{fault: restart, target: server-0, at: 1ms, every: 10ms}")
    counts = []
    for block in make_plan(experiment, ("baseline",)):
        planned, too_late = plan_faults(experiment.scenario, block)
        counts.append(len(too_late))
        assert len(planned) + len(too_late) == 100
        assert all(one.at_ns < late.at_ns for one in planned for late in too_late)
    assert any(counts)
    assert not all(counts)
