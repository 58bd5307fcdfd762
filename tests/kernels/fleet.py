"""All machines side by side, in a process of their own that the other layers of tests need not wait for.

A guest's clock counts its own instructions (but for the machine with two processors, none of whose tests looks at a
clock), so it may be as slow as it likes: the fleet takes only processor time that nothing else wants (SCHED_IDLE),
starts when the tests start, and is asked for its results last.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from kernels.fetch import KERNELS, fetch
from kernels.guest import OUTCOME, Guest
from kernels.machine import Machine

CHECKOUT = Path(__file__).resolve().parents[2]
TWO_CPUS = "two-cpus"  #: the name of the machine that has them
SMOKE_LINES = {"5.10": "htb", "6.12": "netem"}
"""Kernel series → the delay line of the whole run made there; what lines do is tested with all of them everywhere."""
_ONCE = "6.1"  #: also does what is marked `once`, and no run
ALLOWED_S = 3_000
"""Seconds of the host's time that the machines may take, counted from their start."""
_FETCHING_S = 180


@dataclass(frozen=True)
class Member:
    """A machine of the fleet: its kernel, its processors, and the script that it runs."""

    series: str
    script: str
    cpus: int = 1

    @property
    def job(self) -> str:
        """The whole text for the guest's shell."""
        # Tens of thousands of frames prove no more on one kernel than on another.
        tests = "not volume" if self.series == _ONCE else "not volume and not once"
        lines = [f"cd '{CHECKOUT}' || exit", f"TESTS='{tests}' SMOKE_LINE={SMOKE_LINES.get(self.series, '')}"]
        lines += [f"export HEDGEROW_LONG={shlex.quote(os.environ.get('HEDGEROW_LONG', ''))}"]
        return "\n".join([*lines, Path(__file__).with_name(self.script).read_text()])


MEMBERS = {series: Member(series, "guest-tests.sh") for series in KERNELS}
MEMBERS[TWO_CPUS] = Member("5.10", "guest-two-cpus.sh", cpus=2)
"""By name; those of the kernels are called as they."""


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
        """Waits for the end and tells what every machine left, by the names of MEMBERS.

        Raises:
            FleetError: nothing could be fetched or started.
        """
        try:
            code = self._process.wait(ALLOWED_S + _FETCHING_S)
        except subprocess.TimeoutExpired:
            raise FleetError(f"still not done: {self._log.read_text()}") from None
        if code:
            raise FleetError(f"exit code {code}: {self._log.read_text()}")
        return {name: Guest(Path(self._folder.name, name)) for name in MEMBERS}

    def stop(self) -> None:
        """Ends the process, its machines with it, and removes what they left."""
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()


def run(folder: Path) -> None:
    """Fetches, boots every machine of MEMBERS at once, and leaves a folder for each in `folder`."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    toolbox = fetch()
    with ExitStack() as stack:
        machines: dict[str, Machine] = {}
        for name, member in MEMBERS.items():
            (folder / name).mkdir()
            machine = Machine(toolbox, member.series, member.job, folder / name, cpus=member.cpus)
            machines[name] = stack.enter_context(machine)
        deadline_s = time.monotonic() + ALLOWED_S
        for name, machine in machines.items():
            outcome = machine.wait(max(0, deadline_s - time.monotonic()))
            (folder / name / OUTCOME).write_text(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    run(Path(sys.argv[1]))
