"""A plan as text and as JSON: arms, blocks, the timeline of faults, durations, and which claims can be judged."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from hedgerow_node.units import NS_PER_S
from orchestrator.plan.eta import block_etas_ns, format_rough_duration, run_eta_ns
from orchestrator.plan.faults import Occurrence, eligible_ids, timeline
from orchestrator.plan.sample_size import Judgement, judgeable, too_few_blocks
from orchestrator.scenario.capacity import needs_netem
from orchestrator.scenario.document import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.plan.blocks import Block, Plan
    from orchestrator.scenario.experiment import Arm, Experiment

#: Occurrences of one fault that are listed for people; the rest are counted.
_LISTED = 8
_WIDEST = 100


def as_json(experiment: Experiment, plan: Plan) -> dict[str, object]:
    """All of the plan as plain data; times in seconds where the key says so, else in ns."""
    etas_ns = block_etas_ns(experiment, plan)
    return {
        "scenario": experiment.name,
        "eta_s": round(run_eta_ns(experiment, plan) / NS_PER_S, 1),
        "arms": [{"name": arm.name, "set": arm.set} for arm in experiment.arms if arm.name is not None],
        "blocks": [
            {**asdict(block), "eta_s": round(eta_ns / NS_PER_S, 3)}
            for block, eta_ns in zip(plan, etas_ns, strict=True)
        ],
        "faults": [
            _occurrence(arm, plan, occurrence) for arm in experiment.arms for occurrence in timeline(arm.scenario)
        ],
        "claims": [
            {
                "id": judgement.claim_id,
                "arm": judgement.arm,
                "expect": judgement.expect,
                "judgeable": not judgement.shortfalls,
                "shortfalls": list(judgement.shortfalls),
                "conditions": list(judgement.conditions),
            }
            for judgement in judgeable(experiment, plan)
        ],
        "needs_netem": [
            {"arm": arm.name, "key": finding.key, "message": finding.message, "remedy": finding.remedy}
            for arm in experiment.arms
            for finding in needs_netem(arm.scenario)
        ],
    }


def as_text(experiment: Experiment, plan: Plan) -> Iterator[str]:
    """The plan in lines for people."""
    design = experiment.scenario.design
    order = f"random order (seed {design.seed})" if design.order == "randomised" else "fixed order"
    if experiment.has_arms:
        yield f"{experiment.name}: {_count(len(experiment.arms), 'arm')} in {_count(design.blocks, 'round')}"
    else:
        yield _size(experiment.name, experiment.arms[0])
    yield f"{_count(len(plan), 'block')} in {order}, about {format_rough_duration(run_eta_ns(experiment, plan))}"
    if experiment.has_arms:
        yield from ("", "arms")
        for arm in experiment.arms:
            yield f"  {_size(str(arm.name), arm)}"
            yield from (f"    {key} = {_format_value(value)}" for key, value in arm.set.items() if key != "claims")
    yield ""
    yield from _rounds(experiment, plan)
    for arm in experiment.arms:
        if arm.scenario.faults:
            yield ""
            yield from _faults(arm, plan)
    judgements = judgeable(experiment, plan)
    if judgements:
        yield from ("", "claims: is the sample large enough to judge them?")
        yield from _claims(judgements)
    blind = too_few_blocks(experiment)
    if blind:
        yield from ("", "warning: too few blocks (design.blocks) to judge every claim")
        yield from (f"  {warning}" for warning in blind)
    warnings = list(_warnings(experiment))
    if warnings:
        yield from ("", "needs netem: HTB lanes cannot carry this rate, so a run fails on a host without netem")
        yield from warnings


def _size(name: str, arm: Arm) -> str:
    workload, strategies = arm.scenario.workload, arm.scenario.strategies
    return (
        f"{name}: {_count(len(strategies), 'strategy')}, {_count(workload.requests, 'request')} each "
        f"in {_count(arm.scenario.design.blocks, 'block')}, {workload.warmup} warm-up requests before each"
    )


def _count(number: int, noun: str) -> str:
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def _format_value(value: object) -> str:
    text = one_line(value)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def _rounds(experiment: Experiment, plan: Plan) -> Iterator[str]:
    width = max((len(str(arm.name)) for arm in experiment.arms), default=0) if experiment.has_arms else 0
    heading = f"{'arm':<{width}}  " if experiment.has_arms else ""
    yield f"round  ids            {heading}strategies in order"
    for number in range(experiment.scenario.design.blocks):
        turns: dict[str | None, list[Block]] = {}
        for block in plan:
            if block.number == number:
                turns.setdefault(block.arm, []).append(block)
        for name, blocks in turns.items():
            ids = f"{blocks[0].first_id}-{blocks[0].first_id + blocks[0].count - 1}"
            arm = f"{name:<{width}}  " if experiment.has_arms else ""
            yield f"{number:>5}  {ids:<13}  {arm}{', '.join(block.strategy for block in blocks)}"


def _faults(arm: Arm, plan: Plan) -> Iterator[str]:
    of_arm = "" if arm.name is None else f" of {arm.name}"
    yield f"faults in every block{of_arm}, times from its first measured request"
    yield "  fault  at          lasts       target      what           eligible requests in a block, in all"
    occurrences = timeline(arm.scenario)
    by_fault: dict[int, list[Occurrence]] = {}
    for occurrence in occurrences:
        by_fault.setdefault(occurrence.fault, []).append(occurrence)
    listed = {occurrence.key for group in by_fault.values() for occurrence in _listed(group)}
    for occurrence in occurrences:
        if occurrence.key in listed:
            yield f"  {_line(arm, plan, occurrence)}"
    for index, group in by_fault.items():
        more = len(group) - len(_listed(group))
        if more:
            last = _seconds(group[-1].offset_ns)
            yield f"  {index}.{_LISTED} to {group[-1].key}: {more} more, the last at {last}"


def _listed(group: list[Occurrence]) -> list[Occurrence]:
    """The first occurrences of a fault; all of them where only one more would be left out."""
    return group if len(group) == _LISTED + 1 else group[:_LISTED]


def _line(arm: Arm, plan: Plan, occurrence: Occurrence) -> str:
    fault = arm.scenario.faults[occurrence.fault]
    lasts = "to the end"
    if occurrence.until_ns is not None:
        lasts = _seconds(occurrence.until_ns - occurrence.offset_ns) if fault.duration_ns else "an instant"
    eligible = "-"
    if occurrence.until_ns != occurrence.offset_ns:
        counts = _counts(arm, plan, occurrence)
        few, most = min(counts), max(counts)
        eligible = f"{few if few == most else f'{few}-{most}'}, {sum(counts)}"
    at = _seconds(occurrence.offset_ns)
    return f"{occurrence.key:<5}  {at:<10}  {lasts:<11} {fault.target:<10}  {fault.fault:<13}  {eligible}"


def _counts(arm: Arm, plan: Plan, occurrence: Occurrence) -> list[int]:
    """How many requests are eligible for the occurrence in each block of a strategy."""
    blocks = plan.of(arm.scenario.strategies[0], arm.name)
    return [len(eligible_ids(arm.scenario, block, occurrence)) for block in blocks]


def _occurrence(arm: Arm, plan: Plan, occurrence: Occurrence) -> dict[str, object]:
    fault = arm.scenario.faults[occurrence.fault]
    return {
        "arm": arm.name,
        "key": occurrence.key,
        "fault": fault.fault,
        "target": fault.target,
        "offset_ns": occurrence.offset_ns,
        "until_ns": occurrence.until_ns,
        "requests": _counts(arm, plan, occurrence),
    }


def _warnings(experiment: Experiment) -> Iterator[str]:
    for arm in experiment.arms:
        for finding in needs_netem(arm.scenario):
            of_arm = "" if arm.name is None else f"{arm.name}: "
            yield f"  {of_arm}{finding.message}; {finding.remedy}"


def _seconds(duration_ns: int) -> str:
    return f"{duration_ns / NS_PER_S:.4f}".rstrip("0").rstrip(".") + " s"


def _claims(judgements: list[Judgement]) -> Iterator[str]:
    names = [
        f"{judgement.arm}: {judgement.claim_id}" if judgement.arm else judgement.claim_id for judgement in judgements
    ]
    width = max(map(len, names))
    for name, judgement in zip(names, judgements, strict=True):
        carried = f"enough: {judgement.expect}"
        if judgement.shortfalls:
            carried = f"too small: {'; '.join(judgement.shortfalls)}"
        elif judgement.conditions:
            carried = f"perhaps: {'; '.join(judgement.conditions)}"
        yield f"  {name:<{width}}  {carried}"
