"""`orchestrator run`: measure a scenario, judge its claims, and leave results and nothing else."""

from __future__ import annotations

import os
import time
from typing import Annotated

import typer

from orchestrator.collect.folder import RunFolder
from orchestrator.commands.evaluate import evaluate, exit_with, print_result
from orchestrator.commands.options import (
    DEFAULT_RESULTS,
    AsJson,
    NoReport,
    Overrides,
    ResultsFolder,
    ScenarioFile,
    Smoke,
)
from orchestrator.errors import HedgerowError, LeftoversError, PrerequisiteError
from orchestrator.plan.blocks import make_plan
from orchestrator.plan.eta import block_etas_ns, run_eta_ns, spoken
from orchestrator.run.faults.network import check_room
from orchestrator.run.progress import watcher
from orchestrator.run.runner import Run
from orchestrator.scenario.load import load_experiment
from orchestrator.topology.backends import choose

Backend = Annotated[
    str,
    typer.Option(
        "--backend", metavar="auto|docker|netns", help="Where the nodes run: in containers or in network namespaces."
    ),
]
CollectOnly = Annotated[
    bool, typer.Option("--collect-only", help="Measure and stop: `orchestrator analyze RUN` does the rest, anywhere.")
]


def run(
    file: ScenarioFile,
    backend: Backend = "auto",
    overrides: Overrides = None,
    smoke: Smoke = False,
    results: ResultsFolder = DEFAULT_RESULTS,
    as_json: AsJson = False,
    no_report: NoReport = False,
    collect_only: CollectOnly = False,
) -> None:
    """Run a scenario and print what it found. The exit code is the verdict's: 0, 1 refuted, 3 inconclusive."""
    experiment = load_experiment(file, overrides or (), smoke)
    plan = make_plan(experiment)
    check_room(experiment, plan)
    chosen = choose(backend, max(arm.scenario.topology.replicas for arm in experiment.arms))
    if chosen.name == "netns" and os.geteuid() != 0:
        raise PrerequisiteError("the netns backend needs root", f"sudo orchestrator run {file}")
    folder = RunFolder.create(results, experiment.name)
    watch = watcher(block_etas_ns(experiment, plan))
    eta = spoken(run_eta_ns(experiment, plan))
    watch.say(f"{folder.name}: backend {chosen.name} ({chosen.reason}), about {eta}")
    started_s = time.monotonic()
    measured = Run(experiment, plan, folder, watch, smoke)
    try:
        measured.measure(chosen.topology, chosen.name)
    except HedgerowError:
        typer.echo(str(folder.path), err=True)
        raise
    finally:
        watch.close()
    watch.say(f"measured in {time.monotonic() - started_s:.1f} s")
    summary = None if collect_only else evaluate(folder, report=not no_report)
    if summary is not None:
        print_result(summary, as_json)
    typer.echo(str(folder.path), err=True)
    if measured.leftovers:
        raise LeftoversError(f"left behind on the host: {', '.join(measured.leftovers)}", "orchestrator down")
    if summary is not None:
        raise exit_with(summary)
