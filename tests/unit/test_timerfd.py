"""The kernel's timer as a descriptor: not before its time, and at once where that has passed."""

from __future__ import annotations

import select

import pytest

from hedgerow_node.clock import now_ns
from hedgerow_node.poller import TimerFd
from hedgerow_node.units import NS_PER_MS, NS_PER_S

PATIENCE_S = 10


def readable(timer: TimerFd, patience_s: float) -> bool:
    return bool(select.select([timer.fileno()], [], [], patience_s)[0])


@pytest.mark.parametrize("due_ns", [-660 * NS_PER_S, -1, 0, 1, NS_PER_S])
def test_what_has_passed_is_due_at_once_also_what_passed_before_the_clock_began(due_ns: int) -> None:
    """A host that has just started has a small clock, and eleven minutes ago is a negative time there."""
    timer = TimerFd()
    timer.set(due_ns)
    assert readable(timer, PATIENCE_S)


def test_it_is_not_readable_before_its_time_and_stays_so_afterwards() -> None:
    timer = TimerFd()
    assert not readable(timer, 0)
    due_ns = now_ns() + 50 * NS_PER_MS
    timer.set(due_ns)
    assert readable(timer, PATIENCE_S)
    assert now_ns() >= due_ns
    assert readable(timer, 0)


def test_it_can_be_set_anew() -> None:
    timer = TimerFd()
    timer.set(1)
    timer.set(now_ns() + 3600 * NS_PER_S)
    assert not readable(timer, 0)
