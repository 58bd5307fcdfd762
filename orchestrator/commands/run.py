"""`orchestrator run`: measure a scenario, judge its claims, and leave results and nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.commands.ci_outputs import CiOutputs
from orchestrator.commands.options import (
    DEFAULT_RESULTS,
    AsJson,
    JunitFile,
    NoReport,
    Overrides,
    ResultsFolder,
    ScenarioFile,
    Smoke,
    print_json,
)
from orchestrator.commands.pipeline import evaluate, exit_with, print_result
from orchestrator.errors import PrerequisiteError, UsageError
from orchestrator.plan.blocks import make_plan
from orchestrator.plan.eta import block_etas_ns, run_eta_ns, spoken
from orchestrator.run.ending import leftovers_told
from orchestrator.run.faults.network import check_room
from orchestrator.run.progress import watcher
from orchestrator.run.runner import Run
from orchestrator.runfolder.folder import RunFolder
from orchestrator.scenario.experiment import Experiment
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
    junit: JunitFile = None,
) -> None:
    """Run a scenario and print what it found. The exit code is the verdict's: 0, 1 refuted, 3 inconclusive."""
    if collect_only and junit is not None:
        raise UsageError("--collect-only leaves the verdicts to analyze", "give --junit to orchestrator analyze")
    with CiOutputs(junit, file.stem, step_summary=True) as outputs:
        experiment = load_experiment(file, overrides or (), smoke)
        outputs.subject = experiment.name
        measured = _measure(experiment, backend, smoke, results, file, outputs)
        with leftovers_told(measured.leftovers):
            silent = as_json and bool(measured.leftovers)  # then the error alone is what stdout holds
            if not collect_only:
                summary = outputs.summary = evaluate(measured.folder, report=not no_report)
                if not silent:
                    print_result(summary, as_json)
            elif as_json and not silent:
                print_json({"run": measured.folder.name, "folder": str(measured.folder.path)})
    if outputs.summary is not None:
        raise exit_with(outputs.summary)


def _measure(experiment: Experiment, backend: str, smoke: bool, results: Path, file: Path, outputs: CiOutputs) -> Run:
    """Measure all blocks; the run's folder is what the command says last, however it ends."""
    plan = make_plan(experiment)
    check_room(experiment, plan)
    chosen = choose(backend, max(arm.scenario.topology.replicas for arm in experiment.arms))
    if chosen.name == "netns" and os.geteuid() != 0:
        raise PrerequisiteError("the netns backend needs root", f"sudo orchestrator run {file}")
    try:
        folder = RunFolder.create(results, experiment.name)
    except OSError as error:
        raise UsageError(
            f"{results} can hold no run folders: {error.strerror}", "--results DIR writes elsewhere"
        ) from error
    outputs.subject, outputs.last_line = folder.name, str(folder.path)
    watch = watcher(block_etas_ns(experiment, plan))
    eta = spoken(run_eta_ns(experiment, plan))
    watch.say(f"{folder.name}: backend {chosen.name} ({chosen.reason}), about {eta}")
    started_s = time.monotonic()
    measured = Run(experiment, plan, folder, watch, smoke)
    try:
        measured.measure(chosen.make_topology, chosen.name)
    finally:
        watch.close()
    watch.say(f"measured in {time.monotonic() - started_s:.1f} s")
    return measured
