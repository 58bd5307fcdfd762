"""Two runs beside each other: what differs, what overlaps, and what is no difference at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from orchestrator.cli import run
from orchestrator.errors import RunError, UsageError
from orchestrator.report.compare.model import Comparison, compare, overlap
from orchestrator.runfolder.folder import RunFolder
from orchestrator.runfolder.run import Run
from support.arms_scenarios import ARMS
from support.comparisons import BEFORE, ELSEWHERE, HERE, NOISE, described
from support.run_folder_factory import ScenarioOverride, experiment_from, finished_run, scenario_from

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.runfolder.summary import Interval

pytestmark = pytest.mark.xdist_group("compare")  # they share what was drawn or made once a session


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A smoke run on this host."""
    return described(finished_run(tmp_path_factory.mktemp("first"), scenario_from("smoke")))


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Elsewhere, with a longer delay, one strategy less, one claim that fails, one that is new, one that is gone."""
    overrides = (
        "hedging.delay=12ms",
        "strategies=[kernel, baseline]",
        "published={}",
        "claims=[{id: p99-kernel, expect: p99(kernel) <= 5ms}, {id: new, expect: rate(kernel) <= 50%},"
        " {id: no-duplicates, expect: duplicates(kernel) == 0}]",
    )
    by_strategy = {"baseline": ScenarioOverride(unanswered=frozenset(range(0, 500, 10)))}
    folder = finished_run(tmp_path_factory.mktemp("second"), scenario_from("smoke", *overrides), by_strategy)
    return described(folder, **ELSEWHERE)


@pytest.fixture(scope="module")
def comparison(first: RunFolder, second: RunFolder) -> Comparison:
    return compare(Run(first), Run(second))


def test_the_environment_differs_in_what_stays_while_a_run_measures(comparison: Comparison) -> None:
    found = {difference.key: difference.values for difference in comparison.environment}
    assert found.pop("versions.numpy") == (HERE["versions"]["numpy"], "1.0")
    assert found.pop("git.commit") == (HERE["git"]["commit"], "0123abc")
    found.pop("git.dirty", None)  # it may be either here
    assert found == {
        "delay_line": ("htb", "netem"),
        "host.kernel": (HERE["host"]["kernel"], "6.1.0"),
        "settings.sysctls.net.core.rmem_max": (212992, 4194304),
        "noise.lateness_us.p99": (400.0, 1400.0),
    }


def test_times_loads_and_counters_are_no_differences(first: RunFolder, tmp_path: Path) -> None:
    again = described(
        finished_run(tmp_path, scenario_from("smoke")),
        host={**HERE["host"], "load_average": [7.0, 7.0, 7.0]},
        started_at="2027-01-01T00:00:00+00:00",
        noise={**NOISE, "lateness_us": {"p50": 90.0, "p99": 700.0, "max": 90_000.0}},
        environment={"before": {**BEFORE, "interrupts": 12_345}},
        command=["orchestrator", "run", "elsewhere.yaml"],
    )
    found = compare(Run(first), Run(again))
    assert (found.environment, found.scenario, found.changed_claims) == ([], [], [])


def test_the_scenario_differs_by_dotted_keys_and_claims_by_their_id(comparison: Comparison) -> None:
    found = {difference.key: difference.values for difference in comparison.scenario}
    assert found["hedging.delay"] == ("10ms", "12ms")
    assert found["claims.p99-kernel.expect"] == ("p99(kernel) <= 15ms", "p99(kernel) <= 5ms")
    assert found["strategies"][1] == ["kernel", "baseline"]
    assert "claims.no-duplicates.expect" not in found


def test_figures_stand_beside_each_other_with_their_intervals(
    comparison: Comparison, first: RunFolder, second: RunFolder
) -> None:
    assert [pair.strategy for pair in comparison.pairs] == ["baseline", "kernel"]
    summaries = [json.loads(run.summary.read_text())["strategies"]["kernel"] for run in (first, second)]
    figures = {pair.figure.name: pair for pair in comparison.pairs[1].figures}
    assert figures["P99"].values == tuple(summary["latency_ms"]["p99"] for summary in summaries)
    assert figures["P99"].ci95 == tuple(tuple(summary["ci95_ms"]["p99"]) for summary in summaries)
    assert figures["P99"].overlap is False
    assert figures["P50"].overlap is True
    assert figures["hedge rate"].overlap is None
    assert comparison.alone == (["app-seed", "app-deadline"], [])


def test_a_figure_beyond_the_time_out_says_so(comparison: Comparison) -> None:
    p99 = {pair.figure.name: pair for pair in comparison.pairs[0].figures}["P99"]
    assert p99.beyond == (False, True)
    assert p99.values[1] is None


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ((1.0, 2.0), (2.0, 3.0), True),
        ((1.0, 2.0), (2.1, 3.0), False),
        ((5.0, None), (100.0, 200.0), True),
        ((5.0, None), (1.0, 4.0), False),
        ((None, None), (5.0, None), True),
    ],
)
def test_an_end_beyond_the_time_out_is_longer_than_any_number(one: Interval, other: Interval, shared: bool) -> None:
    assert overlap(one, other) is shared
    assert overlap(other, one) is shared


def test_changed_claims_are_those_with_another_verdict_or_of_one_run_alone(
    comparison: Comparison, first: RunFolder
) -> None:
    gone = {claim["id"] for claim in json.loads(first.summary.read_text())["claims"]} - {
        "p99-kernel",
        "no-duplicates",
    }
    verdicts = {claim.id: claim.verdicts for claim in comparison.changed_claims}
    assert verdicts.pop("p99-kernel") == ("supported", "refuted")
    assert verdicts.pop("new") == (None, "supported")
    assert set(verdicts) == gone


def test_summaries_with_more_than_this_version_knows_or_less_are_compared_all_the_same(
    first: RunFolder, second: RunFolder, tmp_path: Path
) -> None:
    richer = RunFolder(tmp_path)
    for name in ("manifest", "scenario", "summary"):
        getattr(richer, name).write_text(getattr(first, name).read_text())
    summary = json.loads(richer.summary.read_text())
    summary["power"] = {"strategy": "baseline"}
    for claim in summary["claims"]:
        claim["power"] = 0.8
        del claim["p_value"], claim["requests_needed"]
    for strategy in summary["strategies"].values():
        strategy["power"] = 0.5
        del strategy["send_lateness_us"], strategy["buffered_ms"]
    richer.summary.write_text(json.dumps(summary))
    assert compare(Run(richer), Run(second)).pairs


def test_runs_without_a_strategy_in_common_are_refused(first: RunFolder, tmp_path: Path) -> None:
    arms = described(finished_run(tmp_path / "results", experiment_from(tmp_path, ARMS)))
    with pytest.raises(UsageError, match="no strategy in common in an arm of the same name") as refused:
        compare(Run(first), Run(arms))
    assert "app-deadline, kernel in client-paused" in refused.value.message
    assert refused.value.remedy


def test_of_arms_those_that_both_have_are_compared(tmp_path: Path) -> None:
    arms = described(finished_run(tmp_path / "results", experiment_from(tmp_path, ARMS)))
    renamed = ARMS.replace("  client-paused:", "  client-stopped:").replace("@client-paused", "@client-stopped")
    others = described(finished_run(tmp_path / "results", experiment_from(tmp_path, renamed)))
    found = compare(Run(arms), Run(others))
    assert found.arms == ["one-server-paused"]
    assert found.alone == (["arm client-paused"], ["arm client-stopped"])
    changed = {(claim.arm, claim.id): claim.verdicts for claim in found.changed_claims}
    assert changed == {
        ("client-paused", "punctual"): ("supported", None),
        ("client-stopped", "punctual"): (None, "supported"),
    }


def test_a_run_that_did_not_finish_is_refused(first: RunFolder, tmp_path: Path) -> None:
    unfinished = RunFolder(tmp_path)
    unfinished.manifest.write_text("{}")
    unfinished.scenario.write_text("version: 1")
    with pytest.raises(RunError, match=r"summary\.json cannot be read"):
        compare(Run(first), Run(unfinished))


def test_the_command_tells_the_environment_first_and_claims_nothing_of_significance(
    first: RunFolder, second: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", str(first.path), str(second.path), "--no-report"]) == 0
    output = capsys.readouterr()
    titles = ["Runs", "Environment differences", "Scenario differences", "baseline", "kernel", "Claims with another"]
    lines = output.out.splitlines()
    places = [next(place for place, line in enumerate(lines) if line.startswith(title)) for title in titles]
    assert places == sorted(places)
    assert "not proof of a difference" in output.out
    assert f"only in {first.name}: app-seed; app-deadline" in output.out
    assert output.err == ""


def test_the_command_says_none(first: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", str(first.path), str(first.path), "--no-report"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {
        "Environment differences: none",
        "Scenario differences: none",
        "Claims with another verdict: none",
    } <= set(lines)


def test_as_json_it_holds_everything(
    first: RunFolder, second: RunFolder, comparison: Comparison, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", str(first.path), str(second.path), "--no-report", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert [entry["run"] for entry in content["runs"]] == [first.name, second.name]
    assert {"key": "delay_line", "values": ["htb", "netem"]} in content["environment"]
    assert [claim["id"] for claim in content["claims"] if claim["changed"]] == [
        claim.id for claim in comparison.changed_claims
    ]
    p50 = content["strategies"][0]["figures"][0]
    assert set(p50) == {"figure", "unit", "values", "ci95", "overlap"}
    assert content["report"] is None


def test_nothing_in_common_exits_2_with_a_json_error(
    first: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = finished_run(tmp_path, scenario_from("smoke", "strategies=[app-seed]", "claims=[]", "published={}"))
    only = described(
        finished_run(tmp_path, scenario_from("smoke", "strategies=[kernel]", "claims=[]", "published={}"))
    )
    assert run(["compare", str(described(other).path), str(only.path), "--json"]) == 2
    assert "no strategy in common:" in json.loads(capsys.readouterr().out)["error"]["message"]
