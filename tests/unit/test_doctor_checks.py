"""The doctor names what is missing and what would help."""

from __future__ import annotations

import platform
import shutil

import pytest

from orchestrator.doctor import examine
from orchestrator.doctor.checks import Check, State


def checks() -> dict[str, Check]:
    return {check.name: check for check in examine()}


def test_every_check_that_is_not_all_right_has_a_remedy() -> None:
    for check in examine():
        assert check.state is State.OK or check.remedy, check.name


def test_without_root_the_hedger_is_not_even_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    found = checks()
    assert found["root"].state is State.MISSING
    assert "sudo" in found["root"].remedy
    assert found["eBPF programs"].found == "not tried without root"


@pytest.mark.parametrize(
    ("release", "state"), [("5.4.0-1", State.MISSING), ("5.10.0", State.OK), ("6.1.0-x", State.OK)]
)
def test_kernels_before_5_10_are_too_old(monkeypatch: pytest.MonkeyPatch, release: str, state: State) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(platform, "release", lambda: release)
    assert checks()["kernel"].state is state


def test_a_missing_tool_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "which", lambda tool: None if tool == "tc" else f"/sbin/{tool}")
    found = checks()["iproute2"]
    assert (found.state, found.found, found.remedy) == (State.MISSING, "no tc", "apt install iproute2")


def test_a_busy_host_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("os.getloadavg", lambda: (64.0, 64.0, 64.0))
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    assert checks()["load"].state is State.WARNING
