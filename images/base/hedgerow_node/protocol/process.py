"""Faults of a node's processes, which its own supervisor injects: the operations `inject` and `faults-done`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from hedgerow_node.control import JsonObject
from hedgerow_node.protocol.codec import AtLeast, Between, Message, wire_key

MAX_BURNERS = 4096  #: in one fault


@dataclass(frozen=True)
class ProcessFault(Message):
    """One occurrence of `fault`, due at `at_ns` and over at `until_ns` (None: when it is ended); CLOCK_MONOTONIC.

    `key` is what its report is known by. A restart and a garbage collection end by themselves, their `until_ns` is
    not looked at. `burners` is for cpu-stress alone.
    """

    key: str
    fault: str
    at_ns: Annotated[int, AtLeast(0)]
    until_ns: int | None = None
    burners: Annotated[int, Between(1, MAX_BURNERS)] | None = None


@dataclass(frozen=True)
class ProcessFaults(Message):
    """The request `inject`: faults to plan, in addition to those planned before."""

    faults: tuple[ProcessFault, ...]


@dataclass(frozen=True)
class ProcessFaultReport(Message):
    """What was planned, when it was applied and undone (None: it was not), and what shows that it happened.

    What `evidence` holds depends on the kind of fault; `error` in it is what the kernel refused.
    """

    key: str
    fault: str
    at_ns: int
    applied_ns: int | None = None
    until_ns: int | None = None
    undone_ns: int | None = None
    evidence: JsonObject = field(default_factory=dict, metadata=wire_key("proof"))


@dataclass(frozen=True)
class ProcessFaultReports(Message):
    """The answer to `faults-done`, in the order in which the faults were planned; each is reported once."""

    reports: tuple[ProcessFaultReport, ...] = field(metadata=wire_key("faults"))
