"""`orchestrator bench`: what the hedger itself costs, in parts that are chosen by name."""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hedgerow_node.strategies import BARE
from orchestrator.bench.extent import Extent
from orchestrator.commands.options import AsJson, print_json
from orchestrator.commands.run import in_turn
from orchestrator.errors import PrerequisiteError, UsageError, from_exception
from orchestrator.plan.blocks import make_plan
from orchestrator.plan.eta import block_etas_ns
from orchestrator.run.ending import left_behind, raising_leftovers
from orchestrator.run.progress import watcher
from orchestrator.run.runner import Runner
from orchestrator.runfolder.folder import RunFolder
from orchestrator.scenario.experiment import Experiment
from orchestrator.scenario.models import Scenario
from orchestrator.topology.netns import NetnsTopology

if TYPE_CHECKING:
    from orchestrator.analysis.comparisons import Estimated, Overhead
    from orchestrator.bench.parts import Measured

_CONDITIONS = {BARE.name: "nothing attached", "baseline": "tap", "kernel": "hedging armed"}
_OVERHEAD = "overhead"
_PARTS = (_OVERHEAD, "hooks", "dns", "lateness", "stalls")
_SCHEMA = 1


def bench(
    part: Annotated[
        str, typer.Option(metavar="PART[,PART...]", help="What to measure: overhead, hooks, dns, lateness, stalls.")
    ] = _OVERHEAD,
    requests: Annotated[int, typer.Option(min=100, help="overhead: requests in each condition.")] = 10_000,
    blocks: Annotated[int, typer.Option(min=5, max=1000, help="overhead: blocks they are interleaved in.")] = 20,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Other parts: rounds of each condition.")] = 6,
    seconds: Annotated[float, typer.Option(min=1, max=20, help="Other parts: length of each measurement.")] = 5.0,
    warmup: Annotated[int, typer.Option(min=0, help="hooks: requests beforehand, that fill the maps.")] = 200_000,
    as_json: AsJson = False,
) -> None:
    """Measure what the hedger costs, and print it; keeps no files.

    overhead: round trips bare, tapped and with hedging armed. hooks: nanoseconds in each program. dns: queries
    answered, to bare. lateness: of hedges, beside a pinned SCHED_FIFO wake-up. stalls: DNS with a replica that stops.
    All but overhead need nsd and dnsperf, which are unpacked into .cache/services from the distribution's packages.
    """
    names = tuple(dict.fromkeys(part.split(",")))
    unknown = [name for name in names if name not in _PARTS]
    if unknown:
        raise UsageError(f"--part {part}: there is no part {', '.join(unknown)!r}", f"use {', '.join(_PARTS)}")
    if os.geteuid() != 0:
        raise PrerequisiteError("the netns backend needs root", "sudo orchestrator bench")
    costs: list[Overhead] | None = None
    measured: Measured | None = None
    leftovers: list[str] = []
    with in_turn(exclusive=False):
        if _OVERHEAD in names:
            costs, left = _measure_overhead(requests, blocks)
            leftovers += left
        others = [name for name in names if name != _OVERHEAD]
        if others:
            measured = _measure_parts(others, Extent(seconds, rounds, warmup))
            leftovers += measured.leftovers
        with raising_leftovers(leftovers):
            if not (leftovers and as_json):  # then the error alone is what stdout holds
                _print(costs, measured, Extent(seconds, rounds, warmup), as_json)


def _measure_overhead(requests: int, blocks: int) -> tuple[list[Overhead], list[str]]:
    """The costs, and what was left behind."""
    experiment = _experiment(requests, blocks)
    plan = make_plan(experiment, tuple(_CONDITIONS))
    with tempfile.TemporaryDirectory(prefix="hedgerow-bench-") as directory:
        folder = RunFolder.create(Path(directory), experiment.name)
        watch = watcher(block_etas_ns(experiment, plan))
        measured = Runner(experiment, plan, folder, watch)
        try:
            measured.measure(NetnsTopology, "netns")
        finally:
            watch.close()
        try:
            costs = _evaluate(folder, experiment)
        except Exception as raised:
            if not measured.leftovers:
                raise
            raise left_behind(measured.leftovers, [from_exception(raised)]) from raised
        return costs, measured.leftovers


def _measure_parts(names: list[str], extent: Extent) -> Measured:
    from orchestrator.bench.parts import measure  # noqa: PLC0415 - numpy and scipy, only where they are needed

    with tempfile.TemporaryDirectory(prefix="hedgerow-bench-") as directory:
        return measure(names, extent, RunFolder.create(Path(directory), "bench"))


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


def _print(costs: list[Overhead] | None, measured: Measured | None, extent: Extent, as_json: bool) -> None:
    if as_json:
        found: dict[str, object] = {"schema": _SCHEMA}
        if costs is not None:
            found[_OVERHEAD] = [asdict(cost) for cost in costs]
        if measured is not None:
            from orchestrator.bench.conditions import conditions  # noqa: PLC0415 - see above

            found["conditions"] = conditions(extent)
            found |= {name: [asdict(row) for row in rows] for name, rows in measured.results.items()}
            found["left_out"] = measured.left_out
        print_json(found)
        return
    if costs is not None:
        _print_overhead(costs)
    if measured is not None:
        from orchestrator.bench.table import lines  # noqa: PLC0415 - see above

        for line in lines(measured.results, measured.left_out):
            typer.echo(line)


def _print_overhead(costs: list[Overhead]) -> None:
    typer.echo("Round trip in µs, with 95 % intervals; what is added to the median of the bare one")
    for cost in costs:
        name, p50, p99 = _CONDITIONS[cost.condition], _format_estimate(cost.p50_us), _format_estimate(cost.p99_us)
        added = "" if cost.over_us is None else f"added {_format_estimate(cost.over_us)}"
        typer.echo(f"  {name:<17} P50 {p50:<26} P99 {p99:<28} {added}".rstrip())


def _format_estimate(figure: Estimated) -> str:
    value, low, high = ("-" if number is None else f"{number:.1f}" for number in figure)
    return f"{value} ({low} to {high})"
