"""`orchestrator down`: cleans up after runs that died, and with --all ends those at work."""

from __future__ import annotations

import os
import signal
import time
from typing import Annotated

import typer

from orchestrator.commands.options import AsJson, print_json
from orchestrator.errors import LeftoversError, PrerequisiteError
from orchestrator.host.live import Cleared, LiveRun, clear_dead_runs, live_runs
from orchestrator.host.undo import send_signal

_END_TIMEOUT_S = 20.0
_POLL_S = 0.05


def down(
    everything: Annotated[bool, typer.Option("--all", help="End runs that are at work, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give back what runs that were killed left on the host."""
    runs = [run.run_id for run in live_runs()]
    if runs and os.geteuid() != 0:
        raise PrerequisiteError(f"open runs: {', '.join(runs)}; undoing them needs root", "sudo orchestrator down")
    cleared = clear_dead_runs()
    if everything:
        for run in live_runs():
            if run.run_id not in cleared.failed:
                _end(run, cleared)
    working = [run.run_id for run in live_runs() if run.run_id not in cleared.failed]
    if not as_json:
        for run_id in cleared.runs:
            typer.echo(f"cleaned up after run {run_id}")
        for run_id in working:
            typer.echo(f"run {run_id} is at work: left alone (--all ends it)")
        if not runs:
            typer.echo("nothing to clean up")
    if cleared.failed:
        remedies = dict.fromkeys(error.remedy for error in cleared.failed.values() if error.remedy)
        raise LeftoversError("\n".join(cleared.failures()), "; ".join(remedies))
    if as_json:
        print_json({"cleared": cleared.runs, "working": working})


def _end(run: LiveRun, cleared: Cleared) -> None:
    """Asks the run's process to end, which cleans up by itself; SIGKILL and the journal where it does not."""
    owner = run.owner()
    for number in (signal.SIGTERM, signal.SIGKILL):
        if owner is not None:
            send_signal(owner, number)
        deadline_s = time.monotonic() + _END_TIMEOUT_S
        while time.monotonic() < deadline_s:
            if not run.path.exists():
                cleared.runs.append(run.run_id)
                return
            if run.seize():
                cleared.undo(run)
                return
            time.sleep(_POLL_S)
