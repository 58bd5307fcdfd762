"""The hedger as a user starts it by hand, on the client's interface, with each engine that it offers."""

from __future__ import annotations

import json
import re
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from hedgerow_hedger.programs import BPF_SOURCES
from hedgerow_node.protocol.hedger import Engine, HedgerStatistics
from hedgerow_node.units import NS_PER_MS
from orchestrator.bench.dns_load import PORT
from orchestrator.bench.stage import CLIENT
from orchestrator.errors import PrerequisiteError, RunError
from orchestrator.topology.bridged import INTERFACE, server_address
from orchestrator.topology.programs import HEDGER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.bench.stage import Program, Stage

DELAY_NS = 10 * NS_PER_MS
_START_TIMEOUT_S = 60.0  #: compiling takes a second here, many under emulation
_POLL_S = 0.02
_NEVER = "1000min"  #: statistics are printed once, at the end
_READY = "hedger: hedge on "
_NOT_ARMED = "requests not armed"


class Working:
    """A hedger at work; `statistics` are there once it has ended."""

    def __init__(self, program: Program) -> None:
        self._program = program

    @property
    def pid(self) -> int:
        """Its process, which holds the programs."""
        return self._program.pid

    @property
    def said(self) -> str:
        """What it said when it was ready, engine and delay line included."""
        lines = self._program.stderr.splitlines()
        return next((line.removeprefix("hedger: ") for line in lines if line.startswith(_READY)), "")

    def finish(self) -> HedgerStatistics:
        """Ends it, in order, and returns what it counted; RunError where it had failed."""
        lines = self._program.end().splitlines()
        if not lines:
            raise RunError(f"the hedger ended without statistics: {self._program.words}", "see the words above")
        return HedgerStatistics.from_json(json.loads(lines[-1]))


@contextmanager
def hedger(stage: Stage, engine: str) -> Iterator[Working]:
    """A hedger for server 0 whose hedges go to server 1, ready while entered.

    PrerequisiteError, with the hedger's own words, where it does not offer the engine or the host cannot run it.
    """
    words = [sys.executable, *HEDGER, "--interface", INTERFACE, "--engine", engine, "--stats", _NEVER]
    words += ["--service", f"{server_address(0)}:{PORT}", "--replica", f"{server_address(1)}:{PORT}"]
    words += ["--delay", f"{DELAY_NS}ns", "--request-id", "0:2"]
    with stage.running(CLIENT, f"hedger-{engine}", words) as program:
        working = Working(program)
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while not working.said:
            if not program.is_running or time.monotonic() > deadline_s:
                raise PrerequisiteError(
                    f"engine {engine}: {program.words}", "orchestrator doctor says what is missing"
                )
            time.sleep(_POLL_S)
        yield working


def offered(stage: Stage) -> tuple[tuple[str, ...], dict[str, str]]:
    """The engines that the hedger runs here, each asked by starting it, and the others with the hedger's words."""
    runs, refused = [], {}
    for engine in (name for name in get_args(Engine) if name != "auto"):
        try:
            with hedger(stage, engine) as working:
                working.finish()
        except PrerequisiteError as error:
            refused[engine] = error.message
        else:
            runs.append(engine)
    return tuple(runs), refused


def reasons_not_armed() -> tuple[str, ...]:
    """The counters whose meaning, in the programs' sources, is a reason why a request was not armed."""
    text = (BPF_SOURCES / "counters.h").read_text(encoding="utf-8")
    return tuple(re.findall(rf'^\s*X\((\w+),\s*"{_NOT_ARMED}', text, re.MULTILINE))


@dataclass(frozen=True)
class Armed:
    """How many requests the programs saw and armed, and why others were not, by counter; those above 0 only."""

    requests: int
    armed: int
    not_armed: dict[str, int]

    @classmethod
    def of(cls, counters: Mapping[str, int]) -> Armed:
        """From the hedger's counters."""
        reasons = {name: counters[name] for name in reasons_not_armed() if counters.get(name)}
        return cls(counters["requests"], counters["armed"], reasons)
