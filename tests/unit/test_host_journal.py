"""What is written before a change is made is enough to undo it, and asks for nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.errors import LeftoversError
from orchestrator.host import undo as undo_module
from orchestrator.host.journal import Journal, undos
from orchestrator.host.undo import carry_out, carry_out_for, delete_namespace, end_processes, remove_project

if TYPE_CHECKING:
    from pathlib import Path

RUN_ID, OTHER = "0123ab", "cd4567"


def test_the_last_change_is_undone_first(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    for name in ("one", "two"):
        journal.change(f"make {name}", delete_namespace(name))
    journal.note("block", order=0)
    journal.close()
    assert [undo["name"] for undo in undos(tmp_path / "journal.jsonl")] == ["two", "one"]


def test_a_line_cut_off_by_the_end_of_its_writer_was_no_change(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.change("make one", delete_namespace("one"))
    journal.change("make two", delete_namespace("two"))
    journal.close()
    path.write_bytes(path.read_bytes()[:-20])
    assert [undo["name"] for undo in undos(path)] == ["one"]


def test_an_undo_may_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {f"hr-{RUN_ID}-client"}
    monkeypatch.setattr(undo_module, "exists", there.__contains__)
    monkeypatch.setattr(undo_module, "delete", there.remove)
    for _ in range(2):
        carry_out(delete_namespace(f"hr-{RUN_ID}-client"))
    assert there == set()


@pytest.mark.parametrize("undo", [{"do": "restore-sysctl", "name": "x"}, {"do": "remove-directory", "path": "/etc"}])
def test_an_undo_of_another_version_is_refused_rather_than_passed_over(undo: dict[str, Any]) -> None:
    with pytest.raises(LeftoversError, match="unknown undo"):
        carry_out(undo)


@pytest.mark.parametrize(
    "undo",
    [
        delete_namespace(f"hr-{OTHER}-client"),
        delete_namespace("somebody-elses"),
        end_processes(OTHER),
        remove_project(OTHER),
    ],
)
def test_a_journal_undoes_nothing_of_another_run(undo: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder it lies in belongs to whoever owns the results, and what it asks for is done as root."""
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(undo_module, "carry_out", asked.append)
    with pytest.raises(LeftoversError, match="not its own"):
        carry_out_for(RUN_ID, undo)
    assert asked == []
    own = {"run": RUN_ID} if "run" in undo else {"name": f"hr-{RUN_ID}-client"}
    carry_out_for(RUN_ID, {**undo, **own})
    assert len(asked) == 1


@pytest.mark.parametrize("name", ["somebody-elses", f"hr-{RUN_ID}-../x", f"hr-{RUN_ID}-"])
def test_only_network_namespaces_of_runs_are_deleted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undo_module, "exists", lambda _: True)
    monkeypatch.setattr(undo_module, "delete", lambda name: pytest.fail(f"{name} is deleted"))
    with pytest.raises(LeftoversError, match="no run's network namespace"):
        carry_out(delete_namespace(name))
