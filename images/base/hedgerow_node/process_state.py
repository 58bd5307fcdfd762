"""What the kernel says about a process or a host's processors: the evidence that a fault really happened.

The program that injects a fault into a process cannot vouch for the effect; /proc and the process's CPU clock can.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

STOPPED = "T"  #: the state of a process after SIGSTOP
_CPU_PRESSURE = Path("/proc/pressure/cpu")
_STAT_SIZE = 4096
_PROCESS_WIDE_CPU_CLOCK = 2  # CPUCLOCK_SCHED of all threads; see clock_getcpuclockid(3)


def process_state(pid: int) -> str | None:
    """The letter that /proc/PID/stat gives for the state of `pid`; None where there is no such process.

    "T" only where every thread is stopped, else the letter of the first that is not.
    """
    folder = f"/proc/{pid}/task"
    try:
        threads = os.listdir(folder)  # noqa: PTH208 (between a deadline and SIGCONT every microsecond counts)
    except FileNotFoundError:
        return None
    letters = [letter for thread in threads if (letter := _thread_state(f"{folder}/{thread}/stat")) is not None]
    return next((letter for letter in letters if letter != STOPPED), STOPPED) if letters else None


def _thread_state(path: str) -> str | None:
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 (as above)
            said: bytes = file.read(_STAT_SIZE)
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return None
    # The name before the state stands in parentheses and may contain some itself.
    return said.rpartition(b") ")[2][:1].decode()


def cpu_ns(pid: int) -> int | None:
    """How long the threads of `pid` have been running in all, in ns; None where there is no such process.

    The kernel's account to the nanosecond and to the moment, where /proc/PID/schedstat lags by up to a tick.
    """
    try:
        return time.clock_gettime_ns((~pid << 3) | _PROCESS_WIDE_CPU_CLOCK)
    except OSError:
        return None


def cpu_pressure_us() -> int | None:
    """For how long, since boot, some process had to wait for a processor, in µs; None where the kernel keeps no
    account of it.
    """
    try:
        lines = _CPU_PRESSURE.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    some = next((line for line in lines if line.startswith("some ")), None)
    return None if some is None else int(some.rpartition("total=")[2])
