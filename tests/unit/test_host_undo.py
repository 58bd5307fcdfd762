"""What a journal says is undone, as often as asked, and nothing of another run."""

from __future__ import annotations

import pytest

from orchestrator.errors import LeftoversError
from orchestrator.host import undo as undo_module
from orchestrator.host.undo import carry_out, carry_out_for
from orchestrator.runfolder.journal import DeleteNamespace, EndProcesses, RemoveProject, Undo, UnknownUndo

RUN_ID, OTHER = "0123ab", "cd4567"


def test_an_undo_may_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {f"hr-{RUN_ID}-client"}
    monkeypatch.setattr(undo_module, "exists", there.__contains__)
    monkeypatch.setattr(undo_module, "delete", there.remove)
    for _ in range(2):
        carry_out(DeleteNamespace(f"hr-{RUN_ID}-client"))
    assert there == set()


@pytest.mark.parametrize("do", [carry_out, lambda undo: carry_out_for(RUN_ID, undo)])
def test_an_undo_of_another_version_is_refused_rather_than_passed_over(do: object) -> None:
    assert callable(do)
    with pytest.raises(LeftoversError, match="unknown undo"):
        do(UnknownUndo({"do": "restore-sysctl", "name": "x"}))


@pytest.mark.parametrize(
    ("undo", "own"),
    [
        (DeleteNamespace(f"hr-{OTHER}-client"), DeleteNamespace(f"hr-{RUN_ID}-client")),
        (DeleteNamespace("somebody-elses"), DeleteNamespace(f"hr-{RUN_ID}-client")),
        (EndProcesses(OTHER), EndProcesses(RUN_ID)),
        (RemoveProject(OTHER), RemoveProject(RUN_ID)),
    ],
)
def test_a_journal_undoes_nothing_of_another_run(undo: Undo, own: Undo, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder it lies in belongs to whoever owns the results, and what it asks for is done as root."""
    asked: list[Undo] = []
    monkeypatch.setattr(undo_module, "carry_out", asked.append)
    with pytest.raises(LeftoversError, match="not its own"):
        carry_out_for(RUN_ID, undo)
    assert asked == []
    carry_out_for(RUN_ID, own)
    assert asked == [own]


@pytest.mark.parametrize("name", ["somebody-elses", f"hr-{RUN_ID}-../x", f"hr-{RUN_ID}-"])
def test_only_network_namespaces_of_runs_are_deleted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undo_module, "exists", lambda _: True)
    monkeypatch.setattr(undo_module, "delete", lambda name: pytest.fail(f"{name} is deleted"))
    with pytest.raises(LeftoversError, match="not a network namespace of a run"):
        carry_out(DeleteNamespace(name))
