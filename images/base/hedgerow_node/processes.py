"""Forking a worker that its supervisor can watch, kill and outlive, and that never outlives its supervisor.

A supervisor is single-threaded, so a plain fork is safe, and costs a millisecond where a fresh interpreter costs
fifty.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

KILLED = "signal 9 (SIGKILL)"  #: how a worker ended that was killed, in `Worker.reap`'s words

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)  # looked up before forking: a worker is to be bound to its supervisor at once


class Worker:
    """A forked worker as its supervisor sees it: `pid`, `channel` (a stream socket to it) and `pidfd`, readable
    once the worker has ended; `alive` until it was reaped.
    """

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self.pid = pid
        self.channel = channel
        self.pidfd = os.pidfd_open(pid)
        self.alive = True
        self._stops = 0

    def send_signal(self, number: signal.Signals) -> None:
        """Send the worker a signal; harmless where it was reaped and its number given to another."""
        if not self.alive:
            return
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:
            return

    def stop(self) -> None:
        """Let the worker run no further until it is resumed as often as it was stopped."""
        self._stops += 1
        self.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Take one `stop` back."""
        self._stops -= 1
        if self._stops == 0:
            self.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the worker at once, whatever it does (stopped ones too); harmless where it has ended already."""
        self.send_signal(signal.SIGKILL)

    def reap(self) -> str | None:
        """Wait until the worker has ended, release it, and say how: None where all is well, else e.g. "signal 9"."""
        _, status = os.waitpid(self.pid, 0)
        self.alive = False
        os.close(self.pidfd)
        code = os.waitstatus_to_exitcode(status)
        if code == 0:
            return None
        return f"exit code {code}" if code > 0 else f"signal {-code} ({signal.Signals(-code).name})"


def fork_worker(work: Callable[[socket.socket], None]) -> Worker:
    """Run `work(channel)` in a forked process and return the supervisor's side of it.

    The process ends with exit code 0 when `work` returns and 1, after a traceback on stderr, when it raises. It is
    killed when its supervisor ends in whatever way, ignores the terminal's Ctrl-C (its supervisor sees to it), and
    takes SIGTERM as any process.
    """
    ours, theirs = socket.socketpair()
    supervisor = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        theirs.close()
        return Worker(pid, ours)
    code = 1
    try:
        ours.close()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _die_with(supervisor)
        work(theirs)
        code = 0
    except BaseException:  # whatever it is, the fork must not run on into its supervisor's code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _die_with(supervisor: int) -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
    # The supervisor may have ended before the request took effect; then the signal would never come.
    if os.getppid() != supervisor:
        os._exit(0)
