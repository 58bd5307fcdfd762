"""Run folders: their names, finding one, and whose they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from orchestrator.errors import UsageError
from orchestrator.plan.blocks import Block
from orchestrator.runfolder.folder import RUN_NAME, RunFolder, find_run, list_runs, run_name

NOW = datetime(2026, 3, 1, 12, 30, 5, tzinfo=UTC)


def test_a_run_is_named_after_scenario_time_and_token() -> None:
    assert run_name("paper", NOW, "0a1b2c") == "paper-20260301T123005Z-0a1b2c"


def test_names_are_in_utc_wherever_the_run_was() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=-8)))
    assert run_name("paper", elsewhere, "0a1b2c") == run_name("paper", NOW, "0a1b2c")


def test_a_new_folder_makes_its_way_and_says_where_blocks_leave_their_rows(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "results" / "here", "app-test", NOW)
    match = RUN_NAME.fullmatch(folder.name)
    assert match is not None
    assert match["scenario"] == "app-test"
    assert folder.raw.is_dir()
    block = Block(7, "app-seed", 3, 0, 10, 2**31, 0)
    assert folder.raw_samples(block).relative_to(folder.path) == Path("raw/007-app-seed-03.samples")
    assert folder.raw_copies(block, 2).name == "007-app-seed-03.copies-2"
    assert folder.raw_hedges(block).name == "007-app-seed-03.hedges"


def test_what_a_discarded_attempt_left_is_not_where_the_next_one_leaves_its_rows(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "paper", NOW)
    block, other = Block(7, "kernel", 3, 0, 10, 2**31, 0), Block(8, "kernel", 3, 0, 10, 2**31, 0)
    left = [folder.raw_samples(block), folder.raw_hedges(block), *(folder.raw_copies(block, n) for n in range(3))]
    for path in (*left, folder.raw_samples(other)):
        path.write_bytes(b"rows")
    folder.set_aside(block, 12)
    assert not any(path.exists() for path in left)
    assert {path.name for path in (folder.raw / "discarded-12").iterdir()} == {path.name for path in left}
    assert folder.raw_samples(other).exists()


def test_a_folder_belongs_to_whom_the_results_belong(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "results", "paper", NOW)
    folder.log.write_text("hello")
    folder.give_to_owner()
    owner = tmp_path.stat()
    for path in (folder.path.parent, folder.path, folder.raw, folder.log):
        assert (path.stat().st_uid, path.stat().st_gid) == (owner.st_uid, owner.st_gid)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Three runs and a folder that is none."""
    for name in ("smoke-20260302T000000Z-aaaa01", "paper-20260301T000000Z-bbbb01", "paper-20260303T000000Z-bbbb02"):
        (tmp_path / name).mkdir()
    (tmp_path / "notes").mkdir()
    return tmp_path


def test_runs_are_listed_by_time_whatever_their_scenario(results: Path) -> None:
    assert [run.name[-6:] for run in list_runs(results)] == ["bbbb01", "aaaa01", "bbbb02"]


def test_no_folder_no_runs(tmp_path: Path) -> None:
    assert list(list_runs(tmp_path / "nowhere")) == []


@pytest.mark.parametrize(
    ("wanted", "token"),
    [("last", "bbbb02"), ("smoke", "aaaa01"), ("bbbb01", "bbbb01"), ("paper-20260303T000000Z-bbbb02", "bbbb02")],
)
def test_a_run_is_found_by_what_only_it_has(results: Path, wanted: str, token: str) -> None:
    assert find_run(results, wanted).name.endswith(token)


def test_a_run_is_found_by_its_path(results: Path, tmp_path: Path) -> None:
    path = results / "smoke-20260302T000000Z-aaaa01"
    assert find_run(tmp_path / "elsewhere", str(path)).path == path


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("paper", "paper fits 2 runs: paper-20260301T000000Z-bbbb01, paper-20260303T000000Z-bbbb02"),
        ("proxy", "is called proxy"),
        ("./proxy", "./proxy is not a folder"),
    ],
)
def test_what_is_no_single_run_is_refused(results: Path, wanted: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find_run(results, wanted)


def test_there_is_no_last_run_before_the_first(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no run in"):
        find_run(tmp_path, "last")
