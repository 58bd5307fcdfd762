"""A claim that no run could refute, or none support, is refused before anything runs; one that could fail is not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.claims.grammar import Call, Expression, Negation, Number, Operation, parse_claim
from orchestrator.claims.lint import lint_claim
from orchestrator.cli import run
from orchestrator.errors import ExitCode, ScenarioError
from orchestrator.scenario.load import load_experiment, load_recorded
from support.run_folder_factory import scenario_from

if TYPE_CHECKING:
    from orchestrator.errors import Finding

CASES = Path(__file__).with_name("scenario_errors")
SMOKE = scenario_from("smoke")
TIMEOUT_NS = SMOKE.workload.timeout_ns


def findings(claim: str) -> list[Finding]:
    """What the lint finds in a claim of the project's own smoke scenario, whose time-out is 450 ms."""
    return list(lint_claim(0, parse_claim(claim), {None: SMOKE}))


@pytest.mark.parametrize(
    "claim",
    [
        "p99(kernel) <= 450ms",
        "p99(baseline) > 450ms",
        "p99(baseline) >= 450ms",
        "max(kernel) <= 449ms",
        "p99(kernel) <= 1.1 * p50(kernel)",
        "p99(kernel) <= p50(kernel)",
        "mean(kernel) <= p99(kernel)",
        "max(kernel) <= 2 * p99(kernel)",
        "p50(kernel) <= p50(baseline) + 100us",
        "p99(kernel) + 0 * p99(baseline) <= 13.5ms",
        "p99(kernel) / p99(baseline) <= 0.04",
        "1 - p99(kernel) / p99(baseline) >= 0.96",
        "(rate(kernel) - rate(app-seed)) / rate(app-seed) <= 0.1",
        "answered(kernel) / answered(baseline) >= 0.99",
        "rate(kernel) <= 1.5 * rate(app-seed)",
        "answered(kernel) == 100%",
        "answered(kernel) >= 100%",
        "answered(kernel) < 100%",
        "rate(kernel) == 0",
        "rate(kernel) > 0",
        "rate(kernel) < 100%",
        "extra_load(kernel) <= 120%",
        "wasted(kernel) <= 120%",
        "duplicates(kernel) == 0",
        "duplicates(kernel) <= 0",
        "duplicates(kernel) <= 10000",
        "lateness_p50(kernel) >= 0ms",
        "lateness_p99(kernel) <= 10s",
        "hedged_mean(app-deadline) - hedged_mean(kernel) <= 1.5ms",
        "rate(kernel) * p50(kernel) <= 1ms",
        "p99(kernel) / (p99(baseline) - p99(kernel)) <= 2",
        "p99(kernel) / (p99(baseline) - p99(baseline)) <= 2",
        "p99(kernel) ~ p99(app-deadline) within 5%",
        "p99(kernel) ~ p99(app-deadline) within 1ms",
        "p50(kernel) ~ p99(kernel) within 5%",
        "answered(kernel) ~ 99% within 2%",
    ],
)
def test_a_claim_that_could_fail_is_left_alone(claim: str) -> None:
    assert findings(claim) == []


@pytest.mark.parametrize("command", ["validate", "plan", "run"])
def test_every_command_that_reads_a_scenario_refuses_such_claims(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CASES)
    assert run([command, "claims-vacuous.yaml"]) == ExitCode.USAGE
    assert capsys.readouterr().err == (CASES / "claims-vacuous.txt").read_text()


def test_a_recorded_run_may_have_them() -> None:
    with pytest.raises(ScenarioError):
        load_experiment(CASES / "claims-bare-shares.yaml")
    assert len(load_recorded(CASES / "claims-bare-shares.yaml").arms) == 2


#: Figures of one strategy, in the order that their values always have.
LATENCIES = ("p50(kernel)", "p99(kernel)", "max(kernel)")
SHARES = ("answered(kernel)", "rate(kernel)", "rate(baseline)")
DURATIONS = st.sampled_from((*LATENCIES, "p99(baseline)", "1ns", "450ms", "900ms", "0ms"))
RATIOS = st.sampled_from((*SHARES, "100%", "0%", "150%"))


def _grown(leaves: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        sums = st.builds("({} {} {})".format, inner, st.sampled_from("+-"), inner)
        scaled = st.builds("{} * {}".format, st.sampled_from(("0", "0.5", "1", "2", *SHARES)), inner)
        return sums | scaled | inner.map("-{}".format)

    return st.recursive(leaves, grow, max_leaves=4)


OPERATORS = st.sampled_from(("<", "<=", ">", ">=", "=="))
CLAIMS = st.one_of(
    [st.builds("{} {} {}".format, _grown(leaves), OPERATORS, _grown(leaves)) for leaves in (DURATIONS, RATIOS)]
).filter(lambda text: "(kernel)" in text or "(baseline)" in text)
PART = st.floats(0, 1) | st.sampled_from((0.0, 1.0))


@given(CLAIMS, st.lists(st.integers(1, TIMEOUT_NS), min_size=4, max_size=4), PART, PART)
@example("p50(kernel) <= p99(kernel)", [1, 1, 1, 1], 0.0, 1.0)
@example("answered(kernel) < 100%", [1, 1, 1, 1], 1.0, 1.0)
def test_what_is_said_to_hold_always_holds_for_any_values(
    text: str, latencies: list[int], answered: float, rate: float
) -> None:
    *ordered, other = latencies
    values = dict(zip(LATENCIES, map(float, sorted(ordered)), strict=True))
    values |= {"p99(baseline)": float(other), "answered(kernel)": answered}
    values |= {"rate(kernel)": rate, "rate(baseline)": 0.0}
    claim = parse_claim(text)
    left, right = evaluated(claim.left, values), evaluated(claim.right, values)
    if abs(left - right) <= 1e-9 * max(abs(left), abs(right)):
        left = right
    holds = {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right, "==": left == right}
    for finding in findings(text):
        if "always holds" in finding.message:
            assert holds[claim.operator]
        elif "can never hold" in finding.message:
            assert not holds[claim.operator]


def evaluated(expression: Expression, values: dict[str, float]) -> float:
    """The value of `expression` where figures have `values`."""
    match expression:
        case Number(value=value):
            return value
        case Call():
            return values[expression.text]
        case Negation(operand=operand):
            return -evaluated(operand, values)
        case Operation(operator=operator, left=left, right=right):
            one, other = evaluated(left, values), evaluated(right, values)
            return {"+": one + other, "-": one - other, "*": one * other}[operator]
