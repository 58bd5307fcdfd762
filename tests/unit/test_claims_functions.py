"""The table of claim functions: a row is all that a new one needs, for everybody asks the table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from orchestrator.analysis.measures import COUNTS, SHARES, VALUES, Share
from orchestrator.claims.check import LACKS
from orchestrator.claims.functions import FUNCTIONS, LATENCY, Dimension, Function, Measure, Need, Statistic
from orchestrator.errors import ScenarioError
from orchestrator.plan.sample_size import judgeable
from orchestrator.scenario.experiment import Experiment
from support.run_folder_factory import ScenarioOverride, finished_run, plan_of, scenario_from

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.scenario.models import Scenario

#: Rows that are not in the table: a statistic of what is measured already, and three of what is not.
UNANSWERED = Measure("unanswered", Dimension.RATIO, "share")
TIMEOUTS = Measure("timeouts", Dimension.COUNT, "count")
HEDGED_WAIT = Measure("hedged_wait", Dimension.DURATION, "us", of="hedges", needs=(Need.HEDGES,))
MADE_UP = (
    Function("p75", LATENCY, Statistic.QUANTILE, "latency, 75th percentile", 0.75),
    Function("unanswered", UNANSWERED, Statistic.SHARE, "requests without an answer / requests"),
    Function("timeouts", TIMEOUTS, Statistic.COUNT, "requests that timed out", counted=True),
    Function("hedged_wait_p95", HEDGED_WAIT, Statistic.QUANTILE, "until a hedged request is answered", 0.95),
)
CLAIMS = (
    "[{id: quick, expect: p75(kernel) <= 1.1 * p75(baseline)},"
    " {id: answers, expect: unanswered(kernel) >= 0.1%},"
    " {id: in-time, expect: timeouts(kernel) == 5},"
    " {id: wait, expect: hedged_wait_p95(kernel) <= 20ms}]"
)


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The made-up rows in the table, and where their values are."""
    for function in MADE_UP:
        monkeypatch.setitem(FUNCTIONS, function.name, function)
    monkeypatch.setitem(SHARES, "unanswered", lambda found: Share(found.timeouts, found.requests))
    monkeypatch.setitem(COUNTS, "timeouts", lambda found: found.timeouts)
    monkeypatch.setitem(VALUES, "hedged_wait", lambda found: found.hedged_latency)


def claiming(claims: str, *overrides: str) -> Scenario:
    return scenario_from("smoke", f"claims={claims}", *overrides)


def test_every_row_has_values() -> None:
    for function in FUNCTIONS.values():
        keys = {Statistic.SHARE: list(SHARES), Statistic.COUNT: list(COUNTS)}.get(function.statistic, list(VALUES))
        assert function.measure.key in keys, function.name


def test_every_need_is_checked() -> None:
    assert set(LACKS) == set(Need)


def test_every_row_is_consistent() -> None:
    for name, function in FUNCTIONS.items():
        assert name == function.name
        assert function.meaning
        assert (function.quantile is not None) == (function.statistic is Statistic.QUANTILE)
        assert name in (function.label, f"{function.measure.key}_{function.label}", "hedged_mean")
        units = {Dimension.DURATION: ("ms", "us"), Dimension.RATIO: ("share",), Dimension.COUNT: ("count",)}
        assert function.measure.unit in units[function.dimension]


@pytest.mark.usefixtures("made_up")
def test_a_new_row_is_judged_from_end_to_end(tmp_path: Path) -> None:
    override = {"kernel": ScenarioOverride(unanswered=frozenset(range(1, 500, 100)))}
    folder = finished_run(tmp_path, claiming(CLAIMS), override)
    judged = {claim["id"]: claim for claim in json.loads(folder.summary.read_text())["claims"]}
    assert {name: claim["verdict"] for name, claim in judged.items()} == {
        "quick": "supported",
        "answers": "supported",
        "in-time": "supported",
        "wait": "inconclusive",
    }
    assert {name: claim["unit"] for name, claim in judged.items()} == {
        "quick": "ratio",
        "answers": "share",
        "in-time": "count",
        "wait": "us",
    }


@pytest.mark.usefixtures("made_up")
def test_a_new_row_is_refused_where_its_scenario_lacks_what_it_needs() -> None:
    with pytest.raises(
        ScenarioError, match=r"hedged_wait_p95\(baseline\) never has a value, baseline sends no hedges"
    ):
        claiming("[{id: wait, expect: hedged_wait_p95(baseline) <= 20ms}]")


@pytest.mark.usefixtures("made_up")
def test_a_new_row_needs_a_sample_as_large_as_its_quantile_does() -> None:
    scenario = claiming(CLAIMS, "workload.requests=100", "design.blocks=5")
    lacking = {found.claim_id: found.shortfalls for found in judgeable(Experiment.of(scenario), plan_of(scenario))}
    assert lacking == {
        "quick": (),
        "answers": (),
        "in-time": (),
        "wait": ("hedged_wait_p95(kernel) needs 72 expected hedges, there are 2",),
    }
