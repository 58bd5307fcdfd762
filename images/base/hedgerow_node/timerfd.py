"""A timer of the kernel's that is a file descriptor: readable once CLOCK_MONOTONIC has reached a given time.

Unlike the time-out of a system call it is absolute: a process that was stopped meanwhile finds it due, where a
time-out goes on from what was left of it. And it has no slack, where the kernel allows every poll 0.1 % of its
time-out. `os.timerfd_create` needs Python 3.13, so this calls the C library.
"""

from __future__ import annotations

import ctypes
import os
import time
import weakref

from hedgerow_node.units import NS_PER_S

_TFD_NONBLOCK, _TFD_CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC
_TFD_TIMER_ABSTIME = 1


class _TimerSpec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )
    value_s: int
    value_ns: int


class TimerFd:
    """One timer, not set; closed when nobody holds it any more. Raises OSError where the kernel has none to give."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = libc.timerfd_create(time.CLOCK_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
        if self._fd < 0:
            raise _error("timerfd_create")
        weakref.finalize(self, os.close, self._fd)
        self._settime = libc.timerfd_settime
        self._settime.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
        self._spec = _TimerSpec()
        self._spec_address = ctypes.addressof(self._spec)

    def fileno(self) -> int:
        """Its descriptor, for a poll loop."""
        return self._fd

    def set(self, due_ns: int) -> None:
        """Be readable from `due_ns` on and not before; at once where that has passed, even before the clock began."""
        # Of a host that has not been up for long the clock is still small; and zero would unset the timer.
        self._spec.value_s, self._spec.value_ns = divmod(max(1, due_ns), NS_PER_S)
        if self._settime(self._fd, _TFD_TIMER_ABSTIME, self._spec_address, None) != 0:
            raise _error("timerfd_settime")


def _error(call: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{call}: {os.strerror(number)}")
