"""`orchestrator plan`: what a run would do, how long it would take, and whether its sample carries its claims."""

from __future__ import annotations

from dataclasses import asdict

import typer

from hedgerow_node.units import NS_PER_S
from orchestrator.commands.options import AsJson, Overrides, ScenarioFile, print_json
from orchestrator.plan.blocks import Plan, make_plan
from orchestrator.plan.eta import block_etas_ns, run_eta_ns, spoken
from orchestrator.plan.sample_size import Judgement, judgeable
from orchestrator.scenario.load import load_scenario
from orchestrator.scenario.models import Scenario


def plan(file: ScenarioFile, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Print the blocks of a run in their order, how long it will take, and whether its claims can be judged."""
    scenario = load_scenario(file, overrides or ())
    blocks = make_plan(scenario)
    judgements = judgeable(scenario, blocks)
    if as_json:
        print_json(_as_json(scenario, blocks, judgements))
        return
    for line in _lines(scenario, blocks, judgements):
        typer.echo(line)


def _as_json(scenario: Scenario, blocks: Plan, judgements: list[Judgement]) -> dict[str, object]:
    etas_ns = block_etas_ns(scenario, blocks)
    return {
        "scenario": scenario.name,
        "eta_s": round(run_eta_ns(scenario, blocks) / NS_PER_S, 1),
        "blocks": [
            {**asdict(block), "eta_s": round(eta_ns / NS_PER_S, 3)}
            for block, eta_ns in zip(blocks, etas_ns, strict=True)
        ],
        "claims": [
            {
                "id": judgement.claim_id,
                "expect": judgement.expect,
                "judgeable": not judgement.shortfalls,
                "shortfalls": list(judgement.shortfalls),
            }
            for judgement in judgements
        ],
    }


def _lines(scenario: Scenario, blocks: Plan, judgements: list[Judgement]) -> list[str]:
    design, workload = scenario.design, scenario.workload
    order = f"{design.order} (seed {design.seed})" if design.order == "randomised" else design.order
    lines = [
        f"{scenario.name}: {len(scenario.strategies)} strategies, {workload.requests} requests each "
        f"in {design.blocks} blocks after {workload.warmup} warm-up requests a block",
        f"{len(blocks)} blocks in {order} order, about {spoken(run_eta_ns(scenario, blocks))}",
        "",
        "round  ids            strategies in order",
    ]
    for number in range(design.blocks):
        in_round = [block for block in blocks if block.number == number]
        ids = f"{in_round[0].first_id}-{in_round[0].first_id + in_round[0].count - 1}"
        lines.append(f"{number:>5}  {ids:<13}  {', '.join(block.strategy for block in in_round)}")
    if judgements:
        width = max(len(judgement.claim_id) for judgement in judgements)
        lines += ["", "claims: does the sample carry them?"]
        lines += [f"  {judgement.claim_id:<{width}}  {_carried(judgement)}" for judgement in judgements]
    return lines


def _carried(judgement: Judgement) -> str:
    return f"no: {'; '.join(judgement.shortfalls)}" if judgement.shortfalls else f"yes: {judgement.expect}"
