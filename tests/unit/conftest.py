"""Property-based tests look at the same examples everywhere and under no time limit: a busy host is no failure."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from support.arms_scenarios import ARMS, SWEEP
from support.fault_harness import Clock
from support.native_runs import build
from support.node_programs import Server, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.figure import Figure

    from orchestrator.runfolder.folder import RunFolder

settings.register_profile("hedgerow", deadline=None, derandomize=True, database=None)
settings.load_profile("hedgerow")


@pytest.fixture(scope="session", params=["plain", "sanitised"])
def native(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the client's compiled programs: as they are used, and watched by the compiler's sanitisers."""
    return build(tmp_path_factory.mktemp(request.param), sanitised=request.param == "sanitised")


@pytest.fixture(scope="session")
def arms_run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run of two arms with faults, to be read and not to be changed."""
    return _finished(tmp_path_factory.mktemp("arms"), ARMS)


@pytest.fixture(scope="session")
def sweep_run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run over three values of one key, to be read and not to be changed."""
    return _finished(tmp_path_factory.mktemp("sweep"), SWEEP)


def _finished(folder: Path, text: str) -> RunFolder:
    from support.run_folder_factory import experiment_from, finished_run  # noqa: PLC0415 (most tests need no numpy)

    return finished_run(folder / "results", experiment_from(folder, text))


@pytest.fixture
def laid_out(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The plots that were drawn, by name; they are laid out as ever but neither rendered nor written.

    For tests of what is drawn of which run. That figures become files is proven where files are looked at.
    """
    names = []

    def lay_out(_: Path, name: str, figure: Figure) -> None:
        figure.draw_without_rendering()
        names.append(name)

    monkeypatch.setattr("orchestrator.report.plots.save", lay_out)
    return names


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """In place of CLOCK_MONOTONIC, for the tests of faults: a busy host is no matter of theirs."""
    made = Clock()
    monkeypatch.setattr(time, "monotonic_ns", lambda: made.now_ns)
    return made


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """The server's program, at work."""
    with running_server(tmp_path) as started:
        yield started


@pytest.fixture
def silent() -> Iterator[tuple[str, int]]:
    """Where a server listens that never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        yield deaf.getsockname()
