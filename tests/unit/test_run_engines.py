"""Which engine the hedger is set to for each block of a run, and what says so afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hedgerow_node.control import ControlError
from orchestrator.errors import RunError, ScenarioError
from orchestrator.plan.blocks import make_plan
from support.experiments import OPEN, experiment_of
from support.series_outcome import Outcome

if TYPE_CHECKING:
    from pathlib import Path


def let_engines_change(outcome: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hedger answers as one does that has the queue for auto, and another delay line for each engine."""
    hedger = outcome.topology.control("hedger")
    answer = hedger.call

    def call(do: str, **fields: Any) -> dict[str, Any]:
        if do == "configure":
            engine = "clone" if fields["engine"] == "clone" else "queue"
            line = "netem" if engine == "clone" else "htb"
            hedger.answers["configure"] = {"engine": engine, "delay_line": line}
        return answer(do, **fields)

    monkeypatch.setattr(hedger, "call", call)


OPEN_ARRIVALS = OPEN.replace("strategies: [baseline, app-deadline, kernel]\n", "")
ENGINES = """
design: {blocks: 2, order: fixed}
strategies: [kernel, baseline, kernel-clone]
"""


def test_the_hedger_changes_its_engine_between_blocks_and_each_block_says_which_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = experiment_of(OPEN_ARRIVALS + ENGINES)
    outcome = Outcome(tmp_path, monkeypatch, experiment, set())
    let_engines_change(outcome, monkeypatch)
    outcome.run(make_plan(experiment))
    assert [set_["engine"] for set_ in outcome.configured()] == ["clone", "auto", "clone", "auto", "clone"]
    blocks = [(block["strategy"], block["engine"], block["delay_line"]) for block in outcome.manifest["blocks"]]
    once = [("kernel", "queue", "htb"), ("baseline", "queue", "htb"), ("kernel-clone", "clone", "netem")]
    assert blocks == once * 2, "a block that only watches takes the engine that stands"
    assert (outcome.manifest["engine"], outcome.manifest["delay_line"]) == ("clone+queue", "htb+netem")
    assert [entry["engine"] for entry in outcome.manifest["delay_line_statistics"]] == [
        "clone",
        *["queue", "clone"] * 2,
    ]
    told = [said for said in outcome.watcher.said if said.startswith("engine")]
    assert told == ["engine queue, delay line htb", "engine clone, delay line netem"]


ENGINES_OF_ARMS = """
design: {blocks: 1, order: fixed}
strategies: [baseline, kernel-clone]
arms:
  clone: {}
  other: {strategies: [baseline, kernel]}
  netem: {strategies: [baseline, kernel], hedging: {delay_line: netem}}
"""


def test_a_block_that_only_watches_has_an_engine_of_its_arm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = experiment_of(OPEN_ARRIVALS + ENGINES_OF_ARMS)
    outcome = Outcome(tmp_path, monkeypatch, experiment, set())
    let_engines_change(outcome, monkeypatch)
    outcome.run(make_plan(experiment))
    engines = [set_["engine"] for set_ in outcome.configured()]
    assert engines == ["clone", "auto", "clone", "auto", "clone"], "each is tried, the last of the plan first"
    assert outcome.manifest["arms"] == [
        {"name": "clone", "engine": "clone", "delay_line": "netem"},
        {"name": "other", "engine": "queue", "delay_line": "htb"},
        {"name": "netem", "engine": "clone", "delay_line": "netem"},
    ]


@pytest.mark.parametrize("lacking", ["clone", "auto"])
def test_an_engine_that_cannot_be_had_ends_the_run_before_its_first_block(
    lacking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = Outcome(tmp_path, monkeypatch, experiment_of(OPEN_ARRIVALS + ENGINES), set())
    hedger = outcome.topology.control("hedger")
    answer = hedger.call

    def call(do: str, **fields: Any) -> dict[str, Any]:
        if do == "configure" and fields["engine"] == lacking:
            raise ControlError(f"no {lacking} on this kernel")
        return answer(do, **fields)

    monkeypatch.setattr(hedger, "call", call)
    monkeypatch.setattr(outcome.topology, "check", lambda: None, raising=False)
    with pytest.raises(RunError, match=f"hedger: no {lacking} on this kernel"):
        outcome.run(make_plan(experiment_of(OPEN_ARRIVALS + ENGINES)))
    assert outcome.attempts == []


def test_more_than_the_lanes_carry_is_refused_before_the_first_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = experiment_of(OPEN_ARRIVALS.replace("100/s", "20000/s") + ENGINES)
    outcome = Outcome(tmp_path, monkeypatch, experiment, set())
    outcome.topology.control("hedger").answers["configure"] = {"engine": "queue", "delay_line": "htb"}
    outcome.run(make_plan(experiment, ("kernel", "baseline")))
    outcome.topology.control("hedger").answers["configure"] = {"engine": "clone", "delay_line": "htb"}
    with pytest.raises(ScenarioError, match="256 HTB lanes hold 12800 requests per second"):
        outcome.run(make_plan(experiment, ("kernel", "kernel-clone")))
    assert {attempt.block.strategy for attempt in outcome.attempts} == {"kernel", "baseline"}
