"""Taking a topology down: every step is taken, even where one before it fails, and the failure is raised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import RunError
from orchestrator.host.audit import remaining
from orchestrator.host.live import LiveRun
from orchestrator.host.undo import carry_out
from orchestrator.runfolder.folder import RunFolder
from orchestrator.runfolder.journal import Journal, RemoveCgroups, Undo
from orchestrator.topology import netns
from orchestrator.topology.base import Layout
from orchestrator.topology.netns import NetnsTopology

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root


def test_a_step_that_fails_keeps_no_other_from_being_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder.create(tmp_path, "example")
    folder.log.touch()
    run_id = folder.name.rsplit("-", 1)[1]
    live, journal = LiveRun(run_id), Journal(folder.journal)
    topology = NetnsTopology(Layout(port=9000, freezes=True), live, journal, folder)
    live.open(folder.journal)
    groups = RemoveCgroups(run_id)

    def refusing(undo: Undo) -> None:
        if undo == groups:
            raise RunError("the control groups are busy")
        carry_out(undo)

    try:
        topology.up()
        monkeypatch.setattr(netns, "carry_out", refusing)
        with pytest.raises(RunError, match="busy"):
            topology.down()
        left = remaining(run_id)
    finally:
        carry_out(groups)
        live.close()
        journal.close()
    assert {leftover.rpartition(" ")[0] for leftover in left} == {"control group"}, left
    assert remaining(run_id) == []
