"""All machines side by side, in a process of their own that the other layers of tests need not wait for.

A guest's clock counts its own instructions, so it may be as slow as it likes: the fleet takes only processor time
that nothing else wants (SCHED_IDLE), starts when the tests start, and is asked for its results last.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from kernels.fetch import KERNELS, fetch
from kernels.guest import OUTCOME, Guest
from kernels.machine import Machine

CHECKOUT = Path(__file__).resolve().parents[2]
ALLOWED_S = 3_000
"""Seconds of the host's time that the machines may take, counted from their start."""
_FETCHING_S = 180


class FleetError(Exception):
    """The fleet did not get as far as running its machines; the message holds its own words."""


class Fleet:
    """The fleet's process, seen from the tests."""

    def __init__(self) -> None:
        """Starts the process, and comes back at once."""
        # The machines' own folders lie in it too. Ending the process kills them, and the last may still be writing.
        self._folder = tempfile.TemporaryDirectory(prefix="hedgerow-kernels-", ignore_cleanup_errors=True)
        self._log = Path(self._folder.name, "log")
        command = [sys.executable, "-m", "kernels.fleet", self._folder.name]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                cwd=CHECKOUT,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": self._folder.name},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def guests(self) -> dict[str, Guest]:
        """Waits for the end and tells what every machine left, by kernel series.

        Raises:
            FleetError: nothing could be fetched or started.
        """
        try:
            code = self._process.wait(ALLOWED_S + _FETCHING_S)
        except subprocess.TimeoutExpired:
            raise FleetError(f"still not done: {self._log.read_text()}") from None
        if code:
            raise FleetError(f"exit code {code}: {self._log.read_text()}")
        return {series: Guest(Path(self._folder.name, series)) for series in KERNELS}

    def stop(self) -> None:
        """Ends the process, its machines with it, and removes what they left."""
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()


def run(folder: Path) -> None:
    """Fetches, boots every kernel of KERNELS at once, and leaves a folder for each in `folder`."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    toolbox = fetch()
    job = f"cd '{CHECKOUT}' || exit\n" + Path(__file__).with_name("guest-tests.sh").read_text()
    with ExitStack() as stack:
        machines: dict[str, Machine] = {}
        for series in KERNELS:
            (folder / series).mkdir()
            machines[series] = stack.enter_context(Machine(toolbox, series, job, folder / series))
        deadline_s = time.monotonic() + ALLOWED_S
        for series, machine in machines.items():
            outcome = machine.wait(max(0, deadline_s - time.monotonic()))
            (folder / series / OUTCOME).write_text(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    run(Path(sys.argv[1]))
