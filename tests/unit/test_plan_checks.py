"""What keeps planned faults from being injected is refused before anything runs, with its line and a remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.cli import run
from orchestrator.errors import ScenarioError
from orchestrator.plan.checks import load_plan, plan_findings
from support.experiments import OPEN, faulty

if TYPE_CHECKING:
    from pathlib import Path

OFTEN = "{fault: loss, target: servers, percent: 5%, at: 0s, duration: 10ms, every: 50ms}"
ONCE = "{fault: loss, target: server-0, at: 200ms, duration: 500ms, percent: 20%}"
NETEM_DELAY = "{fault: delay, target: server-0, model: netem, delay: 5ms, at: 100ms, duration: 200ms}"


def write(directory: Path, *faults: str) -> Path:
    path = directory / "scenario.yaml"
    path.write_text(OPEN + "faults:\n" + "".join(f"  - {fault}\n" for fault in faults))
    return path


def findings(*faults: str) -> list[str]:
    return [str(finding) for finding in plan_findings(faulty(*faults).scenario)]


def test_what_there_is_room_for_is_a_plan(tmp_path: Path) -> None:
    experiment, plan = load_plan(write(tmp_path, ONCE))
    assert (experiment.name, len(plan)) == ("example", 30)
    assert findings(ONCE) == []


def test_more_rules_than_there_is_room_for_are_refused_at_the_fault_that_needs_most(tmp_path: Path) -> None:
    path = write(tmp_path, ONCE, OFTEN)
    with pytest.raises(ScenarioError) as refusal:
        load_plan(path)
    line = 1 + path.read_text().splitlines().index(f"  - {OFTEN}")
    assert str(refusal.value).startswith(f"{path}:{line}: faults[1]: faults of the network need ")
    assert str(refusal.value).endswith(
        " rules in a block, there is room for 64; let them come more rarely, choose fewer servers, or use more blocks"
    )


@pytest.mark.parametrize("command", ["validate", "plan", "run"])
def test_every_command_refuses_it_before_anything_runs(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([command, str(write(tmp_path, OFTEN))]) == 2
    assert "there is room for 64" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["scenario.yaml"]


def test_faults_of_which_no_request_is_in_reach_need_no_rule() -> None:
    short = OFTEN.replace("duration: 10ms", "duration: 1ms")
    assert findings(short) == [], "of 60 times two rules, all but a few fall between two requests"


def test_more_faults_of_a_service_than_can_be_counted_are_refused() -> None:
    slow = "{fault: slow, target: server-0, factor: 2, duration: 1ms, every: 2ms}"
    fast = ("workload.requests=80000", "workload.arrivals.rate=8000/s")
    scenario = faulty(*[slow] * 17, overrides=fast).scenario
    (finding,) = plan_findings(scenario)
    assert finding.path == ("faults", 0)
    assert "faults of its service in a block, 8000 can be counted" in finding.message


def test_two_faults_that_set_the_same_of_netem_are_refused_where_they_meet() -> None:
    reorder = "{fault: reorder, target: servers, percent: 5%, delay: 5ms, at: 200ms, duration: 200ms}"
    assert findings(NETEM_DELAY, reorder) == [
        "faults[1]: sets netem's delay for server-0 at 200ms, while faults[0] does; "
        "move one of them, or use model: ebpf"
    ]
    assert findings(NETEM_DELAY, reorder.replace("at: 200ms", "at: 300ms")) == []
    assert findings(NETEM_DELAY, reorder.replace("servers", "server-1")) == []


def test_beside_a_partition_a_loss_has_no_effect() -> None:
    loss = "{fault: loss, target: server-0, model: netem, percent: 5%}"
    assert findings(loss, "{fault: partition, target: server-0, model: netem, at: 1ms}") == []
    assert len(findings(loss, loss)) == 1
