"""Undoing what is in a Docker engine: nothing is taken for gone unless the engine says so."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import requests
from docker.errors import APIError

from orchestrator.errors import LeftoversError
from orchestrator.host import engine as engine_module
from orchestrator.host import locks
from orchestrator.host import undo as undo_module
from orchestrator.host.audit import leftovers
from orchestrator.host.engine import EngineFacts, NoEngineError, engine_facts, things_of
from orchestrator.host.live import LiveRun, clear_dead_runs
from orchestrator.host.undo import by_marks, carry_out
from orchestrator.runfolder.journal import Journal, ReleaseContainers, RemoveProject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RUN_ID = "0123ab"


def refusal(status: int) -> APIError:
    response = requests.Response()
    response.status_code = status
    return APIError("the engine fails", response=response)


class FakeEngine:
    """An engine with one container; `listing` and `removing` are what becomes of those requests."""

    def __init__(self) -> None:
        self.there, self.listed = True, 0
        self.listing: Callable[[], None] = lambda: None
        self.removing: Callable[[], None] = self._gone
        self.networks = self.volumes = SimpleNamespace(list=lambda **_: [])
        self.containers = SimpleNamespace(list=self._list, get=self._get)
        self.released: list[str] = []
        self.failing = ""

    def _gone(self) -> None:
        self.there = False

    def _list(self, **_: Any) -> list[Any]:
        self.listed += 1
        self.listing()
        container = SimpleNamespace(attrs={"Names": ["/one"]}, remove=lambda **_: self.removing())
        return [container] if self.there else []

    def _get(self, container_id: str) -> Any:
        if container_id == self.failing:
            raise refusal(500)
        return SimpleNamespace(status="running", update=lambda **_: self.released.append(container_id))


def answer(monkeypatch: pytest.MonkeyPatch, client: FakeEngine | None) -> None:
    @contextmanager
    def engine() -> Iterator[Any]:
        yield client

    monkeypatch.setattr(engine_module, "engine", engine)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    made = FakeEngine()
    answer(monkeypatch, made)
    monkeypatch.setattr(undo_module, "_REMOVE_TIMEOUT_S", 0.1)
    return made


@pytest.mark.parametrize("undo", [RemoveProject(RUN_ID), ReleaseContainers(("one",))])
def test_without_an_engine_the_journals_undos_are_not_done(
    undo: RemoveProject | ReleaseContainers, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, None)
    with pytest.raises(NoEngineError, match="no Docker engine answers"):
        carry_out(undo)


def test_a_dead_run_with_containers_stays_until_an_engine_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "ROOT", tmp_path / "run")
    journal = Journal(tmp_path / "journal.jsonl")
    journal.change("make containers", RemoveProject(RUN_ID))
    run = LiveRun(RUN_ID)
    run.open(tmp_path / "journal.jsonl")
    run.release()
    answer(monkeypatch, None)
    assert "no Docker engine answers" in clear_dead_runs().failed[RUN_ID].message
    assert run.path.exists()
    answer(monkeypatch, FakeEngine())
    assert clear_dead_runs().runs == [RUN_ID]
    assert not run.path.exists()


def test_a_host_without_an_engine_has_no_containers_of_runs_in_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, None)
    by_marks(RUN_ID)
    assert leftovers(RUN_ID) == []


def test_a_project_is_removed(fake: FakeEngine) -> None:
    carry_out(RemoveProject(RUN_ID))
    assert not fake.there


def test_a_project_that_cannot_be_removed_is_an_error(fake: FakeEngine) -> None:
    fake.removing = lambda: None
    with pytest.raises(LeftoversError, match="container one: not removed"):
        carry_out(RemoveProject(RUN_ID))


@pytest.mark.parametrize("error", [refusal(500), requests.ReadTimeout("too slow")], ids=["refused", "silent"])
def test_an_engine_that_fails_once_is_asked_again(fake: FakeEngine, error: Exception) -> None:
    def once() -> None:
        if fake.listed == 1:
            raise error

    fake.listing = once
    carry_out(RemoveProject(RUN_ID))
    assert not fake.there


@pytest.mark.parametrize("error", [refusal(500), requests.ReadTimeout("too slow")], ids=["refused", "silent"])
def test_an_engine_that_keeps_failing_is_reported_as_the_cause(fake: FakeEngine, error: Exception) -> None:
    def always() -> None:
        raise error

    fake.listing = always
    with pytest.raises(LeftoversError, match="the Docker engine: "):
        carry_out(RemoveProject(RUN_ID))
    with pytest.raises(LeftoversError, match="the Docker engine: "):
        things_of(RUN_ID)
    assert leftovers(RUN_ID) == []
    fake.listing, fake.removing = lambda: None, always
    with pytest.raises(LeftoversError, match="the Docker engine: "):
        carry_out(RemoveProject(RUN_ID))


def test_all_containers_are_released_though_one_cannot_be(fake: FakeEngine) -> None:
    fake.failing = "two"
    with pytest.raises(LeftoversError, match="the Docker engine: "):
        carry_out(ReleaseContainers(("one", "two", "three")))
    assert sorted(fake.released) == ["one", "three"]


def test_what_an_engine_reports_about_itself() -> None:
    client: Any = SimpleNamespace(
        version=lambda: {"Version": "27.1", "ApiVersion": "1.46", "Components": [{"Name": "runc", "Version": "1.1"}]},
        info=lambda: {"DefaultRuntime": "runc", "SecurityOptions": ["name=seccomp"], "CgroupVersion": "2"},
    )
    assert engine_facts(client) == EngineFacts(
        version="27.1",
        api="1.46",
        components={"runc": "1.1"},
        runtime="runc",
        storage_driver=None,
        cgroup_driver=None,
        cgroup_version="2",
        security=("name=seccomp",),
    )
