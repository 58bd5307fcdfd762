"""`orchestrator run`: measure a scenario, judge its claims, and leave results and nothing else."""

from __future__ import annotations

import os
import time
from typing import Annotated, Any

import typer

from orchestrator.collect.folder import RunFolder
from orchestrator.commands.options import DEFAULT_RESULTS, AsJson, Overrides, ResultsFolder, ScenarioFile, print_json
from orchestrator.errors import ExitCode, HedgerowError, LeftoversError, PrerequisiteError
from orchestrator.plan.blocks import Plan, make_plan
from orchestrator.plan.eta import block_etas_ns, run_eta_ns, spoken
from orchestrator.run.progress import watcher
from orchestrator.run.runner import Run
from orchestrator.scenario.load import load_scenario
from orchestrator.topology.backends import choose

_VERDICT_CODES = {"refuted": ExitCode.REFUTED, "inconclusive": ExitCode.INCONCLUSIVE}

Backend = Annotated[
    str,
    typer.Option(
        "--backend", metavar="auto|docker|netns", help="Where the nodes run: in containers or in network namespaces."
    ),
]
NoReport = Annotated[bool, typer.Option("--no-report", help="Skip the plots; tables and summary are made.")]


def run(
    file: ScenarioFile,
    backend: Backend = "auto",
    overrides: Overrides = None,
    results: ResultsFolder = DEFAULT_RESULTS,
    as_json: AsJson = False,
    no_report: NoReport = False,
) -> None:
    """Run a scenario and print what it found. The exit code is the verdict's: 0, 1 refuted, 3 inconclusive."""
    scenario = load_scenario(file, overrides or ())
    plan = make_plan(scenario)
    chosen = choose(backend)
    if chosen.name == "netns" and os.geteuid() != 0:
        raise PrerequisiteError("the netns backend needs root", f"sudo orchestrator run {file}")
    folder = RunFolder.create(results, scenario.name)
    watch = watcher(block_etas_ns(scenario, plan))
    eta = spoken(run_eta_ns(scenario, plan))
    watch.say(f"{folder.name}: backend {chosen.name} ({chosen.reason}), about {eta}")
    started_s = time.monotonic()
    measured = Run(scenario, plan, folder, watch)
    try:
        measured.measure(chosen.topology, chosen.name)
    except HedgerowError:
        typer.echo(str(folder.path), err=True)
        raise
    finally:
        watch.close()
    watch.say(f"measured in {time.monotonic() - started_s:.1f} s")
    summary = _evaluate(folder, plan, no_report)
    _print(summary, as_json)
    typer.echo(str(folder.path), err=True)
    if measured.leftovers:
        raise LeftoversError(f"left behind on the host: {', '.join(measured.leftovers)}", "orchestrator down")
    raise typer.Exit(_VERDICT_CODES.get(summary["verdict"], ExitCode.DONE))


def _evaluate(folder: RunFolder, plan: Plan, no_report: bool) -> dict[str, Any]:
    """numpy, pyarrow and matplotlib come in only here, after the measuring."""
    from orchestrator.analysis.summary import summarise, write_summary  # noqa: PLC0415
    from orchestrator.collect.tables import write_checksums, write_tables  # noqa: PLC0415

    write_tables(folder, plan)
    summary = summarise(folder)
    write_summary(folder, summary)
    if not no_report:
        from orchestrator.report.plots import draw  # noqa: PLC0415

        draw(folder)
    write_checksums(folder)
    return summary


def _print(summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(summary)
        return
    from orchestrator.report.terminal import print_summary  # noqa: PLC0415

    print_summary(summary)
