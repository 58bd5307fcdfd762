"""Whether a scenario's claims fit it: its strategies and arms exist, and the figures can have a value.

Names are checked in every scenario, recorded ones included. Values, and whether
any run could judge a claim, are checked in new scenarios only: a recorded run began under a version that accepted its
claims, a figure without a value is null in its summary, and a claim that cannot be judged is inconclusive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hedgerow_node.strategies import strategy_named
from orchestrator.claims.functions import Need, Statistic
from orchestrator.claims.lint import lint_claim
from orchestrator.errors import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from orchestrator.claims.grammar import Call, Comparison
    from orchestrator.scenario.models import Claim, Scenario

    #: By arm; the key None stands for a scenario without arms.
    _Scenarios = Mapping[str, Scenario] | Mapping[None, Scenario]


def check_names(scenario: Scenario, base: Scenario | None) -> Iterator[Finding]:
    """Unknown names in the published figures of `scenario` and in its claims, apart from those across arms.

    `base` is the scenario that this one is an arm of, the only one that may make claims across arms; None where there
    are no arms.
    """
    seen: set[str] = set()
    for index, claim in enumerate(scenario.claims):
        if claim.id in seen:
            yield Finding(("claims", index, "id"), f"{claim.id} is used twice", "give each claim an id of its own")
        seen.add(claim.id)
        if not claim.names_arms:
            yield from _names(index, claim, {None: scenario})
    for strategy in scenario.published:
        if strategy not in scenario.strategies:
            known = ", ".join(scenario.strategies)
            yield Finding(
                ("published", strategy), f"{strategy} is not a strategy of this scenario", f"listed here: {known}"
            )
    yield from _across_within(scenario, base)


def check_names_across(base: Scenario, arms: Mapping[str, Scenario]) -> Iterator[Finding]:
    """Unknown names in the claims of `base` across `arms`."""
    for index, claim in enumerate(base.claims):
        if claim.names_arms:
            yield from _names(index, claim, arms)


def check_values(scenario: Scenario) -> Iterator[Finding]:
    """Claims of `scenario`, apart from those across arms, that say nothing or whose figures never have a value."""
    for index, claim in enumerate(scenario.claims):
        if not claim.names_arms:
            yield from _values(index, claim, {None: scenario})


def check_values_across(base: Scenario, arms: Mapping[str, Scenario]) -> Iterator[Finding]:
    """Claims of `base` across `arms` that say nothing or whose figures never have a value."""
    for index, claim in enumerate(base.claims):
        if claim.names_arms:
            yield from _values(index, claim, arms)


def _across_within(scenario: Scenario, base: Scenario | None) -> Iterator[Finding]:
    """Claims of an arm that only the base may make; without a `base` no claim may name an arm."""
    across = {claim.id for claim in base.claims if claim.names_arms} if base is not None else set()
    for index, claim in enumerate(scenario.claims):
        if base is None and claim.names_arms:
            arm = next(call.arm for call in claim.expect.calls() if call.arm)
            yield Finding(
                ("claims", index, "expect"), f"names an arm, {arm}, but there are none", "add arms, or remove @…"
            )
        elif base is not None and claim not in base.claims:
            if claim.names_arms:
                remedy = "move it to the scenario's own claims"
                yield Finding(("claims", index, "expect"), "compares arms, which no arm's own claim can", remedy)
            elif claim.id in across:
                yield Finding(
                    ("claims", index, "id"), f"{claim.id} is also a claim across arms", "give it another id"
                )


def _names(index: int, claim: Claim, arms: _Scenarios) -> Iterator[Finding]:
    path = ("claims", index, "expect")
    scenarios: dict[str | None, Scenario] = dict(arms.items())
    for call in claim.expect.calls():
        where = f"column {call.column}: "
        scenario = scenarios.get(call.arm)
        if scenario is not None and call.strategy not in scenario.strategies:
            place = "this scenario" if call.arm is None else f"arm {call.arm}"
            remedy = f"listed here: {', '.join(scenario.strategies)}"
            yield Finding(path, f"{where}{call.strategy} is not a strategy of {place}", remedy)
        elif scenario is None and call.arm is None:
            remedy = f"write e.g. {call.function}({call.strategy}@{next(iter(arms))})"
            yield Finding(path, f"{where}{call.text} does not name an arm, as the rest of the claim does", remedy)
        elif scenario is None:
            yield Finding(
                path, f"{where}{call.arm} is not an arm of this scenario", f"arms here: {', '.join(map(str, arms))}"
            )


def _values(index: int, claim: Claim, arms: _Scenarios) -> Iterator[Finding]:
    scenarios: dict[str | None, Scenario] = dict(arms.items())
    for call in claim.expect.calls():
        scenario = scenarios.get(call.arm)
        if scenario is None:
            continue
        for need in call.definition.measure.needs:
            lack = LACKS[need](call, scenario)
            if lack is not None:
                reason, remedy = lack
                message = f"column {call.column}: {call.text} never has a value, {reason}"
                yield Finding(("claims", index, "expect"), message, remedy)
    foregone = list(lint_claim(index, claim.expect, scenarios))
    yield from foregone
    unjudged = None if foregone else _inference(claim.expect)
    if unjudged is not None:
        yield Finding(("claims", index, "expect"), *unjudged)


def _inference(claim: Comparison) -> tuple[str, str] | None:
    """Why no run could judge `claim`, and what to write instead; None where some could."""
    named = claim.calls()
    if all(call.definition.counted for call in named):
        return None
    largest = next((call for call in named if call.definition.statistic is Statistic.MAXIMUM), None)
    if largest is not None:
        return (
            f"column {largest.column}: {largest.text} is the largest of one run, from which nothing follows about "
            "figures that are estimated",
            "compare it with a number in a claim of its own, or name a quantile",
        )
    if claim.operator == "==":
        return (
            "no run can show that a figure that is estimated from a sample equals another to the last digit",
            f"claim a bound, or that it is near enough: {claim.left.text} ~ {claim.right.text} within 5%",
        )
    return None


def _lacks_hedges(call: Call, scenario: Scenario) -> tuple[str, str] | None:
    if call.strategy not in scenario.strategies or strategy_named(call.strategy).hedges:
        return None
    return f"{call.strategy} sends no hedges", "name another strategy"


def _lacks_stalls(_: Call, scenario: Scenario) -> tuple[str, str] | None:
    if scenario.service.stall is None and not any(fault.fault == "stall" for fault in scenario.faults):
        return "nothing stalls", "add service.stall"
    return None


def _lacks_schedule(_: Call, scenario: Scenario) -> tuple[str, str] | None:
    return None if scenario.is_open else ("closed arrivals have no schedule", "use open arrivals")


def _lacks_winners(_: Call, scenario: Scenario) -> tuple[str, str] | None:
    if scenario.hedging.copy_id is not None or scenario.hedging.target != "same":
        return None
    mark = scenario.hedging.request_id.response
    remedy = f"add hedging.copy_id: {{offset: {mark.offset + mark.length}}}, or use hedging.target: other"
    return "nothing tells which copy a response answers", remedy


#: Reason and remedy where a scenario lacks what the call's figure needs, else None.
LACKS: dict[Need, Callable[[Call, Scenario], tuple[str, str] | None]] = {
    Need.HEDGES: _lacks_hedges,
    Need.STALLS: _lacks_stalls,
    Need.SCHEDULE: _lacks_schedule,
    Need.WINNERS: _lacks_winners,
}
