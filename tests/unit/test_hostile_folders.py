"""Run folders of others: nothing is written through a link, no script gets into a page, no folder breaks a list."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from orchestrator.cli import run
from orchestrator.runfolder.folder import RUN_NAME, RunFolder
from support.run_folder_factory import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

GOLDEN = ROOT / "tests" / "golden" / "0.1.0"
FOLDERS = sorted(path for path in GOLDEN.glob("*-*") if RUN_NAME.fullmatch(path.name))
CLOSED = next(GOLDEN.glob("closed-*"))
UNTOUCHED = "do not touch"
READ_OR_WRITTEN = (
    *("summary.json", "SHA256SUMS", "report.html", "samples.parquet", "hedges.parquet", "server.parquet"),
    *("scenario.yaml", "manifest.json", "journal.jsonl", "plots", "raw", "plots/latency-ccdf.svg"),
)
COMMANDS = (["analyze", "--no-report"], ["analyze"], ["report"], ["show"])


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A copy of a golden folder, in a results folder of its own."""
    return RunFolder(shutil.copytree(CLOSED, tmp_path / "results" / CLOSED.name))


@pytest.fixture
def results(folder: RunFolder) -> Path:
    return folder.path.parent


@pytest.mark.parametrize("name", READ_OR_WRITTEN)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_nothing_is_read_or_written_through_a_link(
    folder: RunFolder, command: list[str], name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = tmp_path / "victim"
    link = folder.path / name
    link.parent.mkdir(exist_ok=True)
    if link.exists():
        link.unlink()
    if "." in name or name == "SHA256SUMS":
        victim.write_text(UNTOUCHED)
    else:
        victim.mkdir()
    link.symlink_to(victim)
    assert run([*command, str(folder.path)]) == 5
    said = capsys.readouterr()
    assert f"{name} is a link" in said.err
    assert UNTOUCHED not in said.err + said.out
    assert victim.is_dir() or victim.read_text() == UNTOUCHED
    assert not victim.is_dir() or not list(victim.iterdir())


def test_a_pipe_in_place_of_a_file_is_not_waited_for(
    folder: RunFolder, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.summary.unlink()
    os.mkfifo(folder.summary)
    assert run(["show", str(folder.path)]) == 5
    assert "summary.json is a pipe or a device" in capsys.readouterr().err
    assert run(["ls", "--results", str(results)]) == 0
    assert "summary.json is a pipe" in capsys.readouterr().out


def test_a_link_in_place_of_the_index_or_a_comparison_is_replaced(folder: RunFolder, results: Path) -> None:
    victim = results.parent / "victim"
    victim.write_text(UNTOUCHED)
    (results / "index.html").symlink_to(victim)
    assert run(["report", "--index", "--results", str(results)]) == 0
    comparison = results / "comparisons" / f"{folder.name}--{folder.name}"
    comparison.mkdir(parents=True)
    for name in ("comparison.html", "compared-ccdf.svg", "compared-ccdf.png"):
        (comparison / name).symlink_to(victim)
    assert run(["compare", folder.name, folder.name, "--results", str(results)]) == 0
    assert victim.read_text() == UNTOUCHED
    assert not [path for path in results.rglob("*") if path.is_symlink()]


def test_a_comparison_is_not_written_where_a_link_leads(
    folder: RunFolder, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = results.parent / "elsewhere"
    elsewhere.mkdir()
    (results / "comparisons").symlink_to(elsewhere)
    assert run(["compare", folder.name, folder.name, "--results", str(results)]) == 2
    assert "is a link" in capsys.readouterr().err
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize("command", ["analyze", "report"])
def test_a_picture_that_was_not_drawn_now_does_not_get_into_the_page(folder: RunFolder, command: str) -> None:
    folder.plots.mkdir()
    script = '<svg viewBox="0 0 1 1"><script>alert(1)</script></svg>'
    for name in ("sweep", "latency-ccdf", "latency-ccdf-some-arm"):
        (folder.plots / f"{name}.svg").write_text(script)
    assert run([command, str(folder.path)]) in (0, 3)
    page = folder.report.read_text()
    assert "<script" not in page
    assert 'id="latency-ccdf"' in page
    assert 'id="sweep"' not in page


def _set(name: str, **keys: object) -> Callable[[Path], object]:
    def damage(path: Path) -> None:
        content = json.loads((path / name).read_text())
        (path / name).write_text(json.dumps({**content, **keys}))

    return damage


def _summary_as_folder(path: Path) -> None:
    (path / "summary.json").unlink()
    (path / "summary.json").mkdir()


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "claims are null": (_set("summary.json", claims=None), "claims is None"),
    "arms are null": (_set("summary.json", arms=None), "arms is None"),
    "no arms": (_set("summary.json", arms=[]), "arms is empty"),
    "a list as verdict": (_set("summary.json", verdict=["supported"]), "verdict is"),
    "a list as backend": (_set("summary.json", backend=["netns"]), "backend is"),
    "a manifest's arms are null": (_set("manifest.json", arms=None), "manifest.json cannot be read: arms is None"),
    "nested": (lambda path: (path / "summary.json").write_text("[" * 100_000), "summary.json cannot be read"),
    "nested value": (
        lambda path: (path / "summary.json").write_text('{"verdict":' * 900 + "1" + "}" * 900),
        "summary.json cannot be read",
    ),
    "not JSON": (lambda path: (path / "summary.json").write_bytes(b"\xff\xfe"), "summary.json cannot be read"),
    "a folder": (_summary_as_folder, "summary.json cannot be read"),
    "an impossible date": (
        lambda path: path.rename(path.with_name("closed-20269999T999999Z-0bcf76")),
        "its name has an impossible date",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_one_bad_folder_does_not_break_the_list(
    folder: RunFolder, results: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damage, words = DAMAGE[kind]
    other = shutil.copytree(CLOSED, results / CLOSED.name.replace("0bcf76", "aaaaaa"))
    damage(folder.path)
    assert run(["ls", "--results", str(results)]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert len(rows) == 2
    (bad,) = (row for row in rows if other.name not in row)
    assert "unreadable" in bad or "date" in bad or "manifest" in bad
    assert words[:40] in bad
    for key in ("time", "verdict", "claims", "engine"):
        assert run(["ls", "--results", str(results), "--sort", key, "--json"]) == 0
        listed = {entry["run"]: entry for entry in json.loads(capsys.readouterr().out)["runs"]}
        assert words in listed.pop(bad.split()[-1])["problem"]
        assert "problem" not in listed[other.name]
    assert run(["report", "--index", "--results", str(results)]) == 0
    assert words in (results / "index.html").read_text()


@pytest.mark.root
@pytest.mark.root  # becomes another user
def test_a_folder_that_may_not_be_read_is_a_row_too(folder: RunFolder, results: Path) -> None:
    """To another user, in a process of its own; root may read everything."""
    shutil.copytree(CLOSED, results / CLOSED.name.replace("0bcf76", "aaaaaa"))
    folder.path.chmod(0)
    script = (
        "import os, sys; from orchestrator.cli import run; from orchestrator.report.listing import write_index\n"
        "os.chdir(sys.argv[1]); os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "sys.exit(run(['ls', '--results', '.']) + run(['show', sys.argv[2], '--results', '.']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(results), folder.name], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    (bad,) = (line for line in done.stdout.splitlines() if folder.name in line)
    assert "unreadable" in bad
    assert "Permission denied" in bad + done.stderr


def test_control_characters_do_not_reach_the_terminal(
    folder: RunFolder, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\u202e\nnext"
    _set("summary.json", backend=evil, engine=evil, scenario=evil)(folder.path)
    for command in (["ls", "--results", str(results)], ["show", str(folder.path)]):
        assert run(command) == 0
        out = capsys.readouterr().out
        assert "owned" in out
        assert not set(out) & {"\x1b", "\x07", "\u202e"}
    _set("summary.json", verdict=evil)(folder.path)
    assert run(["show", str(folder.path)]) == 5
    assert not set(capsys.readouterr().err) & {"\x1b", "\x07", "\u202e"}


WRONG: tuple[object, ...] = (None, True, -1, 1e308, "x", "", [], [1], {}, {"a": None})


def _paths(value: object, way: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to each value in a JSON document; of long arrays only to the first entry."""
    yield way
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _paths(item, (*way, key))
    elif isinstance(value, list):
        for index, item in enumerate(value[:1]):
            yield from _paths(item, (*way, index))


def _with(content: object, way: tuple[str | int, ...], value: object) -> object:
    if not way:
        return value
    copied = dict(content) if isinstance(content, dict) else list(content)  # type: ignore[call-overload]
    copied[way[0]] = _with(copied[way[0]], way[1:], value)
    return copied


@pytest.mark.parametrize("name", ["summary.json", "manifest.json"])
@pytest.mark.parametrize("golden", FOLDERS, ids=lambda path: path.name.partition("-")[0])
def test_mistyped_json_is_said_and_never_ends_in_a_traceback(
    golden: Path, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(golden, tmp_path / golden.name)
    other = shutil.copytree(golden, tmp_path / golden.name.replace(golden.name[-6:], "aaaaaa"))
    content = json.loads((copy / name).read_text())
    for number, way in enumerate(sorted(set(_paths(content)), key=str)):
        wrong = WRONG[number % len(WRONG)]
        (copy / name).write_text(json.dumps(_with(content, way, wrong)))
        commands = [["show", str(copy)]] if name == "summary.json" else []
        if number % 9 == 0 or len(way) < 2:
            commands.append(["compare", str(copy), str(other), "--no-report"])
        for command in commands:
            code = run(command)
            said = capsys.readouterr()
            assert "Traceback" not in said.err, (way, wrong, said.err)
            assert code in (0, 2, 5)


def test_a_strategy_that_this_version_does_not_know_is_shown(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.summary.write_text(folder.summary.read_text().replace('"kernel"', '"kernel-next"'))
    assert run(["show", str(folder.path)]) == 0
    assert "kernel-next" in capsys.readouterr().out


@pytest.mark.parametrize(
    "line", ["[]", "7", "null", '"x"', "[" * 100_000, '{"event":"fault"}', '{"event":"fault","key":"a.b"}', "{"]
)
def test_a_journal_line_that_is_not_a_record_is_named(
    folder: RunFolder, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = folder.journal.read_text().splitlines()
    folder.journal.write_text("\n".join([lines[0], line, *lines[1:]]) + "\n")
    assert run(["analyze", str(folder.path), "--no-report", "--accept-changes"]) == 5
    said = capsys.readouterr().err
    assert "journal.jsonl:2:" in said
    assert "Traceback" not in said
