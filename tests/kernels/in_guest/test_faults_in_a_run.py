"""A whole run on a kernel with netem and control groups of the second version, neither of which every host has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.host.cgroups import CPU, handed_down, hierarchy_of
from support.fault_run import run_with_faults, write_fault_scenario

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.once]

#: With an instruction a nanosecond everything that the orchestrator does at a fault's time takes long.
FAULTS = (
    "fault: freeze, target: server-0, at: 200ms, duration: 200ms",
    "fault: cpu-stress, target: server-1, at: 500ms, duration: 500ms",
    "fault: cpu-quota, target: server-1, at: 500ms, duration: 500ms, percent: 20",
    "fault: partition, target: server-0, at: 1s, duration: 1s, model: netem",
    "fault: rate, target: server-1, at: 1s, duration: 1s, rate: 1mbit",
    "fault: reorder, target: server-2, at: 1s, duration: 1s, percent: 20%, delay: 20ms",
)


def test_netem_and_the_second_versions_control_groups_do_as_they_are_told(tmp_path: Path) -> None:
    tree = hierarchy_of(CPU)
    assert tree is not None
    assert tree.version == 2
    handed_down_before = handed_down(tree)
    faulty = run_with_faults(write_fault_scenario(tmp_path, *FAULTS, requests=500), tmp_path / "results")
    assert {record["fault"]: record["proven"] for record in faulty.records()} == {
        "freeze": True,
        "cpu-stress": True,
        "cpu-quota": True,
        "partition": True,
        "rate": True,
        "reorder": True,
    }
    planned = faulty.planned("partition", "server-0")
    lost = {id_ for id_ in faulty.sent_to_target(planned) if faulty.sample(id_)["outcome"] == "timeout"}
    # It comes and goes a moment late, so requests at either end may be affected or not.
    assert len(lost) >= 0.9 * len(faulty.sent_to_target(planned))
    assert not any(faulty.received(id_, 0) for id_ in lost)
    assert handed_down(tree) == handed_down_before
