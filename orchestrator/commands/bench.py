"""`orchestrator bench`: what the hedger itself costs, measured side by side on a service that answers at once."""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hedgerow_node.strategies import BARE
from orchestrator.commands.options import AsJson, print_json
from orchestrator.commands.run import in_turn
from orchestrator.errors import PrerequisiteError
from orchestrator.plan.blocks import make_plan
from orchestrator.plan.eta import block_etas_ns
from orchestrator.run.ending import raising_leftovers
from orchestrator.run.progress import watcher
from orchestrator.run.runner import Runner
from orchestrator.runfolder.folder import RunFolder
from orchestrator.scenario.experiment import Experiment
from orchestrator.scenario.models import Scenario
from orchestrator.topology.netns import NetnsTopology

if TYPE_CHECKING:
    from orchestrator.analysis.comparisons import Estimated, Overhead

_CONDITIONS = {BARE.name: "nothing attached", "baseline": "tap", "kernel": "hedging armed"}


def bench(
    requests: Annotated[int, typer.Option(min=100, help="Requests in each condition.")] = 10_000,
    blocks: Annotated[int, typer.Option(min=5, max=1000, help="Blocks they are interleaved in.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Measure round trips bare, tapped and with hedging armed, and print what the hedger adds; keeps no files."""
    if os.geteuid() != 0:
        raise PrerequisiteError("the netns backend needs root", "sudo orchestrator bench")
    experiment = _experiment(requests, blocks)
    plan = make_plan(experiment, tuple(_CONDITIONS))
    with in_turn(exclusive=False), tempfile.TemporaryDirectory(prefix="hedgerow-bench-") as directory:
        folder = RunFolder.create(Path(directory), experiment.name)
        watch = watcher(block_etas_ns(experiment, plan))
        measured = Runner(experiment, plan, folder, watch)
        try:
            measured.measure(NetnsTopology, "netns")
        finally:
            watch.close()
        with raising_leftovers(measured.leftovers):
            costs = _evaluate(folder, experiment)
            if not (measured.leftovers and as_json):  # then the error alone is what stdout holds
                _print(costs, as_json)


def _experiment(requests: int, blocks: int) -> Experiment:
    """One request at a time, none ever stalled, so that every microsecond shows."""
    scenario = Scenario.model_validate(
        {
            "version": 1,
            "name": "bench",
            "service": {"service_time": "1us"},
            "workload": {
                "requests": requests,
                "warmup": 200,
                "timeout": "100ms",
                "arrivals": {"users": 1, "think": "100us"},
            },
            "hedging": {"delay": "10ms"},
            "strategies": ["baseline", "kernel"],
            "design": {"blocks": blocks},
        }
    )
    return Experiment.of(scenario)


def _evaluate(folder: RunFolder, experiment: Experiment) -> list[Overhead]:
    from orchestrator.analysis.comparisons import overheads  # noqa: PLC0415 - numpy, after the measuring
    from orchestrator.runfolder.tables import write_tables  # noqa: PLC0415

    write_tables(folder, make_plan(experiment, tuple(_CONDITIONS)))
    return overheads(folder, tuple(_CONDITIONS))


def _print(costs: list[Overhead], as_json: bool) -> None:
    if as_json:
        print_json({"overhead": [asdict(cost) for cost in costs]})
        return
    typer.echo("Round trip in µs, with 95 % intervals; what is added to the median of the bare one")
    for cost in costs:
        name, p50, p99 = _CONDITIONS[cost.condition], _format_estimate(cost.p50_us), _format_estimate(cost.p99_us)
        added = "" if cost.over_us is None else f"added {_format_estimate(cost.over_us)}"
        typer.echo(f"  {name:<17} P50 {p50:<26} P99 {p99:<28} {added}".rstrip())


def _format_estimate(figure: Estimated) -> str:
    value, low, high = ("-" if number is None else f"{number:.1f}" for number in figure)
    return f"{value} ({low} to {high})"
