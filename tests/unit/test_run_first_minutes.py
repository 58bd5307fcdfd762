"""What a new user meets first: images that are missing, and the last lines of `docker compose up`."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import pytest

from orchestrator.cli import run
from orchestrator.commands import pipeline
from orchestrator.commands import run as run_module
from orchestrator.errors import PrerequisiteError, RunError, UsageError
from orchestrator.host import locks
from orchestrator.topology import backends, images
from orchestrator.topology.backends import choose
from support.run_folder_factory import ROOT, raw_run, scenario_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orchestrator.runfolder.folder import RunFolder

SMOKE = str(ROOT / "scenarios" / "smoke.yaml")
MISSING = ["hedgerow-server", "hedgerow-client", "hedgerow-hedger"]


class FakeEngine:
    """An engine without images, until they are built."""

    def __init__(self) -> None:
        self.here: list[str] = []

    def build(self, _client: object, offline: bool, say: Callable[[str], None]) -> None:
        assert not offline
        say("building")
        self.here = MISSING

    @property
    def images(self) -> Any:
        return MagicMock(list=lambda: [MagicMock(tags=[f"{name}:latest"]) for name in self.here])


@pytest.fixture
def bare_engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    monkeypatch.delenv("HEDGEROW_INSIDE", raising=False)
    made = FakeEngine()
    monkeypatch.setattr(backends, "engine", lambda: nullcontext(made))
    monkeypatch.setattr(backends, "build_images", made.build)
    return made


@pytest.mark.parametrize("wanted", ["auto", "docker"])
def test_images_that_are_missing_are_built_where_that_is_asked_for(bare_engine: FakeEngine, wanted: str) -> None:
    said: list[str] = []
    assert choose(wanted, build=said.append).name == "docker"
    assert said == ["building"]
    assert choose(wanted, build=said.append).name == "docker"
    assert said == ["building"]


def test_nothing_is_built_unasked(bare_engine: FakeEngine) -> None:
    chosen = choose("auto")
    assert (chosen.name, chosen.reason) == ("netns", f"no image {', '.join(MISSING)}")
    assert "`orchestrator images build`" in chosen.remedy
    with pytest.raises(PrerequisiteError, match="no image hedgerow-server") as caught:
        choose("docker")
    assert "`orchestrator images build`" in caught.value.remedy


def test_building_for_namespaces_makes_no_sense(bare_engine: FakeEngine) -> None:
    with pytest.raises(UsageError, match="--build has no effect with --backend netns"):
        choose("netns", build=print)


def test_building_without_an_engine_does_not_fall_back_to_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEDGEROW_INSIDE", raising=False)
    monkeypatch.setattr(backends, "engine", lambda: nullcontext(None))
    with pytest.raises(PrerequisiteError, match="no Docker engine answers"):
        choose("auto", build=print)
    assert choose("auto").name == "netns"


def test_an_installation_without_compose_yaml_runs_in_namespaces(
    bare_engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "ROOT", tmp_path)
    chosen = choose("auto")
    assert (chosen.name, chosen.reason) == ("netns", "this installation has no compose.yaml")


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        (
            "#1 [internal] load build definition\n#5 [server 1/3] FROM debian\n#6 [client 2/3] RUN make\n"
            "#5 [server 1/3] FROM debian\n#6 0.42 gcc -O2\n#6 DONE 0.5s\n",
            ["  [server 1/3] FROM debian", "  [client 2/3] RUN make"],
        ),
        (
            "Step 1/9 : FROM debian\n ---> 0123\nStep 2/9 : COPY a b\n",
            ["  Step 1/9 : FROM debian", "  Step 2/9 : COPY a b"],
        ),
    ],
    ids=["BuildKit", "the builder before it"],
)
def test_each_step_of_a_build_is_a_line(printed: str, said: list[str]) -> None:
    lines: list[str] = []
    images._step([sys.executable, "-c", f"print({printed!r}, end='')"], lines.append)
    assert lines == said


def test_a_build_that_fails_ends_with_its_last_line() -> None:
    failing = "import sys; print('#5 [a 1/2] RUN x'); print('no space left', file=sys.stderr); sys.exit(3)"
    with pytest.raises(PrerequisiteError, match=r"failed: no space left"):
        images._step([sys.executable, "-c", failing], lambda _: None)
    with pytest.raises(PrerequisiteError, match="no-such-tool is missing"):
        images._step(["no-such-tool"], lambda _: None)


class Measured:
    """Stands in for a run that was measured: a folder with raw records, made by the test."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder, self.leftovers = folder, list[str]()


@pytest.fixture
def smoke_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`orchestrator run` whose measuring is done already; the results folder."""
    results = tmp_path / "results"
    results.mkdir()

    def measure(*arguments: Any) -> Measured:
        folder = raw_run(results, scenario_from("smoke"))
        arguments[-1].last_line = str(folder.path)
        return Measured(folder)

    monkeypatch.setattr(run_module, "_measure", measure)
    monkeypatch.setattr(pipeline, "make_report", lambda data: data.run.folder.report.touch())
    monkeypatch.setattr(locks, "ROOT", tmp_path / "run")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return results


def test_auto_in_namespaces_though_an_engine_is_there_says_so_first(
    smoke_run: Path, bare_engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["run", SMOKE, "--no-report", "--json"])
    assert capsys.readouterr().err.splitlines()[0] == (
        "running in network namespaces, not in containers: no image hedgerow-server, hedgerow-client, "
        "hedgerow-hedger; `orchestrator images build` (or --build) makes them in about 2 min"
    )


@pytest.fixture
def in_compose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEDGEROW_INSIDE", "1")
    monkeypatch.setenv("HEDGEROW_HOST_RESULTS", "./results/")


STOP = "stop:    docker compose down -v (without --exit-code-from, the other containers are still up)"


@pytest.mark.parametrize("report", [True, False])
def test_compose_up_ends_with_verdict_report_and_how_to_stop(
    smoke_run: Path, in_compose: None, report: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["run", SMOKE, "--backend", "docker", *([] if report else ["--no-report"])])
    (folder,) = smoke_run.iterdir()
    verdict = {0: "supported", 1: "refuted", 3: "inconclusive"}[code]
    assert capsys.readouterr().err.splitlines()[-4:] == [
        str(folder),
        f"verdict: {verdict}",
        f"report:  ./results/{folder.name}{'/report.html' if report else ''}",
        STOP,
    ]


def test_in_compose_the_last_line_with_json_is_the_folder(
    smoke_run: Path, in_compose: None, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["run", SMOKE, "--backend", "docker", "--no-report", "--json"])
    (folder,) = smoke_run.iterdir()
    assert capsys.readouterr().err.splitlines()[-1] == str(folder)


def test_in_compose_a_run_that_failed_says_how_to_stop(
    in_compose: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def failing(*_: object) -> Iterator[None]:
        raise RunError("the hedger ended", "see log.txt")
        yield

    monkeypatch.setattr(run_module, "measuring", failing)
    assert run(["run", SMOKE, "--backend", "docker", "--results", str(tmp_path)]) == 5
    assert capsys.readouterr().err.splitlines()[-3:] == [STOP, "the hedger ended", "remedy: see log.txt"]


def test_outside_of_compose_nothing_is_said_of_stopping(
    smoke_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HEDGEROW_INSIDE", raising=False)
    run(["run", SMOKE, "--backend", "netns", "--no-report"])
    (folder,) = smoke_run.iterdir()
    assert capsys.readouterr().err.splitlines()[-1] == str(folder)


def test_compose_tells_the_container_what_the_results_are_called_on_the_host() -> None:
    text = (ROOT / "compose.yaml").read_text()
    assert 'HEDGEROW_HOST_RESULTS: "${HEDGEROW_RESULTS:-./results}"' in text
    assert "${HEDGEROW_RESULTS:-./results}:/hedgerow/results" in text
