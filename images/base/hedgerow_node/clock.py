"""The one clock of all measurements, and the settings of the kernel's that make it usable for timing.

Everything is CLOCK_MONOTONIC: shared by all processes and network namespaces of a host, and the clock that
`bpf_ktime_get_ns` reads. Only the kernel's receive timestamps are CLOCK_REALTIME; `realtime_offset_ns` converts.
"""

from __future__ import annotations

import ctypes
import os
import time

_PR_SET_TIMERSLACK = 29
_SANDWICHES = 32

now_ns = time.monotonic_ns  #: CLOCK_MONOTONIC in integer nanoseconds


def realtime_offset_ns() -> int:
    """CLOCK_REALTIME minus CLOCK_MONOTONIC in nanoseconds, right to within a fraction of a microsecond.

    The real time is read between two readings of the monotonic clock; of several such sandwiches the tightest
    counts, since a process may be preempted inside any one of them.
    """
    tightest_ns, offset_ns = None, 0
    for _ in range(_SANDWICHES):
        before_ns = time.monotonic_ns()
        real_ns = time.time_ns()
        after_ns = time.monotonic_ns()
        if tightest_ns is None or after_ns - before_ns < tightest_ns:
            tightest_ns = after_ns - before_ns
            offset_ns = real_ns - (before_ns + after_ns) // 2
    return offset_ns


def set_timer_slack_ns(slack_ns: int) -> None:
    """Let the kernel delay this thread's timers by at most `slack_ns` (its default is 50 µs) to batch them.

    Raises OSError where the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(slack_ns), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl(PR_SET_TIMERSLACK): {os.strerror(number)}")


def keep_deadlines(strictly: bool) -> bool:
    """Let this process run as soon as it is due, before all others (SCHED_FIFO), or as any other again.

    Without it a process that wakes up where others use every processor waits for the end of another's time slice,
    some milliseconds. What it forks is not preferred. False where the kernel does not permit it: that takes root,
    CAP_SYS_NICE, or a limit of real-time priority.
    """
    policy, priority = (os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, 1) if strictly else (os.SCHED_OTHER, 0)
    try:
        os.sched_setscheduler(0, policy, os.sched_param(priority))
    except OSError:
        return False
    return True
