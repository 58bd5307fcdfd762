"""Loading scenarios: what is written, what is left out, what `--set` changes, and the way back to YAML."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.errors import ScenarioError
from orchestrator.scenario.capacity import check_capacity, highest_rate_per_s
from orchestrator.scenario.experiment import Experiment
from orchestrator.scenario.load import load_experiment, load_recorded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.scenario.models import Scenario

SCENARIOS = Path(__file__).parents[2] / "scenarios"
SMALLEST = """
version: 1
name: smallest
workload: {requests: 1000}
hedging: {delay: 10ms}
strategies: [kernel]
"""


@pytest.fixture
def smallest(tmp_path: Path) -> Path:
    """The smallest valid scenario file."""
    path = tmp_path / "smallest.yaml"
    path.write_text(SMALLEST)
    return path


def loaded(path: Path, overrides: Sequence[str] = ()) -> Scenario:
    """The scenario in a file without arms."""
    return load_experiment(path, overrides).scenario


def test_times_are_integer_nanoseconds_in_the_model() -> None:
    paper = loaded(SCENARIOS / "paper.yaml")
    assert paper.hedging.delay_ns == 10_000_000
    assert paper.workload.timeout_ns == 1_000_000_000
    assert paper.service.stall is not None
    assert paper.service.stall.duration_ns == 400_000_000
    assert paper.drain_ns == 1_000_000_000


def test_what_is_left_out_has_a_documented_default(smallest: Path) -> None:
    scenario = loaded(smallest)
    assert scenario.service.service_time.median_ns == 2_000_000
    assert scenario.service.concurrency is None
    assert scenario.service.stall is None
    assert scenario.workload.arrivals.users == 1
    assert scenario.hedging.request_id.response.length == 4
    assert scenario.hedging.delay_line == "auto"
    assert (scenario.design.blocks, scenario.design.order) == (10, "randomised")


@pytest.mark.parametrize("name", ["paper", "smoke"])
def test_a_resolved_scenario_loads_to_the_same_model(name: str, tmp_path: Path) -> None:
    scenario = loaded(SCENARIOS / f"{name}.yaml")
    (tmp_path / "scenario.yaml").write_text(Experiment.of(scenario).dump())
    assert loaded(tmp_path / "scenario.yaml") == scenario


def test_a_resolved_scenario_names_every_default(smallest: Path) -> None:
    resolved = load_experiment(smallest).dump()
    assert "concurrency: unlimited" in resolved
    assert "service_time: 2ms" in resolved
    assert "think: 1ms" in resolved


def test_a_lognormal_service_time_survives_the_way_there_and_back(smallest: Path, tmp_path: Path) -> None:
    options = ["service.service_time={distribution: lognormal, median: 2ms, sigma: 0.3}", "service.concurrency=4"]
    scenario = loaded(smallest, options)
    (tmp_path / "scenario.yaml").write_text(Experiment.of(scenario).dump())
    again = loaded(tmp_path / "scenario.yaml")
    assert again == scenario
    assert (again.service.service_time.sigma, again.service.concurrency) == (0.3, 4)


def test_claims_and_conditions_are_parsed_in_the_model_and_dumped_as_written(smallest: Path) -> None:
    options = [
        "service.stall={when: 'id%100  <2', duration: 120ms}",
        "claims=[{id: fast, expect: 'p99( kernel )<=1.50 ms'}]",
    ]
    scenario = loaded(smallest, options)
    assert scenario.service.stall is not None
    assert scenario.service.stall.when.evaluate(101)
    assert [call.text for call in scenario.claims[0].expect.calls()] == ["p99(kernel)"]
    document: Any = scenario.as_document()
    assert document["service"]["stall"]["when"] == "id%100  <2"
    assert document["claims"][0]["expect"] == "p99( kernel )<=1.50 ms"


def test_overrides_replace_and_add_keys(smallest: Path) -> None:
    scenario = loaded(smallest, ["workload.requests=500", "design.blocks=5", "strategies.0=baseline"])
    assert (scenario.workload.requests, scenario.design.blocks, scenario.strategies) == (500, 5, ("baseline",))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("workload.requests", "--set workload.requests: is not KEY=VALUE; write e.g. --set workload.requests=500"),
        ("workload.requests=many", "--set workload.requests=many: workload.requests: 'many' is not a whole number; "),
        ("name.first=x", "--set name.first=x: name: is a single value, it has no keys; write the whole mapping"),
        (
            "strategies.7=kernel",
            "--set strategies.7=kernel: strategies: has no item 7; the only item is strategies.0",
        ),
        ("claims=[{id: a, expect: rate(kernel) => 2%}]", "column 14: '=' is not valid here; write >="),
        ("claims=[{id: a, expect: rate(kernel) = 2%}]", "column 14: '=' is not valid here; write =="),
        ("strategies=baseline, kernel", "strategies: 'baseline, kernel' is not a list; write [baseline, kernel]"),
        ("design.block=5", "--set design.block=5: design.block: unknown key; did you mean blocks?"),
        ("name=[", "--set name=[: name: '[' is not a YAML value; quote it"),
        ("hedging.engine=wheel", "hedging.engine: wheel is not available in this version; use queue, clone or auto"),
    ],
)
def test_an_invalid_override_is_named(smallest: Path, option: str, message: str) -> None:
    with pytest.raises(ScenarioError) as refusal:
        loaded(smallest, [option])
    assert message in str(refusal.value)


def test_a_percentage_may_be_written_with_its_sign(smallest: Path) -> None:
    scenario = loaded(smallest, ["hedging.budget.percent=5%"])
    assert scenario.hedging.budget.percent == 5.0


def crowded(smallest: Path, *more: str) -> Scenario:
    """More requests than 256 HTB lanes hold for 10 ms, unless `more` says otherwise."""
    return loaded(smallest, ["workload.arrivals={users: 40, think: 0s}", *more])


def test_the_highest_rate_is_that_of_users_that_never_wait_for_anything_but_answers(smallest: Path) -> None:
    assert highest_rate_per_s(crowded(smallest)) == 20_000
    assert highest_rate_per_s(crowded(smallest, "service.concurrency=2")) == 1_000


def test_a_rate_beyond_the_htb_lanes_is_refused_once_the_line_is_known(smallest: Path) -> None:
    with pytest.raises(ScenarioError, match="256 HTB lanes hold 12800 requests per second for 10ms"):
        check_capacity(crowded(smallest), "clone", "htb")


DELAYED = "faults=[{fault: delay, target: server-0, delay: 50ms}]"  # 256 / (2 · 50 ms) = 2560 copies a second


@pytest.mark.parametrize("delay", [DELAYED, DELAYED.replace("50ms}", "50ms, direction: both}")])
def test_more_than_the_lanes_of_the_fault_delay_hold_is_refused_likewise(smallest: Path, delay: str) -> None:
    rate = 1300 if "both" in delay else 2600
    hasty = loaded(smallest, [f"workload.arrivals={{mode: open, rate: {rate}/s}}", delay])
    with pytest.raises(ScenarioError, match=r"hold 2560 copies per second back for 50ms, .* 2600 per"):
        check_capacity(hasty, "clone", "htb")
    check_capacity(hasty, "clone", "netem")


@pytest.mark.parametrize("faults", [DELAYED.replace("50ms}", "50ms, percent: 90}"), DELAYED.replace("50ms", "49ms")])
def test_what_the_lanes_of_the_fault_delay_hold_is_not(smallest: Path, faults: str) -> None:
    check_capacity(loaded(smallest, ["workload.arrivals={mode: open, rate: 2600/s}", faults]), "clone", "htb")
    several = ["topology.replicas=3", "workload.spread=round-robin", "workload.arrivals={mode: open, rate: 7500/s}"]
    check_capacity(loaded(smallest, [*several, DELAYED]), "clone", "htb")
    first = ["topology.replicas=3", "workload.arrivals={mode: open, rate: 7500/s}"]
    check_capacity(loaded(smallest, [*first, DELAYED.replace("server-0", "server-1")]), "clone", "htb")


def test_other_lines_and_other_strategies_carry_any_rate(smallest: Path) -> None:
    check_capacity(crowded(smallest), "clone", "netem")
    check_capacity(crowded(smallest, "strategies=[baseline, app-deadline]"), "clone", "htb")


WON = "claims=[{id: won, expect: win_rate(kernel) >= 90%}]"


def test_a_claim_about_winners_needs_something_that_tells_them(smallest: Path) -> None:
    with pytest.raises(ScenarioError, match=r"win_rate\(kernel\) never has a value.*copy_id: \{offset: 4\}, or use"):
        loaded(smallest, [WON])
    loaded(smallest, [WON, "hedging.copy_id={offset: 4}"])
    loaded(smallest, [WON, "hedging.target=other", "topology.replicas=2"])


def test_what_no_new_run_could_claim_is_read_of_one_that_is_over(smallest: Path) -> None:
    smallest.write_text(f"{SMALLEST}claims: [{{id: won, expect: win_rate(kernel) >= 90%}}]\n")
    assert load_recorded(smallest).scenario.claims[0].id == "won"
    smallest.write_text(f"{SMALLEST}claims: [{{id: won, expect: win_rate(app-seed) >= 90%}}]\n")
    with pytest.raises(ScenarioError, match="app-seed is not a strategy of this scenario"):
        load_recorded(smallest)


def test_a_run_that_is_over_is_not_asked_whether_it_can_be_run(smallest: Path) -> None:
    late = SMALLEST.replace("requests: 1000", "requests: 1000, timeout: 5ms")
    smallest.write_text(late)
    assert load_recorded(smallest).scenario.workload.timeout_ns == 5_000_000
    with pytest.raises(ScenarioError, match="no hedge could be answered"):
        load_experiment(smallest)
