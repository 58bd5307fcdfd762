"""What must hold between a scenario's keys: each is fine alone, together they could not be run or judged.

Everything found is reported; nothing is repaired silently.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hedgerow_node.expression import Expression, ExpressionError
from hedgerow_node.records import FIRST_WARMUP_ID
from hedgerow_node.strategies import strategy_named
from hedgerow_node.units import format_duration
from orchestrator.claims.check import check_values, check_values_across
from orchestrator.errors import Finding, KeyPath
from orchestrator.scenario.capacity import capacity_findings
from orchestrator.scenario.fault_checks import fault_findings
from orchestrator.scenario.models import COPY_MARK_BYTES, Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def check_scenario(scenario: Scenario) -> list[Finding]:
    """Everything about the relations between `scenario`'s keys that keeps it from being run or judged."""
    return [
        *_strategies(scenario),
        *_engines(scenario),
        *_blocks(scenario),
        *_times(scenario),
        *_payload(scenario),
        *_conditions(scenario),
        *check_values(scenario),
        *fault_findings(scenario),
        *capacity_findings(scenario),
    ]


def check_arms(base: Scenario, scenarios: Sequence[Scenario], arms: Mapping[str, Scenario]) -> Iterator[Finding]:
    """What keeps `scenarios`, those of all `arms` or of the file without any, from being run and judged together."""
    warmups = sum(each.workload.warmup * each.design.blocks * len(each.strategies) for each in scenarios)
    if warmups > FIRST_WARMUP_ID:
        yield Finding(
            ("workload", "warmup"), f"{warmups} warm-up requests exceed their {FIRST_WARMUP_ID} ids", "use fewer"
        )
    yield from check_values_across(base, arms)


def _strategies(scenario: Scenario) -> Iterator[Finding]:
    for index, strategy in enumerate(scenario.strategies):
        if strategy in scenario.strategies[:index]:
            yield Finding(("strategies", index), f"{strategy} is listed twice", "remove one")
        if strategy_named(strategy).closed_only and scenario.is_open:
            yield Finding(
                ("strategies", index),
                f"{strategy} is the published client's closed loop, it cannot follow open arrivals",
                "use app-deadline",
            )
    if scenario.hedging.target == "other" and scenario.topology.replicas < 2:
        yield Finding(
            ("hedging", "target"),
            "there is only one replica, no other to hedge to",
            "set topology.replicas to 2 or more, or use same",
        )


def _engines(scenario: Scenario) -> Iterator[Finding]:
    if scenario.hedging.delay_line != "netem":
        return
    if scenario.hedging.engine == "queue":
        yield Finding(
            ("hedging", "delay_line"),
            "netem serves the engine clone only, and hedging.engine is queue",
            "use auto, fq or htb, or engine: clone",
        )
    for index, strategy in enumerate(scenario.strategies):
        if strategy_named(strategy).engine == "queue":
            yield Finding(
                ("strategies", index),
                f"{strategy} cannot use hedging.delay_line netem, which serves the engine clone only",
                "set hedging.delay_line to auto, fq or htb",
            )


def _blocks(scenario: Scenario) -> Iterator[Finding]:
    blocks, workload = scenario.design.blocks, scenario.workload
    if blocks > workload.requests:
        yield Finding(
            ("design", "blocks"),
            f"{blocks} blocks cannot share {workload.requests} requests",
            "use fewer blocks or more requests",
        )


def _times(scenario: Scenario) -> Iterator[Finding]:
    delay_ns, timeout_ns = scenario.hedging.delay_ns, scenario.workload.timeout_ns
    if delay_ns >= timeout_ns:
        yield Finding(
            ("hedging", "delay"),
            f"{format_duration(delay_ns)} is not shorter than workload.timeout {format_duration(timeout_ns)}, "
            "so no hedge could be answered",
            "use a shorter delay or a longer time-out",
        )
    stall, median_ns = scenario.service.stall, scenario.service.service_time.median_ns
    if stall is not None and stall.duration_ns < timeout_ns <= stall.duration_ns + 2 * median_ns:
        yield Finding(
            ("workload", "timeout"),
            f"{format_duration(timeout_ns)} is so close to what a stalled answer takes "
            f"({format_duration(stall.duration_ns + median_ns)}) that chance decides which comes first",
            f"use at most {format_duration(stall.duration_ns)} (stalled requests time out) or "
            f"clearly more than {format_duration(stall.duration_ns + 2 * median_ns)} (they are answered)",
        )


def _payload(scenario: Scenario) -> Iterator[Finding]:
    payload, request_id = scenario.workload.payload, scenario.hedging.request_id
    end = request_id.request.offset + request_id.request.length
    if end > payload:
        yield Finding(
            ("workload", "payload"),
            f"{payload} bytes do not hold the request id, which ends at byte {end}",
            f"use at least {end}",
        )
    mark = request_id.response.offset + request_id.response.length
    if mark + COPY_MARK_BYTES > payload:
        yield Finding(
            ("workload", "payload"),
            f"{payload} bytes do not hold the response id, which ends at byte {mark}, "
            f"and the {COPY_MARK_BYTES} bytes that identify copy and replica",
            f"use at least {mark + COPY_MARK_BYTES}",
        )
    copy_id = scenario.hedging.copy_id
    if copy_id is not None and copy_id.offset != mark:
        yield Finding(
            ("hedging", "copy_id", "offset"),
            f"is {copy_id.offset}, but the server writes the copy id right after the response id",
            f"use {mark}",
        )


def _conditions(scenario: Scenario) -> Iterator[Finding]:
    """Conditions, of the stall and of faults, that fail for some id."""
    conditions: list[tuple[KeyPath, Expression | None]] = [
        (("faults", index, "when"), fault.condition) for index, fault in enumerate(scenario.faults)
    ]
    if scenario.service.stall is not None:
        conditions.append((("service", "stall", "when"), scenario.service.stall.when))
    for path, condition in conditions:
        if condition is None:
            continue
        try:
            for request_id in range(scenario.workload.requests):
                condition.evaluate(request_id)
        except ExpressionError as error:
            yield Finding(path, f"{condition.text!r}: {error}", "use a divisor that is never 0")
