"""`orchestrator run`: measure a scenario, judge its claims, and leave results and nothing else."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from hedgerow_node.units import parse_duration_ns
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
from orchestrator.errors import HedgerowError, PrerequisiteError, UsageError, file_errors
from orchestrator.host.live import Working, measuring
from orchestrator.plan.blocks import Plan
from orchestrator.plan.checks import load_plan
from orchestrator.plan.eta import block_etas_ns, format_rough_duration, run_eta_ns
from orchestrator.run.ending import raising_leftovers
from orchestrator.run.interrupts import Interrupted, Interrupts
from orchestrator.run.progress import watcher
from orchestrator.run.runner import Runner
from orchestrator.runfolder.folder import RunFolder
from orchestrator.runfolder.integrity import write_checksums
from orchestrator.runfolder.summary import Summary
from orchestrator.scenario.experiment import Experiment
from orchestrator.topology.backends import Choice, choose
from orchestrator.topology.docker import inside

_STOP = "stop:    docker compose down -v (without --exit-code-from, the other containers are still up)"

Backend = Annotated[
    str,
    typer.Option(
        "--backend", metavar="auto|docker|netns", help="Where the nodes run: in containers or in network namespaces."
    ),
]
Build = Annotated[bool, typer.Option("--build", help="Build the images that are missing, then run in containers.")]
Exclusive = Annotated[
    bool,
    typer.Option("--exclusive", help="Wait until no other run is at work on this host; others wait for this one."),
]
MaxDuration = Annotated[
    str | None,
    typer.Option(
        "--max-duration",
        metavar="TIME",
        help="End the run in order after this time of measuring, e.g. 10m; refuse it if the plan takes longer.",
        show_default=False,
    ),
]
CollectOnly = Annotated[
    bool, typer.Option("--collect-only", help="Measure and stop: `orchestrator analyze RUN` does the rest, anywhere.")
]


def run(
    file: ScenarioFile,
    backend: Backend = "auto",
    build: Build = False,
    overrides: Overrides = None,
    smoke: Smoke = False,
    results: ResultsFolder = DEFAULT_RESULTS,
    as_json: AsJson = False,
    no_report: NoReport = False,
    collect_only: CollectOnly = False,
    junit: JunitFile = None,
    exclusive: Exclusive = False,
    max_duration: MaxDuration = None,
) -> None:
    """Run a scenario and print what it found. The exit code is the verdict's: 0, 1 refuted, 3 inconclusive."""
    if collect_only and junit is not None:
        raise UsageError("--collect-only leaves the verdicts to analyze", "give --junit to orchestrator analyze")
    with _compose_hint(as_json), CiOutputs(junit, file.stem, step_summary=True) as outputs:
        experiment, plan = load_plan(file, overrides or (), smoke)
        outputs.subject = experiment.name
        limit_ns = _limit_ns(max_duration, run_eta_ns(experiment, plan))
        chosen = _choose(experiment, backend, build, file)
        with in_turn(exclusive):
            measured = _measure(experiment, plan, chosen, smoke, results, limit_ns, outputs)
            with raising_leftovers(measured.leftovers):
                silent = as_json and bool(measured.leftovers)  # then the error alone is what stdout holds
                if not collect_only:
                    with file_errors(f"orchestrator analyze {measured.folder.path} does the rest"):
                        summary = outputs.summary = evaluate(measured.folder, report=not no_report)
                    if not silent:
                        print_result(summary, as_json)
                else:
                    write_checksums(measured.folder)
                    if as_json and not silent:
                        print_json({"run": measured.folder.name, "folder": str(measured.folder.path)})
    if inside() and not as_json:
        _print_closing(measured.folder, outputs.summary)
    if outputs.summary is not None:
        raise exit_with(outputs.summary)


def _limit_ns(max_duration: str | None, eta_ns: int) -> int | None:
    """The time given to a run that is expected to take `eta_ns`; UsageError where that is more."""
    if max_duration is None:
        return None
    try:
        limit_ns = parse_duration_ns(max_duration)
    except ValueError as error:
        raise UsageError(f"--max-duration {max_duration}: {error}", "write e.g. --max-duration 10m") from error
    if eta_ns > limit_ns:
        raise UsageError(
            f"the run would take about {format_rough_duration(eta_ns)}, more than --max-duration {max_duration}",
            "give it more time, or measure less: --smoke, --set workload.requests=…, --set design.blocks=…",
        )
    return limit_ns


def _choose(experiment: Experiment, backend: str, build: bool, file: Path) -> Choice:
    """The backend; where it is not docker though it could be, the first line on stderr says so."""

    def say(text: str) -> None:
        typer.echo(text, err=True)

    replicas = max(arm.scenario.topology.replicas for arm in experiment.arms)
    chosen = choose(backend, replicas, say if build else None)
    if chosen.name == "netns" and os.geteuid() != 0:
        raise PrerequisiteError("the netns backend needs root", f"sudo orchestrator run {file}")
    if chosen.remedy:
        say(f"running in network namespaces, not in containers: {chosen.reason}; {chosen.remedy}")
    return chosen


@contextmanager
def in_turn(exclusive: bool) -> Iterator[None]:
    """See `measuring`; what it waits for is said on stderr, and the waiting can be interrupted."""
    with ExitStack() as stack:
        try:
            with Interrupts():
                stack.enter_context(measuring(exclusive, partial(say_waiting, exclusive)))
        except Interrupted as interrupt:
            interrupt.remedy = "nothing was measured yet"
            raise
        yield


def say_waiting(exclusive: bool, runs: Sequence[Working]) -> None:
    """Says on stderr which runs this one, which may be `exclusive`, waits for."""
    at_work = [
        f"run {run.run_id} (process {run.pid}, at work for {format_rough_duration(run.for_ns)})" for run in runs
    ]
    reason = "--exclusive" if exclusive else "it is --exclusive"
    typer.echo(f"waiting for {', '.join(at_work) or 'another run, which is just beginning'}: {reason}", err=True)


def _measure(
    experiment: Experiment,
    plan: Plan,
    chosen: Choice,
    smoke: bool,
    results: Path,
    limit_ns: int | None,
    outputs: CiOutputs,
) -> Runner:
    """Measure all blocks; the run's folder is the last line of stderr, however the run ends."""
    try:
        folder = RunFolder.create(results, experiment.name)
    except OSError as error:
        raise UsageError(
            f"{results} can hold no run folders: {error.strerror}", "--results DIR writes elsewhere"
        ) from error
    outputs.subject, outputs.last_line = folder.name, str(folder.path)
    watch = watcher(block_etas_ns(experiment, plan))
    eta = format_rough_duration(run_eta_ns(experiment, plan))
    watch.say(f"{folder.name}: backend {chosen.name} ({chosen.reason}), about {eta}")
    started_s = time.monotonic()
    measured = Runner(experiment, plan, folder, watch, smoke, limit_ns)
    try:
        measured.measure(chosen.make_topology, chosen.name)
    finally:
        watch.close()
        if not folder.path.exists():
            outputs.last_line = ""
    watch.say(f"measured in {time.monotonic() - started_s:.1f} s")
    return measured


@contextmanager
def _compose_hint(as_json: bool) -> Iterator[None]:
    """In `docker compose up`, which goes on after a failed run too: how to stop it."""
    try:
        yield
    except HedgerowError:
        if inside() and not as_json:
            typer.echo(_STOP, err=True)
        raise


def _print_closing(folder: RunFolder, summary: Summary | None) -> None:
    """The last lines of `docker compose up`, on stderr, so that they stay below all others.

    The report's path is the host's, where HEDGEROW_HOST_RESULTS says what the results folder is called there.
    """
    host = os.environ.get("HEDGEROW_HOST_RESULTS")
    path = folder.path if host is None else f"{host.rstrip('/')}/{folder.name}"
    report = f"{path}/{folder.report.name}" if folder.report.exists() else str(path)
    verdict = "not judged" if summary is None else summary.verdict or "none, as the scenario makes no claims"
    for line in (f"verdict: {verdict}", f"report:  {report}", _STOP):
        typer.echo(line, err=True)
