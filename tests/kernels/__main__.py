"""By hand: `PYTHONPATH=tests .venv/bin/python -m kernels 6.12 'uname -r; tc qdisc add dev lo root netem'`, as root.

Runs a shell command in a virtual machine and passes its output and exit code on; 124 after the time allowed, 125 if
the machine died. The command's first argument is a folder whose contents --out receives.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from kernels.fetch import KERNELS, fetch
from kernels.machine import Ending, Machine

_EXIT = {Ending.TIMED_OUT: 124, Ending.DIED: 125}


def main() -> int:
    """Runs what the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m kernels", description=__doc__)
    parser.add_argument("kernel", choices=KERNELS)
    parser.add_argument("command", help="a line for sh, run in this folder")
    parser.add_argument("--out", type=Path, help="where $1 of the command is kept")
    parser.add_argument("--cpus", type=int, default=1, help="more than one: not under instruction counting")
    parser.add_argument("--timeout", type=float, default=600, help="seconds of this host's time")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as spare:
        out = given.out or Path(spare)
        out.mkdir(parents=True, exist_ok=True)
        job = f"cd '{Path.cwd()}' || exit\n{given.command}\n"
        with Machine(fetch(), given.kernel, job, out.resolve(), cpus=given.cpus) as machine:
            outcome = machine.wait(given.timeout)
    sys.stdout.write(outcome.output)
    if outcome.ending is not Ending.FINISHED:
        sys.stderr.write(f"{outcome}\n")
    return _EXIT.get(outcome.ending, outcome.exit_code or 0)


if __name__ == "__main__":
    sys.exit(main())
