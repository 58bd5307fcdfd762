"""The progress of a run, and how it is interrupted."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys

import pytest

from orchestrator.errors import ExitCode
from orchestrator.plan.blocks import Block
from orchestrator.run.interrupts import Interrupted, Interrupts
from orchestrator.run.progress import PlainLines

BLOCKS = [Block(order, "kernel", order, 0, 100, 1 << 31, 10) for order in range(3)]


def test_elsewhere_than_on_a_terminal_a_block_is_a_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    watch = PlainLines([1_000_000] * 3)
    for block in BLOCKS:
        watch.begin(block)
        watch.end("100 requests, 2 hedges")
    watch.close()
    said = capsys.readouterr()
    assert said.out == ""
    assert [line.split(";")[0] for line in said.err.splitlines()] == [
        f"[{n}/3] kernel: 100 requests, 2 hedges" for n in (1, 2, 3)
    ]
    assert said.err.splitlines()[-1].endswith("; 0 s left")


def test_the_first_signal_ends_what_is_under_way() -> None:
    with Interrupts(), pytest.raises(Interrupted) as caught:
        os.kill(os.getpid(), signal.SIGTERM)
    assert caught.value.exit_code == ExitCode.INTERRUPTED
    assert "SIGTERM" in caught.value.message


def test_a_signal_while_shielded_is_kept_for_afterwards(capsys: pytest.CaptureFixture[str]) -> None:
    with Interrupts() as interrupts:
        with interrupts.shielded_after():
            assert interrupts.remembered is None
        os.kill(os.getpid(), signal.SIGINT)
        assert isinstance(interrupts.remembered, Interrupted)
    assert "cleaning up" in capsys.readouterr().err


class GoneTerminal(io.StringIO):
    """What stderr is after the terminal was closed."""

    def write(self, _: str) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_terminal_that_is_gone_does_not_disturb_the_cleaning_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", GoneTerminal())
    with Interrupts() as interrupts:
        with interrupts.shielded_after():
            assert interrupts.remembered is None
        os.kill(os.getpid(), signal.SIGINT)
        assert isinstance(interrupts.remembered, Interrupted)


def test_nohup_is_respected() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        with Interrupts(), pytest.raises(Interrupted, match="SIGHUP"):
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_afterwards_signals_mean_what_they_meant_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts() as interrupts:
        assert signal.getsignal(signal.SIGINT) != before
        assert interrupts.remembered is None
    assert signal.getsignal(signal.SIGINT) == before
