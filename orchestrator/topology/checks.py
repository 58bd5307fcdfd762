"""What `doctor` reports: one check a thing looked at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a check came out: `MISSING` keeps runs from starting, `WARNING` costs precision or one of the backends."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"


@dataclass(frozen=True)
class Check:
    """One thing looked at."""

    name: str
    state: State
    found: str
    remedy: str = ""
