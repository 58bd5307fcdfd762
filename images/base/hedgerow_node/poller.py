"""Waiting for sockets and for a deadline at once, to the microsecond.

`select.poll` and `select.epoll` take whole milliseconds and `os.timerfd_create` needs Python 3.13, so this calls
ppoll(2), whose time-outs are nanoseconds, through ctypes. One thing must be worked around: besides the timer slack
of the process (`clock.set_timer_slack_ns`) the kernel allows every poll a slack of 0.1 % of its time-out, 400 µs for
a stall of 400 ms. So a wait sleeps in stages, each short of the deadline by more than its own slack.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select

from hedgerow_node.clock import now_ns
from hedgerow_node.units import NS_PER_S

_SLACK_SHIFT = 9  #: a stage ends 1/512 of its length early, twice the kernel's slack of 1/1000


class _PollFd(ctypes.Structure):
    _fields_ = (("fd", ctypes.c_int), ("events", ctypes.c_short), ("revents", ctypes.c_short))
    fd: int
    events: int
    revents: int


class _TimeSpec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))
    tv_sec: int
    tv_nsec: int


class Poller:
    """A set of file descriptors to read from, and the wait for the first of them or for a deadline.

    Within `spin_ns` of the deadline it asks again and again instead of sleeping: waking up from sleep costs tens of
    microseconds, on a virtual machine more. Descriptors stay responsive while it spins.
    """

    def __init__(self, spin_ns: int = 0) -> None:
        self._spin_ns = spin_ns
        self._ppoll = ctypes.CDLL(None, use_errno=True).ppoll
        self._ppoll.argtypes = (ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_void_p)
        self._timeout = _TimeSpec()
        self._timeout_address = ctypes.addressof(self._timeout)
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
        self._array = (_PollFd * len(self._fds))(*(_PollFd(fd, select.POLLIN, 0) for fd in self._fds))
        self._array_address = ctypes.addressof(self._array) if self._fds else None
        # Elements of a ctypes array are made anew at each access; these few are kept instead.
        self._entries = [(entry, entry.fd) for entry in self._array]

    def wait(self, deadline_ns: int | None) -> list[int]:
        """The descriptors that are ready, or none once CLOCK_MONOTONIC reaches `deadline_ns` (None: never).

        Never returns an empty list before the deadline, and looks at the descriptors at least once even where the
        deadline has passed.
        """
        timeout, count = self._timeout, len(self._entries)
        timeout_address = None if deadline_ns is None else self._timeout_address
        while True:
            if deadline_ns is not None:
                sleep_ns = deadline_ns - now_ns() - self._spin_ns
                if sleep_ns > 0:
                    timeout.tv_sec, timeout.tv_nsec = divmod(sleep_ns - (sleep_ns >> _SLACK_SHIFT), NS_PER_S)
                else:
                    timeout.tv_sec = timeout.tv_nsec = 0
            ready = self._ppoll(self._array_address, count, timeout_address, None)
            if ready > 0:
                return [fd for entry, fd in self._entries if entry.revents]
            if ready < 0 and ctypes.get_errno() != errno.EINTR:
                number = ctypes.get_errno()
                raise OSError(number, f"ppoll: {os.strerror(number)}")
            if deadline_ns is not None and now_ns() >= deadline_ns:
                return []
