"""Arms, matrix and smoke: what is laid over what, what an arm is called, and the way back to a file."""

from __future__ import annotations

from typing import Any

import pytest

from hedgerow_node.units import NS_PER_MS
from orchestrator.errors import ScenarioError
from orchestrator.scenario.experiment import Experiment
from orchestrator.scenario.models import ClosedArrivals, OpenArrivals, Scenario
from support.experiments import experiment_of

BASE = """
version: 1
name: example
description: For tests
topology: {replicas: 2}
workload: {requests: 1000, arrivals: {mode: open, rate: 100/s, users: 4}}
hedging: {delay: 10ms, budget: {percent: 50, burst: 7}}
strategies: [baseline, kernel]
claims: [{id: within, expect: "p99(kernel) <= 1s"}]
"""
ARMS = f"""{BASE}
arms:
  plain:
  near: {{hedging: {{delay: 5ms}}, workload: {{arrivals: {{rate: 50/s}}}}}}
  far:
    hedging: {{budget: {{percent: 5}}}}
    strategies: [baseline, app-deadline]
    claims: []
"""
MATRIX = f"""{BASE}
matrix:
  workload.arrivals.rate: [50/s, 100/s, 200/s]
  hedging.delay: [5ms, 20ms]
"""


def test_an_arm_is_the_base_with_its_overrides_laid_over_it() -> None:
    experiment = experiment_of(ARMS)
    plain, near, far = (arm.scenario for arm in experiment.arms)
    assert [arm.name for arm in experiment.arms] == ["plain", "near", "far"]
    assert plain.hedging.delay_ns == 10 * NS_PER_MS
    assert near.hedging.delay_ns == 5 * NS_PER_MS
    assert near.hedging.budget == plain.hedging.budget
    assert near.workload.arrivals == OpenArrivals(mode="open", rate="50/s", users=4)
    assert (far.hedging.budget.percent, far.hedging.budget.burst) == (5, 7)
    assert (far.strategies, far.claims) == (("baseline", "app-deadline"), ())
    assert all(scenario.name == "example" for scenario in (plain, near, far))


def test_what_an_arm_sets_is_listed_by_dotted_key() -> None:
    experiment = experiment_of(ARMS)
    assert experiment.arm("plain").set == {}
    assert experiment.arm("near").set == {"hedging.delay": "5ms", "workload.arrivals.rate": "50/s"}
    assert experiment.arm("far").set["strategies"] == ["baseline", "app-deadline"]
    with pytest.raises(KeyError):
        experiment.arm(None)


def test_without_arms_there_is_one_without_a_name() -> None:
    experiment = experiment_of(BASE)
    assert not experiment.has_arms
    assert experiment == Experiment.of(experiment.scenario)
    assert (experiment.arm(None).set, experiment.claims) == ({}, ())
    assert [claim.id for claim in experiment.scenario.claims] == ["within"]


def test_a_matrix_makes_an_arm_of_every_combination() -> None:
    experiment = experiment_of(MATRIX)
    assert [arm.name for arm in experiment.arms] == [
        f"rate={rate}/s,delay={delay}ms" for rate in (50, 100, 200) for delay in (5, 20)
    ]
    arm = experiment.arm("rate=200/s,delay=5ms")
    assert arm.set == {"workload.arrivals.rate": "200/s", "hedging.delay": "5ms"}
    assert isinstance(arm.scenario.workload.arrivals, OpenArrivals)
    assert (arm.scenario.workload.arrivals.rate_per_s, arm.scenario.hedging.delay_ns) == (200.0, 5 * NS_PER_MS)


def test_a_matrix_steps_into_lists_and_names_what_it_must_tell_apart() -> None:
    text = f"""{BASE}
faults:
  - {{fault: loss, target: servers, percent: 1}}
  - {{fault: cpu-quota, target: client, percent: 50}}
matrix: {{faults.0.percent: [1, 2.5], faults.1.percent: [50%]}}
"""
    experiment = experiment_of(text)
    assert [arm.name for arm in experiment.arms] == [
        "0.percent=1,1.percent=50%",
        "0.percent=2.5,1.percent=50%",
    ]
    assert [arm.scenario.faults[0].model_dump()["percent"] for arm in experiment.arms] == [1.0, 2.5]


def test_other_arrivals_replace_those_of_the_base() -> None:
    closed = BASE.replace("{mode: open, rate: 100/s, users: 4}", "{users: 2, think: 3ms}")
    experiment = experiment_of(
        f"{closed}arms: {{open: {{workload: {{arrivals: {{mode: open, rate: 9/s}}}}}}, as-is: }}"
    )
    assert experiment.arm("open").scenario.workload.arrivals == OpenArrivals(mode="open", rate="9/s")
    assert experiment.arm("as-is").scenario.workload.arrivals == ClosedArrivals(users=2, think="3ms")


def test_a_short_form_may_be_extended() -> None:
    arm = "{service: {service_time: {distribution: lognormal, sigma: 0.5}}}"
    experiment = experiment_of(f"{BASE}service: {{service_time: 3ms}}\narms: {{wide: {arm}}}")
    time = experiment.scenario.service.service_time
    assert (time.distribution, time.median_ns, time.sigma) == ("lognormal", 3 * NS_PER_MS, 0.5)


def test_claims_that_name_arms_are_judged_across_them_and_the_others_within_each() -> None:
    across = 'claims: [{id: one, expect: "p99(kernel) < 1s"}, {id: two, expect: "p50(kernel@a) < p50(baseline@b)"}]'
    experiment = experiment_of(f"{BASE.replace('claims: [', 'x: [').partition('x:')[0]}{across}\narms: {{a: , b: }}")
    assert [claim.id for claim in experiment.claims] == ["two"]
    assert [[claim.id for claim in arm.scenario.claims] for arm in experiment.arms] == [["one"], ["one"]]


def test_smoke_is_one_block_of_two_strategies_without_claims_and_what_it_says_itself() -> None:
    text = f"{BASE}published: {{baseline: {{p50: 1}}, app-seed: {{p50: 1}}}}\n"
    text = text.replace("[baseline, kernel]", "[baseline, app-deadline, app-asyncio]").replace(
        "app-seed", "app-asyncio"
    )
    text = text.replace("p99(kernel)", "p99(app-deadline)")
    quick = experiment_of(f"{text}smoke: {{workload: {{requests: 60}}}}\n", smoke=True).scenario
    assert quick.strategies == ("baseline", "kernel")
    assert (quick.design.blocks, quick.workload.requests, quick.claims) == (1, 60, ())
    assert list(quick.published) == ["baseline"]
    assert experiment_of(text).scenario.workload.requests == 1000


def test_smoke_may_say_otherwise() -> None:
    smoke = (
        "{design: {blocks: 2}, strategies: [app-deadline], claims: [{id: x, expect: 'answered(app-deadline) > 0'}]}"
    )
    quick = experiment_of(f"{BASE}smoke: {smoke}\n", smoke=True).scenario
    assert (quick.design.blocks, quick.strategies, len(quick.claims)) == (2, ("app-deadline",), 1)


def test_smoke_comes_after_the_arms_and_its_own_arms_last() -> None:
    smoke = """
smoke:
  hedging: {delay: 7ms}
  workload: {requests: 60}
  arms: {far: {workload: {requests: 30}}}
"""
    experiment = experiment_of(ARMS + smoke, smoke=True)
    near, far = experiment.arm("near"), experiment.arm("far")
    assert (near.scenario.hedging.delay_ns, near.scenario.workload.requests) == (7 * NS_PER_MS, 60)
    assert near.set == {"workload.arrivals.rate": "50/s"}
    assert (far.scenario.workload.requests, far.scenario.hedging.budget.percent) == (30, 5)
    assert far.scenario.strategies == ("baseline", "kernel")


def test_the_smoke_variant_may_sweep_less() -> None:
    smoke = "smoke: {matrix: {workload.arrivals.rate: [100/s]}}\n"
    names = [arm.name for arm in experiment_of(MATRIX + smoke, smoke=True).arms]
    assert names == ["rate=100/s,delay=5ms", "rate=100/s,delay=20ms"]


def test_set_comes_last_of_all() -> None:
    smoke = "smoke: {workload: {requests: 60}}\n"
    options = ("workload.requests=90", "hedging.delay=3ms")
    for quick in (False, True):
        experiment = experiment_of(ARMS + smoke, *options, smoke=quick)
        assert {arm.scenario.workload.requests for arm in experiment.arms} == {90}
        assert {arm.scenario.hedging.delay_ns for arm in experiment.arms} == {3 * NS_PER_MS}


def test_set_reaches_arms_and_smoke_too() -> None:
    smoke = "smoke: {workload: {requests: 60}}\n"
    experiment = experiment_of(ARMS + smoke, "arms.near.hedging.delay=3ms", "smoke.workload.requests=70", smoke=True)
    assert experiment.arm("near").scenario.hedging.delay_ns == 3 * NS_PER_MS
    assert experiment.scenario.workload.requests == 70


SHORT = BASE.replace("workload:", "service: {service_time: {median: 5ms}}\nworkload:")
EXTENDED = f"{SHORT}arms: {{a: {{service: {{service_time: {{distribution: lognormal, sigma: 0.2}}}}}}, b: }}\n"
STALLED = BASE.replace("workload:", "service: {stall: {when: id < 3, duration: 1s}}\nworkload:")
FREED = f"{STALLED}arms: {{a: {{service: {{stall: null}}}}, b: {{service: {{stall: {{duration: 2s}}}}}}}}\n"
CLOSED = BASE.replace("{mode: open, rate: 100/s, users: 4}", "{users: 2}")
OPENED = f"{CLOSED}arms: {{a: {{workload: {{arrivals: {{mode: open, rate: 9/s}}}}}}, b: }}\n"
STEPPING = f"""{BASE}
faults: [{{fault: pause, target: server-1, duration: 10ms}}]
matrix: {{faults.0.duration: [20ms, 40ms]}}
smoke: {{matrix: {{faults.0.duration: [20ms]}}, faults: [{{fault: freeze, target: client, duration: 1ms}}]}}
"""
ACROSS = f"{ARMS}smoke: {{workload: {{requests: 60}}, arms: {{near: {{service: {{service_time: 1ms}}}}}}}}\n".replace(
    '"p99(kernel) <= 1s"', '"p99(kernel@plain) <= p99(kernel@near)"'
)


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize(
    "text", [BASE, ARMS, MATRIX, EXTENDED, FREED, OPENED, STEPPING, ACROSS], ids=lambda text: text[-24:].strip()
)
def test_a_resolved_experiment_loads_to_an_equal_one(text: str, quick: bool) -> None:
    experiment = experiment_of(text, "workload.timeout=2s", smoke=quick)
    again = experiment_of(experiment.dump())
    assert again == experiment
    assert again.dump() == experiment.dump()


def test_a_resolved_experiment_names_every_default_of_its_base() -> None:
    document: Any = experiment_of(ARMS).document
    assert document["workload"]["arrivals"] == {"mode": "open", "rate": "100/s", "process": "poisson", "users": 4}
    assert document["design"] == {"blocks": 10, "order": "randomised", "seed": 1}
    assert document["arms"]["near"] == {"hedging": {"delay": "5ms"}, "workload": {"arrivals": {"rate": "50/s"}}}
    assert "smoke" not in document


def problems_of(text: str, *overrides: str, smoke: bool = False) -> list[str]:
    """What is wrong with a scenario, without the file's name."""
    with pytest.raises(ScenarioError) as refusal:
        experiment_of(text, *overrides, smoke=smoke)
    return [str(finding).partition("scenario.yaml:")[2] or str(finding) for finding in refusal.value.findings]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("workload.arrivals.rate=9/s", "is swept by matrix, every arm would be the same"),
        ("matrix=[]", "matrix: is not a mapping of one or two keys to values"),
        ("matrix={hedging.delay: []}", "matrix.hedging.delay: is not a list of values"),
        ("matrix={hedging.delay: [[1ms]]}", "matrix.hedging.delay[0]: is not a single value; use arms"),
        ("matrix={hedging.delay: [1ms, 1ms]}", "makes a second arm delay=1ms"),
        ("matrix={design.blocks: [1, 2]}", "matrix.design.blocks: is the same in all arms; sweep another key"),
        ("matrix={faults.0.at: [1s]}", "matrix.faults.0.at: faults has no item 0; it is empty"),
        ("matrix={hedging.dely: [1ms]}", "matrix.hedging.dely[0]: unknown key; did you mean delay?"),
        ("matrix={hedging.delay: [1]}", "matrix.hedging.delay[0]: 1 has no unit; write e.g. 1ms"),
    ],
)
def test_an_invalid_matrix_is_refused(option: str, message: str) -> None:
    assert message in "\n".join(problems_of(MATRIX, option))


def test_set_does_not_reach_into_a_list_that_an_arm_has_of_its_own() -> None:
    assert problems_of(ARMS, "strategies.0=app-asyncio") == [
        "--set strategies.0=app-asyncio: strategies[0]: arm far has its own strategies; "
        "write --set arms.far.strategies.0=…"
    ]


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ("arms={1: {2: 3}}", "arms.1.2: unknown key; "),
        ("arms={a: {hedging: {delay: 5}}}", "arms.a.hedging.delay: 5 has no unit; write e.g. 5ms"),
        ("smoke={hedging: {dely: 5ms}}", "smoke.hedging.dely: unknown key; did you mean delay?"),
        ("matrix={1: [2]}", "matrix.1[0]: unknown key; "),
    ],
)
def test_what_set_brings_is_named_by_the_option(option: str, problem: str) -> None:
    (found,) = problems_of(BASE, option, smoke=True)
    assert found.startswith(f"--set {option}: {problem}")


def test_an_invalid_smoke_variant_is_refused() -> None:
    assert problems_of(f"{BASE}smoke: 3\n", smoke=True) == [
        "10: smoke: is not a mapping of overrides; write e.g. smoke: {workload: {requests: 500}}"
    ]
    assert problems_of(f"{BASE}smoke: {{name: other, workload: {{request: 5}}}}\n", smoke=True) == [
        "10: smoke.name: cannot be changed in the smoke variant; remove it",
        "10: smoke.workload.request: unknown key; did you mean requests?",
    ]
    assert problems_of(f"{MATRIX}smoke: {{hedging: {{delay: 1ms}}}}\n", smoke=True) == [
        "14: smoke.hedging.delay: is swept by matrix, every arm would be the same; "
        "set other values in the matrix instead"
    ]


def test_each_arm_is_checked_and_each_problem_reported_once() -> None:
    text = f"""{BASE}
arms:
  few: {{topology: {{replicas: 1}}, workload: {{requests: 5}}}}
  many: {{hedging: {{delay: 20ms}}}}
  late: {{hedging: {{delay: 5s}}}}
faults: [{{fault: restart, target: server-1, at: 800ms}}, {{fault: slow, target: server-7, factor: 2}}]
"""
    assert problems_of(text) == [
        "2: design.blocks: in arm few: 10 blocks cannot share 5 requests; use fewer blocks or more requests",
        "14: arms.late.hedging.delay: 5s is not shorter than workload.timeout 1s, so no hedge could be answered; "
        "use a shorter delay or a longer time-out",
        "15: faults[0].target: in arm few: there is no server-1, topology.replicas is 1; "
        "write server-0, or more replicas",
        "15: faults[1].target: in arm few: there is no server-7, topology.replicas is 1; "
        "write server-0, or more replicas",
        "15: faults[1].target: in arm many, late: there is no server-7, topology.replicas is 2; "
        "write server-0 to server-1, or more replicas",
    ]


def test_every_arm_is_a_scenario_without_variants() -> None:
    for arm in experiment_of(ARMS).arms:
        assert type(arm.scenario) is Scenario
        assert not {"arms", "matrix", "smoke"} & set(arm.scenario.as_document())
