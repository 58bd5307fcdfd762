"""How late the host wakes up a process that it is to prefer to all others: pinned to a CPU, SCHED_FIFO.

No timer of this host is more punctual than that, a hedger's in user space least of all. Runs as a program of its own:
`python -m orchestrator.bench.wakeups SECONDS`, whose answer is an object on stdout.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from dataclasses import asdict, dataclass

from hedgerow_node.units import NS_PER_MS, NS_PER_S

INTERVAL_NS = NS_PER_MS
_PRIORITY = 50


@dataclass(frozen=True)
class Wakeups:
    """How late each wake-up was; or why the host let the process have no such priority."""

    cpu: int
    late_ns: list[int]
    refused: str = ""


def observe(seconds: float) -> Wakeups:
    """Wakes up every INTERVAL_NS for `seconds`, on the last CPU that this process may use."""
    cpu = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpu})
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    except PermissionError as error:
        return Wakeups(cpu, [], f"SCHED_FIFO: {error.strerror}")
    gc.freeze()
    gc.disable()
    late_ns = []
    due_ns = time.monotonic_ns()
    end_ns = due_ns + round(seconds * NS_PER_S)
    while due_ns < end_ns:
        due_ns += INTERVAL_NS
        left_ns = due_ns - time.monotonic_ns()
        if left_ns > 0:
            time.sleep(left_ns / NS_PER_S)
            late_ns.append(time.monotonic_ns() - due_ns)
    return Wakeups(cpu, late_ns)


def main(words: list[str]) -> None:
    """See the module."""
    print(json.dumps(asdict(observe(float(words[0])))))


if __name__ == "__main__":
    main(sys.argv[1:])
