"""Small scenarios for tests, and the command that runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.patience import patience_s

if TYPE_CHECKING:
    from collections.abc import Callable

ORCHESTRATOR = Path(sys.executable).parent / "orchestrator"
PATIENCE_S = patience_s(120)
#: A request's time-out for tests in which every one has to be answered: a busy host may stop a program for longer
#: than usual ones, which cost less, as each block waits for so long at its end.
NEVER_TOO_LATE = "2s"

SCENARIO = """\
version: 1
name: {name}
service:
  service_time: {service_time}
  stall: {{when: "id % 100 < 2", duration: 120ms, heal_on_duplicate: true}}
workload:
  requests: {requests}
  warmup: 10
  arrivals: {{mode: closed, users: {users}, think: {think}}}
  timeout: {timeout}
hedging: {{delay: 10ms, copy_id: {{offset: 4, length: 2}}}}
strategies: [{strategies}]
design: {{blocks: {blocks}}}
claims:
{claims}
"""
DEFAULTS = {
    "name": "little",
    "service_time": "1ms",
    "requests": 200,
    "users": 1,
    "think": "200us",
    "timeout": "200ms",
    "strategies": "baseline, kernel",
    "blocks": 2,
    "claims": "  - {id: no-duplicates, expect: 'duplicates(kernel) == 0'}",
}


def write_scenario(directory: Path, **changes: object) -> Path:
    """A scenario file in `directory`: `DEFAULTS` with `changes`."""
    path = directory / f"{changes.get('name', DEFAULTS['name'])}.yaml"
    path.write_text(SCENARIO.format(**{**DEFAULTS, **changes}))
    return path


def start_run(
    scenario: Path, results: Path, *options: str, backend: str = "netns", **environment: str
) -> subprocess.Popen[str]:
    """`orchestrator run`, in a session of its own, as a terminal's job would be.

    It reacts to SIGINT from its start, also where these tests run in the background of a shell that makes its jobs
    ignore that.
    """
    command = [str(ORCHESTRATOR), "run", str(scenario), "--results", str(results), "--backend", backend, *options]
    return subprocess.Popen(
        ["env", "--default-signal=INT", *command],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def orchestrate(*arguments: str, patience_s: float = PATIENCE_S) -> subprocess.CompletedProcess[str]:
    """Any command, to its end."""
    return subprocess.run(
        [str(ORCHESTRATOR), *arguments], capture_output=True, text=True, timeout=patience_s, check=False
    )


@dataclass(frozen=True)
class Finished:
    """A run that ended by itself."""

    folder: Path
    summary: dict[str, Any]
    code: int
    errors: str

    @property
    def manifest(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "manifest.json").read_text())
        return content

    @property
    def journal(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "journal.jsonl").read_text().splitlines()]


def finish(process: subprocess.Popen[str]) -> Finished:
    """Waits for a run started with --json."""
    output, errors = process.communicate(timeout=PATIENCE_S)
    assert output, errors
    return Finished(Path(errors.splitlines()[-1]), json.loads(output), process.returncode, errors)


def wait_for(condition: Callable[[], bool], what: str, process: subprocess.Popen[str] | None = None) -> None:
    """Until `condition` holds, or fails once `process` has ended."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert process is None or process.poll() is None, f"never: {what}; {process.communicate()}"
        assert time.monotonic() < deadline_s, f"never: {what}"
        time.sleep(0.02)
