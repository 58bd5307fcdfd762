"""Property-based tests look at the same examples everywhere and under no time limit: a busy host is no failure."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import settings

from native_runs import build
from unit.fault_stage import Clock

settings.register_profile("hedgerow", deadline=None, derandomize=True, database=None)
settings.load_profile("hedgerow")


@pytest.fixture(scope="session", params=["plain", "sanitised"])
def native(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the client's compiled programs: as they are used, and watched by the compiler's sanitisers."""
    return build(tmp_path_factory.mktemp(request.param), sanitised=request.param == "sanitised")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """In place of CLOCK_MONOTONIC, for the tests of faults: a busy host is no matter of theirs."""
    made = Clock()
    monkeypatch.setattr(time, "monotonic_ns", lambda: made.now_ns)
    return made
