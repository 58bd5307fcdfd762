"""Waiting for sockets and for a deadline at once, to the microsecond.

`select.poll` and `select.epoll` take whole milliseconds, so this calls ppoll(2) through ctypes, and the deadline is
not its time-out but a timer's among the descriptors: absolute, so that a process that was stopped finds it due where
a time-out goes on from what was left of it, and without the slack of 0.1 % that the kernel allows every poll.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import time
import weakref

from hedgerow_node.clock import now_ns
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
    """A timer of the kernel's that is a file descriptor, readable once CLOCK_MONOTONIC has reached a given time.

    It is closed with the last reference to it. `os.timerfd_create` needs Python 3.13, so this calls the C library.
    Raises OSError where the kernel has none to give.
    """

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


class _PollFd(ctypes.Structure):
    _fields_ = (("fd", ctypes.c_int), ("events", ctypes.c_short), ("revents", ctypes.c_short))
    fd: int
    events: int
    revents: int


class _TimeSpec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


class Poller:
    """A set of file descriptors to read from, and the wait for the first of them or for a deadline.

    Within `spin_ns` of the deadline it asks again and again instead of sleeping: waking up from sleep costs tens of
    microseconds, on a virtual machine more. Descriptors stay responsive while it spins.
    """

    def __init__(self, spin_ns: int = 0) -> None:
        self._spin_ns = spin_ns
        self._ppoll = ctypes.CDLL(None, use_errno=True).ppoll
        self._ppoll.argtypes = (ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_void_p)
        self._no_time = _TimeSpec(0, 0)
        self._no_time_address = ctypes.addressof(self._no_time)
        self._timer, self._timer_set_to_ns = TimerFd(), 0
        self._fds: list[int] = []
        self._rebuild()

    def register(self, fd: int) -> None:
        """Watch `fd` for something to read, end of file or an error; ValueError where it is watched already."""
        if fd in self._fds:
            raise ValueError(f"file descriptor {fd} is watched already")
        self._fds.append(fd)
        self._rebuild()

    def unregister(self, fd: int) -> None:
        """Stop watching `fd`; ValueError where it is not watched."""
        self._fds.remove(fd)
        self._rebuild()

    def _rebuild(self) -> None:
        fds = [*self._fds, self._timer.fileno()]  # the timer is the last, so that a wait may leave it out
        self._array = (_PollFd * len(fds))(*(_PollFd(fd, select.POLLIN, 0) for fd in fds))
        self._array_address = ctypes.addressof(self._array)
        # Elements of a ctypes array are made again at each access; these few are kept instead.
        self._entries = [(entry, entry.fd) for entry in self._array][:-1]

    def wait(self, deadline_ns: int | None) -> list[int]:
        """The descriptors that are ready, or none once CLOCK_MONOTONIC reaches `deadline_ns` (None: never).

        Never returns an empty list before the deadline, and looks at the descriptors at least once even where the
        deadline has passed.
        """
        while True:
            count, timeout_address = len(self._entries), None
            if deadline_ns is not None:
                wake_ns = deadline_ns - self._spin_ns
                if wake_ns <= now_ns():
                    timeout_address = self._no_time_address
                else:
                    count += 1
                    if wake_ns != self._timer_set_to_ns:
                        self._timer.set(wake_ns)
                        self._timer_set_to_ns = wake_ns
            found = self._ppoll(self._array_address, count, timeout_address, None)
            if found > 0:
                ready = [fd for entry, fd in self._entries if entry.revents]
                if ready:
                    return ready
            elif found < 0:
                number = ctypes.get_errno()
                if number != errno.EINTR:
                    raise OSError(number, f"ppoll: {os.strerror(number)}")
                continue
            if deadline_ns is not None and now_ns() >= deadline_ns:
                return []
