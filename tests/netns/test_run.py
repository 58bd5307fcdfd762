"""`orchestrator run` on the netns backend: what it leaves in the results folder, and what it says."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from hedgerow_node.units import NS_PER_US
from support.scenario_files import NEVER_TOO_LATE, finish, orchestrate, start_run, write_scenario

pytestmark = pytest.mark.root

FILES = {
    "SHA256SUMS",
    "hedges.parquet",
    "journal.jsonl",
    "log.txt",
    "manifest.json",
    "report.html",
    "samples.parquet",
    "scenario.yaml",
    "server.parquet",
    "summary.json",
}


def measured_hedges(folder: Path) -> list[dict[str, Any]]:
    """The hedges but for those of warm-up requests, which a loaded host may have answered late."""
    rows: list[dict[str, Any]] = pq.read_table(folder / "hedges.parquet").to_pylist()
    return [row for row in rows if row["request_id"] < 1 << 31]


def clock_off_ns(client: dict[str, Any]) -> int:
    """By how much a block's `kernel_rx_ns` may be off: the kernel stamps by the wall clock, which is slewed,
    and at both ends of the block the offset between the clocks is known to a fraction of a microsecond.
    """
    return abs(int(client["realtime_offset_drift_ns"])) + NS_PER_US


def test_a_run_leaves_its_folder_and_nothing_else(tmp_path: Path) -> None:
    scenario = write_scenario(tmp_path, strategies="baseline, app-seed, app-deadline, kernel", blocks=5, requests=500)
    run = finish(start_run(scenario, tmp_path / "results", "--json"))
    assert run.code in (0, 1, 3), run.errors
    assert {path.name for path in run.folder.iterdir() if path.is_file()} == FILES
    assert {path.suffix for path in (run.folder / "plots").iterdir()} == {".png", ".svg"}
    assert json.loads((run.folder / "summary.json").read_text()) == run.summary
    assert run.summary["run"] == run.folder.name
    assert (run.manifest["status"], run.manifest["backend"]) == ("complete", "netns")
    assert run.manifest["delay_line"] == run.summary["delay_line"] in ("netem", "htb")
    fixed = hashlib.sha256((run.folder / "scenario.yaml").read_bytes()).hexdigest()
    assert run.manifest["scenario_sha256"] == run.journal[0]["scenario_sha256"] == fixed
    assert run.manifest["claims"] == [
        {"arm": None, "id": "no-duplicates", "text": "", "expect": "duplicates(kernel) == 0"}
    ]
    assert f"fixed before the run: scenario sha256 {fixed}\n" in run.errors
    assert all(block["hedges"] >= 0 for block in run.manifest["blocks"])
    assert "accepted_changes" not in run.summary
    for line in (run.folder / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((run.folder / name).read_bytes()).hexdigest() == digest


def test_every_strategy_meets_the_same_ids_and_the_same_stalls(tmp_path: Path) -> None:
    strategies = "baseline, app-seed, app-deadline, kernel"
    scenario = write_scenario(tmp_path, strategies=strategies, timeout=NEVER_TOO_LATE)
    run = finish(start_run(scenario, tmp_path, "--json", "--no-report"))
    samples = pq.read_table(run.folder / "samples.parquet").to_pylist()
    copies = pq.read_table(run.folder / "server.parquet").to_pylist()
    hedges = measured_hedges(run.folder)
    for strategy in strategies.split(", "):
        rows = [row for row in samples if row["strategy"] == strategy]
        assert sorted(row["request_id"] for row in rows) == list(range(200))
        assert [row["request_id"] // 100 for row in rows] == [row["block"] for row in rows]
        stalled = {row["request_id"] for row in copies if row["strategy"] == strategy and row["action"] == "stalled"}
        assert stalled == {0, 1, 100, 101}
        hedged = {row["request_id"] for row in hedges if row["strategy"] == strategy}
        assert stalled <= hedged if strategy != "baseline" else not hedged
        measured = [row for row in copies if row["strategy"] == strategy and row["request_id"] < 1 << 31]
        assert len(measured) == len(rows) + len([row for row in hedges if row["strategy"] == strategy])
    of_kernel = [row for row in samples if row["strategy"] == "kernel"]
    assert {row["copies_received"] for row in of_kernel} == {1}
    assert {row["outcome"] for row in of_kernel} == {"answered"}
    assert not (run.folder / "plots").exists() or not list((run.folder / "plots").iterdir())


def test_times_of_a_request_come_in_their_order(tmp_path: Path) -> None:
    scenario = write_scenario(tmp_path, timeout=NEVER_TOO_LATE)
    run = finish(start_run(scenario, tmp_path, "--json", "--no-report"))
    off_ns = {(block["strategy"], block["block"]): clock_off_ns(block["client"]) for block in run.manifest["blocks"]}
    for row in pq.read_table(run.folder / "samples.parquet").to_pylist():
        assert row["intended_ns"] <= row["sent_ns"] < row["received_ns"]
        may_be_off_ns = off_ns[row["strategy"], row["block"]]
        assert row["sent_ns"] - may_be_off_ns < row["kernel_rx_ns"] < row["received_ns"] + may_be_off_ns
    sent = {
        row["request_id"]: row["sent_ns"]
        for row in pq.read_table(run.folder / "samples.parquet").to_pylist()
        if row["strategy"] == "kernel"
    }
    for row in measured_hedges(run.folder):
        assert sent[row["request_id"]] < row["request_ns"] < row["deadline_ns"] <= row["departure_ns"]
        assert row["deadline_ns"] - row["request_ns"] == 10_000_000
        if row["request_id"] % 100 < 2:  # stalled: only the hedge can have been answered first
            assert row["departure_ns"] < row["first_response_ns"]
            assert row["winner"] == "hedge"


def test_the_journal_names_every_change_before_it_and_its_undo(tmp_path: Path) -> None:
    run = finish(start_run(write_scenario(tmp_path), tmp_path, "--json", "--no-report"))
    changes = [record["undo"] for record in run.journal if record["event"] == "change"]
    token = run.folder.name.rsplit("-", 1)[1]
    assert [undo["name"] for undo in changes if undo["do"] == "delete-namespace"] == [
        f"hr-{token}-bridge",
        f"hr-{token}-client",
        f"hr-{token}-server0",
    ]
    assert {"do": "end-processes", "run": token} in changes
    assert run.journal[-1]["event"] == "end"
    assert run.journal[-1]["leftovers"] == []
    assert [record["order"] for record in run.journal if record["event"] == "block"] == [0, 1, 2, 3]


def test_two_runs_side_by_side(tmp_path: Path) -> None:
    scenario = write_scenario(tmp_path, timeout=NEVER_TOO_LATE)
    runs = [start_run(scenario, tmp_path / name, "--json", "--no-report") for name in ("one", "two")]
    for run in [finish(process) for process in runs]:
        assert run.summary["strategies"]["kernel"]["answered"] == 200
        assert run.summary["strategies"]["kernel"]["duplicates_delivered"] == 0


def test_results_belong_to_the_owner_of_their_folder(tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    os.chown(results, 12345, 12346)
    run = finish(start_run(write_scenario(tmp_path), results, "--json"))
    for path in [run.folder, *run.folder.rglob("*")]:
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346), path


def test_a_claim_that_is_false_ends_with_one(tmp_path: Path) -> None:
    claims = "  - {id: wrong, expect: 'rate(kernel) <= 0.1%'}"
    run = finish(
        start_run(write_scenario(tmp_path, claims=claims, blocks=5, requests=500), tmp_path, "--json", "--no-report")
    )
    assert (run.code, run.summary["verdict"]) == (1, "refuted")


def test_a_sample_that_is_too_small_ends_with_three_and_says_what_would_do(tmp_path: Path) -> None:
    claims = "  - {id: few, expect: 'p99(kernel) <= 150ms'}\n  - {id: none, expect: 'duplicates(kernel) == 0'}"
    scenario = write_scenario(tmp_path, claims=claims, blocks=5, requests=200)
    run = finish(start_run(scenario, tmp_path, "--json", "--no-report"))
    assert (run.code, run.summary["verdict"]) == (3, "inconclusive")
    few, none = run.summary["claims"]
    assert (few["verdict"], few["requests_needed"], none["verdict"]) == ("inconclusive", 368, "supported")
    assert few["reason"] == "p99(kernel) needs 368 requests, there are 200"
    planned = orchestrate("plan", str(scenario), "--json")
    assert [claim["judgeable"] for claim in json.loads(planned.stdout)["claims"]] == [False, True]


def test_without_a_terminal_the_progress_is_a_line_a_block_on_stderr(tmp_path: Path) -> None:
    process = start_run(write_scenario(tmp_path), tmp_path, "--no-report")
    output, errors = process.communicate(timeout=120)
    assert [line.split("]")[0] for line in errors.splitlines() if line.startswith("[")] == [
        "[1/4",
        "[2/4",
        "[3/4",
        "[4/4",
    ]
    assert "\x1b" not in output + errors
    assert "no-duplicates" in output
    shown = orchestrate("show", "last", "--results", str(tmp_path))
    assert shown.stdout == output
    listed = orchestrate("ls", "--results", str(tmp_path), "--json")
    assert [run["run"] for run in json.loads(listed.stdout)["runs"]] == [Path(errors.splitlines()[-1]).name]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--backend", "vm"], 2, "--backend vm: there is no such backend"),
        (["--set", "hedging.delay=10"], 2, "hedging.delay"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_starts(
    tmp_path: Path, options: list[str], code: int, message: str
) -> None:
    process = start_run(write_scenario(tmp_path), tmp_path / "results", "--json", *options)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == code
    assert message in json.loads(output)["error"]["message"]
    assert not (tmp_path / "results").exists()


def test_more_requests_than_the_lanes_carry_are_refused_once_the_delay_line_is_known(tmp_path: Path) -> None:
    """256 HTB lanes at 10 ms carry 12,800 requests a second."""
    scenario = write_scenario(tmp_path, users=100, think="0s", service_time="1ms")
    clones = ("--set", "hedging.engine=clone", "--set", "hedging.delay_line=htb")
    process = start_run(scenario, tmp_path / "results", "--json", *clones)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "hedging.delay_line" in json.loads(output)["error"]["message"]


def test_what_was_only_collected_is_evaluated_later_and_again_to_the_same_bytes(tmp_path: Path) -> None:
    process = start_run(write_scenario(tmp_path), tmp_path / "results", "--collect-only")
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, output) == (0, ""), errors
    folder = Path(errors.splitlines()[-1])
    assert not (folder / "summary.json").exists()
    summaries = []
    for _ in range(2):
        done = orchestrate("analyze", str(folder), "--json")
        assert done.returncode in (0, 1, 3), done.stderr
        summaries.append((folder / "summary.json").read_bytes())
        assert json.loads(done.stdout) == json.loads(summaries[-1])
    assert summaries[0] == summaries[1]
    assert min(path.name for path in (folder / "plots").iterdir()) == "extra-load-p99.png"
