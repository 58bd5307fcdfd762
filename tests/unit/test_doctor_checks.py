"""The doctor names what is missing and what would help."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from typing import Any

import pytest

from orchestrator.doctor import examine
from orchestrator.doctor.checks import Check, State, look_at_hedger


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


def engines_found(monkeypatch: pytest.MonkeyPatch, **offers: Any) -> dict[str, Check]:
    """What is said of the engines on a kernel that has `offers` of each."""
    done = subprocess.CompletedProcess([], 0, json.dumps({"engines": offers}), "")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    return {check.name: check for check in look_at_hedger()}


ABSENT = "Specified qdisc kind is unknown"


def test_each_engine_says_what_it_needs_and_has(monkeypatch: pytest.MonkeyPatch) -> None:
    found = engines_found(
        monkeypatch,
        clone={"programs": None, "delay_lines": {"netem": ABSENT, "fq": ABSENT, "htb": None}},
        queue={"programs": None, "delay_lines": {"fq": None, "htb": None}},
    )
    clone, queue = found["engine clone"], found["engine queue"]
    assert (clone.state, queue.state) == (State.OK, State.OK)
    assert clone.found == "programs load, delay line htb (one of netem, fq, htb is needed)"
    assert queue.found == "programs load, delay line fq, htb (one of fq, htb is needed)"


def test_one_engine_that_works_is_enough_and_the_other_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = {"fq": ABSENT, "htb": ABSENT}
    queue = {"programs": None, "delay_lines": lines}
    found = engines_found(monkeypatch, clone={"programs": None, "delay_lines": {"netem": None, **lines}}, queue=queue)
    assert (found["engine clone"].state, found["engine queue"].state) == (State.OK, State.WARNING)
    assert "none" in found["engine queue"].found
    assert "extra modules" in found["engine queue"].remedy
    refused = {"programs": "the verifier: too many states", "delay_lines": {"htb": None}}
    found = engines_found(monkeypatch, clone=refused, queue=queue)
    assert {check.state for check in found.values()} == {State.MISSING}
    assert found["engine clone"].found == "the verifier: too many states"
