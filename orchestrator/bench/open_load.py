"""Starts the clients that ask at a fixed rate, and reads what they report."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from hedgerow_node.units import NS_PER_S
from orchestrator.bench.dns_load import PORT
from orchestrator.bench.open_arrivals import PATIENCE_NS, Arrivals
from orchestrator.bench.stage import CLIENT
from orchestrator.bench.wakeups import Wakeups
from orchestrator.topology.bridged import server_address

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from orchestrator.bench.stage import Program, Stage

_PATIENCE_S = 30.0


def open_arrivals(stage: Stage, rate: int, seconds: float) -> Arrivals:
    """Asks server 0 at a fixed rate; see `orchestrator.bench.open_arrivals`."""
    words = [server_address(0), str(PORT), str(rate), f"{seconds:g}"]
    command = [sys.executable, "-P", "-m", "orchestrator.bench.open_arrivals", *words]
    patience_s = seconds + PATIENCE_NS / NS_PER_S + _PATIENCE_S
    return Arrivals(**json.loads(stage.run(CLIENT, "open-arrivals", command, patience_s)))


def waking_up(stage: Stage, seconds: float) -> AbstractContextManager[Program]:
    """The observer of wake-ups, at work while entered."""
    command = [sys.executable, "-P", "-m", "orchestrator.bench.wakeups", f"{seconds:g}"]
    return stage.running(CLIENT, "wakeups", command)


def woken(program: Program, seconds: float) -> Wakeups:
    """What the observer of wake-ups reports, once it is done."""
    return Wakeups(**json.loads(program.wait(seconds + _PATIENCE_S)))
