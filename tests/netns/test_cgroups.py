"""Control groups of this host's kernel: what is inside really stands still or is throttled, and gets out alive."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.host import cgroups
from orchestrator.host.audit import leftovers
from orchestrator.host.cgroups import CPU, FREEZER, Group, Hierarchy, group_name, groups_of, hierarchies, prepare
from orchestrator.host.undo import carry_out
from orchestrator.runfolder.journal import ReleaseCpuController, RemoveCgroups
from support.scenario_files import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

RUN_ID = "0c60ff"
BURN = "while True: pass"


@pytest.fixture
def burner() -> Iterator[subprocess.Popen[bytes]]:
    """A process that computes."""
    process = subprocess.Popen([sys.executable, "-c", BURN])
    yield process
    process.kill()
    process.wait()
    carry_out(RemoveCgroups(RUN_ID))


def cpu_ticks(pid: int) -> int:
    """User and system time of a process."""
    words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(words[11]) + int(words[12])


def enter(group: Group, pid: int) -> None:
    for entrance in group.entrances:
        entrance.write_text(str(pid))


def freezers() -> list[Hierarchy]:
    return [tree for tree in hierarchies() if FREEZER in tree.controllers]


@pytest.mark.parametrize("tree", freezers(), ids=lambda tree: f"v{tree.version}")
def test_what_is_frozen_stands_still_and_is_given_back(tree: Hierarchy, burner: subprocess.Popen[bytes]) -> None:
    group = Group(group_name(RUN_ID, "client"), {FREEZER: tree})
    group.make()
    enter(group, burner.pid)
    assert not group.frozen
    group.freeze()
    assert group.frozen
    before = cpu_ticks(burner.pid)
    time.sleep(0.2)
    assert cpu_ticks(burner.pid) == before
    assert leftovers(RUN_ID) == [f"control group {path}" for path in groups_of(RUN_ID)] != []
    carry_out(RemoveCgroups(RUN_ID))
    assert groups_of(RUN_ID) == []
    wait_for(lambda: cpu_ticks(burner.pid) > before, "the burner burns again")


def test_what_is_limited_is_throttled_until_the_limit_is_lifted(burner: subprocess.Popen[bytes]) -> None:
    group = prepare(group_name(RUN_ID, "client"), frozenset({CPU}))
    tree = cgroups.hierarchy_of(CPU)
    assert tree is not None
    handed_down = cgroups.handed_down(tree)
    group.make()
    enter(group, burner.pid)
    group.limit(5)
    wait_for(lambda: group.throttled >= 5, "throttled periods")
    group.limit(None)
    time.sleep(0.2)  # what is left of the last period
    throttled = group.throttled
    before = cpu_ticks(burner.pid)
    wait_for(lambda: cpu_ticks(burner.pid) > before + 20, "the burner burns as it likes")
    assert group.throttled == throttled
    carry_out(RemoveCgroups(RUN_ID))
    carry_out(ReleaseCpuController())
    assert cgroups.handed_down(tree) == handed_down


def test_making_and_removing_a_group_may_be_repeated() -> None:
    group = prepare(group_name(RUN_ID, "server-0"), frozenset({FREEZER}))
    group.make()
    group.make()
    for _ in range(2):
        carry_out(RemoveCgroups(RUN_ID))
        assert groups_of(RUN_ID) == []
