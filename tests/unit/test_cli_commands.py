"""The commands as a shell sees them: what is printed where, and the exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import nullcontext
from importlib.metadata import version
from typing import TYPE_CHECKING
from unittest.mock import MagicMock

import pytest

from orchestrator.cli import app, run
from orchestrator.commands import images
from support.experiments import OPEN
from support.run_folder_factory import ROOT, finished_run, make_tables, raw_run, scenario_from

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.runfolder.folder import RunFolder

PAPER = str(ROOT / "scenarios" / "paper.yaml")
SMOKE = str(ROOT / "scenarios" / "smoke.yaml")


@pytest.fixture
def bad(tmp_path: Path) -> str:
    """A scenario file with two things wrong."""
    path = tmp_path / "bad.yaml"
    path.write_text("version: 1\nname: bad\nworkload: {requests: 0}\nhedging: {dely: 10ms, delay: 10ms}\n")
    return str(path)


def test_validate_says_which_files_are_valid(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", PAPER, SMOKE]) == 0
    assert capsys.readouterr().out == f"{PAPER}: valid\n{SMOKE}: valid\n"


def test_validate_and_plan_warn_of_too_few_blocks(capsys: pytest.CaptureFixture[str]) -> None:
    warning = "p99-cut will be inconclusive: 4 blocks give no interval, 5 are needed"
    assert run(["validate", PAPER, "--set", "design.blocks=4"]) == 0
    assert f"{PAPER}: warning: {warning}" in capsys.readouterr().out.splitlines()
    assert run(["validate", PAPER, "--set", "design.blocks=4", "--json"]) == 0
    assert warning in json.loads(capsys.readouterr().out)["valid"][0]["warnings"]
    assert run(["plan", PAPER, "--set", "design.blocks=4"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert "warning: too few blocks (design.blocks) to judge every claim" in printed
    assert f"  {warning}" in printed


def test_validate_names_every_problem_of_every_file_on_stderr(bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", PAPER, bad, f"{bad}.too"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.splitlines() == [
        f"{bad}:1: strategies: is missing; add e.g. strategies: [baseline, kernel]",
        f"{bad}:3: workload.requests: 0 is out of range; write a number of at least 1",
        f"{bad}:4: hedging.dely: unknown key; did you mean delay?",
        f"{bad}.too: cannot be read: No such file or directory; check the path",
    ]


def test_with_json_errors_are_an_object_on_stdout(bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", bad, "--json"]) == 2
    output = capsys.readouterr()
    error = json.loads(output.out)["error"]
    assert set(error) == {"code", "message", "remedy", "problems"}
    assert error["code"] == 2
    assert "hedging.dely: unknown key" in error["message"]
    assert [(problem["where"], problem["key"]) for problem in error["problems"]] == [
        (f"{bad}:1", "strategies"),
        (f"{bad}:3", "workload.requests"),
        (f"{bad}:4", "hedging.dely"),
    ]
    assert error["problems"][-1] == {
        "where": f"{bad}:4",
        "key": "hedging.dely",
        "message": "unknown key",
        "remedy": "did you mean delay?",
    }
    assert output.err == ""


def test_plan_prints_blocks_order_and_duration(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", SMOKE]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("smoke: 4 strategies, 500 requests each in 5 blocks")
    assert lines[1].startswith("20 blocks in random order (seed 1), about ")
    assert lines[4].split() == ["0", "0-99", "kernel,", "baseline,", "app-deadline,", "app-seed"]


def test_plan_says_which_claims_the_sample_cannot_carry(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", SMOKE, "--set", "workload.requests=100"]) == 0
    output = capsys.readouterr().out
    assert "too small: p99(kernel) needs 368 requests, there are 100" in output
    assert "enough: duplicates(kernel) == 0" in output


def test_plan_as_json_holds_every_block(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", SMOKE, "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert [block["order"] for block in plan["blocks"]] == list(range(20))
    assert all(claim["judgeable"] for claim in plan["claims"])
    assert plan["eta_s"] > sum(block["eta_s"] for block in plan["blocks"])


ARMS = f"""{OPEN}
published: {{app-deadline: {{p50: 1}}}}
arms:
  one: {{faults: [{{fault: pause, target: server-0, at: 100ms, duration: 50ms, every: 300ms}}]}}
  all: {{faults: [{{fault: restart, target: servers, at: 1ms, every: 10ms}}], hedging: {{delay: 20ms}}}}
claims: [{{id: both, expect: "p99(kernel@one) < p99(kernel@all)"}}, {{id: each, expect: "p999(kernel) < 1s"}}]
smoke: {{workload: {{requests: 50}}, arms: {{all: {{faults: []}}}}, faults: [{{fault: kill, target: server-0}}]}}
"""


@pytest.fixture
def arms(tmp_path: Path) -> str:
    """A scenario file with two arms, faults and a smoke variant."""
    path = tmp_path / "arms.yaml"
    path.write_text(ARMS)
    return str(path)


def test_plan_shows_arms_rounds_faults_and_claims(arms: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", arms, "--set", "workload.arrivals.process=constant"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "example: 2 arms in 10 rounds"
    assert lines[1].startswith("60 blocks in random order (seed 1), about ")
    assert lines[3:8] == [
        "arms",
        "  one: 3 strategies, 1000 requests each in 10 blocks, 50 warm-up requests before each",
        "    faults = [{fault: pause, target: server-0, at: 100ms, duration: 50ms, every: 300ms}]",
        "  all: 3 strategies, 1000 requests each in 10 blocks, 50 warm-up requests before each",
        "    faults = [{fault: restart, target: servers, at: 1ms, every: 10ms}]",
    ]
    assert [line.split()[:3] for line in lines[11:13]] == [["0", "0-99", "all"], ["0", "0-99", "one"]]
    start = lines.index("faults in every block of one, times from its first measured request")
    assert [line.split() for line in lines[start + 2 : start + 5]] == [
        ["0.0", "0.1", "s", "0.05", "s", "server-0", "pause", "5,", "50"],
        ["0.1", "0.4", "s", "0.05", "s", "server-0", "pause", "5,", "50"],
        ["0.2", "0.7", "s", "0.05", "s", "server-0", "pause", "5,", "50"],
    ]
    assert "  0.0    0.001 s     an instant  servers     restart        -" in lines
    assert "  0.8 to 0.99: 92 more, the last at 0.991 s" in lines
    assert lines[-3:] == [
        "  one: each  too small: p999(kernel) needs 3688 requests, there are 1000",
        "  all: each  too small: p999(kernel) needs 3688 requests, there are 1000",
        "  both       enough: p99(kernel@one) < p99(kernel@all)",
    ]


def test_plan_as_json_holds_arms_and_every_occurrence(arms: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", arms, "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert [arm["name"] for arm in plan["arms"]] == ["one", "all"]
    assert plan["arms"][1]["set"]["hedging.delay"] == "20ms"
    assert len(plan["faults"]) == 3 + 100
    first = plan["faults"][0]
    requests = first.pop("requests")
    assert first == {
        "arm": "one",
        "key": "0.0",
        "fault": "pause",
        "target": "server-0",
        "offset_ns": 100_000_000,
        "until_ns": 150_000_000,
    }
    assert len(requests) == 10
    assert {(claim["arm"], claim["id"]) for claim in plan["claims"]} == {
        ("one", "each"),
        ("all", "each"),
        (None, "both"),
    }
    assert {block["arm"] for block in plan["blocks"]} == {"one", "all"}


def test_plan_leaves_no_single_occurrence_out(arms: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", arms, "--set", "arms.all.faults.0.every=120ms"]) == 0
    output = capsys.readouterr().out
    assert " 0.8    0.961 s " in output
    assert " more, the last" not in output


def test_plan_says_perhaps_where_only_the_run_can_tell(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", SMOKE, "--set", "service.stall.duration=1ms", "--set", "service.concurrency=1"]) == 0
    output = capsys.readouterr().out
    assert "  perhaps: lateness_p50(kernel) needs 6 hedges, which depends on queueing; " in output


def test_plan_warns_of_what_only_netem_carries(arms: str, capsys: pytest.CaptureFixture[str]) -> None:
    rate = ["--set", "workload.arrivals.rate=20000/s", "--set", "workload.requests=60000"]
    rate += ["--set", "hedging.engine=clone"]
    assert run(["plan", arms]) == 0
    assert "needs netem" not in capsys.readouterr().out
    assert run(["plan", arms, *rate, "--set", "arms.all.faults=[]"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3:] == [
        "needs netem: HTB lanes cannot carry this rate, so a run fails on a host without netem",
        "  one: 256 HTB lanes hold 12800 requests per second for 10ms, the workload can reach 20000 per second; "
        "use a lower rate, a shorter hedge delay, the engine queue, or a host with netem",
        "  all: 256 HTB lanes hold 6400 requests per second for 20ms, the workload can reach 20000 per second; "
        "use a lower rate, a shorter hedge delay, the engine queue, or a host with netem",
    ]
    assert run(["plan", arms, *rate, "--set", "arms.all.faults=[]", "--json"]) == 0
    warnings = json.loads(capsys.readouterr().out)["needs_netem"]
    assert [(warning["arm"], warning["key"]) for warning in warnings] == [
        ("one", "hedging.delay_line"),
        ("all", "hedging.delay_line"),
    ]
    for other in ("hedging.delay_line=netem", "hedging.engine=auto", "hedging.engine=queue"):
        assert run(["plan", arms, *rate, "--set", "arms.all.faults=[]", "--set", other]) == 0
        assert "needs netem" not in capsys.readouterr().out


def test_plan_of_the_smoke_variant(arms: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", arms, "--smoke"]) == 0
    output = capsys.readouterr().out
    assert "4 blocks in random order (seed 1)" in output
    assert "one: 2 strategies, 50 requests each in 1 block, " in output
    assert "to the end  server-0    kill " in output
    assert "claims" not in output


def test_validate_checks_the_variant_that_is_asked_for(arms: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", arms]) == 0
    assert run(["validate", arms, "--smoke"]) == 0
    capsys.readouterr()
    assert run(["validate", arms, "--smoke", "--set", "smoke.workload.requests=0"]) == 2
    assert "workload.requests: 0 is out of range" in capsys.readouterr().err


def test_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Scenario"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished smoke run."""
    return finished_run(tmp_path_factory.mktemp("results"), scenario_from("smoke"))


def test_show_of_a_run_that_did_not_finish_says_so(finished: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    results = finished.path.parent
    unfinished = results / "smoke-20990101T000000Z-abcdef"
    unfinished.mkdir()
    assert run(["show", "last", "--results", str(results)]) == 5
    assert capsys.readouterr().err.splitlines() == [
        "smoke-20990101T000000Z-abcdef has no summary.json",
        "remedy: it did not finish; see log.txt in the folder",
    ]
    unfinished.rmdir()


@pytest.mark.parametrize("tables", [False, True], ids=["raw rows", "tables"])
def test_show_of_a_run_that_was_only_measured_sends_to_analyze(
    tables: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = scenario_from("smoke")
    folder = raw_run(tmp_path, scenario)
    manifest = json.loads(folder.manifest.read_text())
    folder.manifest.write_text(json.dumps({**manifest, "status": "complete"}))
    if tables:
        make_tables(folder, scenario)
    assert run(["show", str(folder.path)]) == 5
    assert capsys.readouterr().err.splitlines() == [
        f"{folder.name} has no summary.json",
        f"remedy: it was measured; orchestrator analyze {folder.path} does the rest",
    ]


def test_show_prints_the_tables(finished: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["show", finished.name[-6:], "--results", str(finished.path.parent)]) == 0
    assert "Verdict: supported" in capsys.readouterr().out


def test_show_as_json_is_summary_json_to_the_byte(finished: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["show", str(finished.path), "--json"]) == 0
    assert capsys.readouterr().out == finished.summary.read_text()


def test_a_run_that_is_not_there_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["show", "nothing", "--results", str(tmp_path)]) == 2
    assert f"no run in {tmp_path} is called nothing" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["plan"], ["fly"], ["show", "--jason"]])
def test_a_wrong_command_line_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("arguments", [["plan"], ["fly"], ["show", "--jason"], ["ls", "--sort", "colour"]])
def test_with_json_a_wrong_command_line_is_an_object_too(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*arguments, "--json"]) == 2
    output = capsys.readouterr()
    error = json.loads(output.out)["error"]
    assert error["code"] == 2
    assert error["message"]
    assert output.err == ""


def commands() -> list[list[str]]:
    """Every command there is, with its group where it is in one."""
    found = [[str(command.name or getattr(command.callback, "__name__", ""))] for command in app.registered_commands]
    for group in app.registered_groups:
        assert group.typer_instance is not None
        found += [
            [str(group.name), getattr(command.callback, "__name__", "")]
            for command in group.typer_instance.registered_commands
        ]
    return found


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_takes_json(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, "--help"]) == 0
    assert "--json" in capsys.readouterr().out


def test_images_build_as_json_names_the_images(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = MagicMock()
    client.images.get.side_effect = lambda name: MagicMock(id=f"sha256:{name}")
    monkeypatch.setattr(images, "engine", lambda: nullcontext(client))
    monkeypatch.setattr(images, "build_images", lambda _client, _offline, say: say("building"))
    assert run(["images", "build", "--json"]) == 0
    output = capsys.readouterr()
    built = json.loads(output.out)["images"]
    assert {"role": "hedger", "name": "hedgerow-hedger", "id": "sha256:hedgerow-hedger"} in built
    assert output.err == "building\n"


def test_images_build_without_an_engine_is_an_error_in_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(images, "engine", lambda: nullcontext(None))
    assert run(["images", "build", "--json"]) == 4
    assert json.loads(capsys.readouterr().out)["error"]["code"] == 4


@pytest.mark.parametrize("arguments", [["validate", PAPER], ["plan", SMOKE], ["schema"], ["ls"]])
def test_quick_commands_import_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    program = (
        "import sys; from orchestrator.cli import run; run(sys.argv[1:]); "
        "heavy = {'numpy', 'pyarrow', 'matplotlib'} & set(sys.modules); sys.exit(','.join(sorted(heavy)) or 0)"
    )
    command = [sys.executable, "-c", program, *arguments]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_it_tells_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"hedgerow {version('hedgerow')}\n"
