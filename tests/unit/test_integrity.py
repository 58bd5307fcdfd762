"""What is changed after a run is named before it is analysed, and is said ever after; so are claims stated late."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from orchestrator.cli import run
from orchestrator.runfolder.folder import RUN_NAME, RunFolder
from orchestrator.runfolder.integrity import scenario_hash
from orchestrator.runfolder.journal import read_begin
from support.run_folder_factory import ROOT, finished_run, scenario_from

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BOUND, MOVED = "p99(kernel) <= 15ms", "p99(kernel) <= 14ms"
CLAIMS = f"claims=[{{id: fast, text: It is fast, expect: '{BOUND}'}}, {{id: cheap, expect: 'rate(kernel) <= 5%'}}]"
GOLDEN = ROOT / "tests" / "golden" / "0.1.0"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two strategies that fixed its scenario, with what its blocks reported, analysed once."""
    folder = finished_run(tmp_path_factory.mktemp("results"), scenario_from("smoke", CLAIMS, "design.blocks=6"))
    digest = hashlib.sha256(folder.scenario.read_bytes()).hexdigest()
    rows = {name: pq.read_table(getattr(folder, name)).to_pylist() for name in ("samples", "hedges", "server")}
    counts = {name: Counter((row["strategy"], row["block"]) for row in table) for name, table in rows.items()}
    blocks = [
        {
            "order": order,
            "arm": None,
            "strategy": strategy,
            "block": block,
            "serial": order,
            "attempt": 1,
            "start_ns": 0,
            "client": {"rows": counts["samples"][strategy, block]},
            "servers": [{"rows": counts["server"][strategy, block]}],
            "hedges": counts["hedges"][strategy, block],
        }
        for order, (strategy, block) in enumerate(sorted(counts["samples"]))
    ]
    claims = [
        {"arm": None, "id": "fast", "text": "It is fast", "expect": BOUND},
        {"arm": None, "id": "cheap", "text": "", "expect": "rate(kernel) <= 5%"},
    ]
    manifest = json.loads(folder.manifest.read_text())
    manifest |= {"scenario_sha256": digest, "claims": claims, "blocks": blocks, "status": "complete"}
    manifest |= {"host": {"cpu": "x", "cpus": 2, "kernel": "6.1"}, "versions": {"hedgerow": "0.1.0"}}
    manifest["started_at"] = "2026-01-01T00:00:00+00:00"
    folder.manifest.write_text(json.dumps(manifest))
    begin = {"at": "", "monotonic_ns": 0, "event": "begin", "schema": 1, "scenario_sha256": digest}
    folder.journal.write_text(json.dumps(begin) + "\n")
    folder.summary.unlink()
    assert run(["analyze", str(folder.path), "--no-report"]) in (0, 1, 3)
    return folder.path


@pytest.fixture
def folder(measured: Path, tmp_path: Path) -> RunFolder:
    return RunFolder(shutil.copytree(measured, tmp_path / "results" / measured.name))


def analyse(folder: RunFolder, *options: str) -> int:
    return run(["analyze", str(folder.path), "--no-report", *options])


def summary_of(folder: RunFolder) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(folder.summary.read_text())
    return content


def move_the_bound(folder: RunFolder) -> None:
    text = folder.scenario.read_text()
    assert BOUND in text
    folder.scenario.write_text(text.replace(BOUND, MOVED))


def take_a_claim_away(folder: RunFolder) -> None:
    kept, _, _ = folder.scenario.read_text().partition("- id: cheap")
    rest = folder.scenario.read_text().partition("expect: rate(kernel) <= 5%\n")[2]
    folder.scenario.write_text(kept + rest)


def _rewrite(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(pq.read_table(path)), path)


def take_the_worst_block_out(folder: RunFolder) -> None:
    """Of all three tables, as in statistics-review 2.6."""
    for path in (folder.samples, folder.hedges, folder.server):
        _rewrite(path, lambda table: table.filter(pc.invert(_worst(table))))


def _worst(table: pa.Table) -> pa.Array:
    return pc.and_(pc.equal(table["strategy"], "kernel"), pc.equal(table["block"], 3))


def double_the_rows(folder: RunFolder) -> None:
    _rewrite(folder.samples, lambda table: pa.concat_tables([table, table]))


def make_it_faster(folder: RunFolder) -> None:
    def earlier(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index("received_ns")
        return table.set_column(place, table.schema.field(place), pc.subtract(table["received_ns"], 1_000_000))

    _rewrite(folder.samples, earlier)


def make_it_faster_and_take_its_sum_away(folder: RunFolder) -> None:
    make_it_faster(folder)
    lines = folder.checksums.read_text().splitlines(keepends=True)
    folder.checksums.write_text("".join(line for line in lines if not line.endswith("samples.parquet\n")))


def make_it_faster_and_add_its_sum(folder: RunFolder) -> None:
    make_it_faster(folder)
    digest = hashlib.sha256(folder.samples.read_bytes()).hexdigest()
    with folder.checksums.open("a") as sums:
        sums.write(f"{digest}  samples.parquet\n")


TAMPERINGS = {
    move_the_bound: "scenario.yaml is not the one that was fixed before the run",
    take_a_claim_away: "claim cheap was taken away after the run",
    take_the_worst_block_out: "samples.parquet has 0 rows of kernel, block 3, which reported",
    double_the_rows: "samples.parquet is not what SHA256SUMS says",
    make_it_faster: "samples.parquet is not what SHA256SUMS says",
    make_it_faster_and_add_its_sum: "samples.parquet is not what SHA256SUMS says",
    make_it_faster_and_take_its_sum_away: "SHA256SUMS does not name samples.parquet",
    (lambda folder: folder.server.unlink()): "server.parquet is not what SHA256SUMS says: it is missing",
    (lambda folder: folder.checksums.unlink()): "SHA256SUMS is missing",
    (lambda folder: folder.journal.write_text("")): "journal.jsonl is not what SHA256SUMS says",
}


@pytest.mark.parametrize(("tamper", "words"), TAMPERINGS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_change_is_named_and_nothing_is_written(
    folder: RunFolder, tamper: Callable[[RunFolder], object], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tamper(folder)
    before = {path: path.read_bytes() for path in folder.path.iterdir() if path.is_file()}
    if tamper is take_the_worst_block_out:
        folder.checksums.unlink()  # also where the sums are made to fit
        folder.summary.unlink()
        before = {path: path.read_bytes() for path in folder.path.iterdir() if path.is_file()}
    assert analyse(folder) == 5
    said = capsys.readouterr().err
    assert words in said
    assert "--accept-changes" in said
    assert {path: path.read_bytes() for path in folder.path.iterdir() if path.is_file()} == before


def test_an_unchanged_run_carries_no_mark_and_is_analysed_again_and_again(folder: RunFolder) -> None:
    before = folder.summary.read_bytes(), folder.checksums.read_bytes()
    for _ in range(2):
        assert analyse(folder) in (0, 1, 3)
        assert (folder.summary.read_bytes(), folder.checksums.read_bytes()) == before
    assert "accepted_changes" not in summary_of(folder)
    assert "stated_after_run" not in folder.summary.read_text()


def test_what_the_analysis_writes_may_differ(folder: RunFolder) -> None:
    folder.summary.write_text("{}")
    folder.report.write_text("edited")
    folder.plots.mkdir(exist_ok=True)
    (folder.plots / "latency-ccdf.svg").write_text("edited")
    (folder.path / "notes.txt").write_text("of mine")
    assert analyse(folder) in (0, 1, 3)
    assert "accepted_changes" not in summary_of(folder)


def test_altered_data_is_not_signed_anew_and_the_mark_stays(folder: RunFolder) -> None:
    signed = [line for line in folder.checksums.read_text().splitlines() if line.endswith("samples.parquet")]
    make_it_faster(folder)
    assert analyse(folder, "--accept-changes") in (0, 1, 3)
    assert signed[0] in folder.checksums.read_text().splitlines()
    (mark,) = summary_of(folder)["accepted_changes"]
    assert mark.startswith("samples.parquet is not what SHA256SUMS says: sha256 ")
    assert analyse(folder) in (0, 1, 3), "what was accepted need not be accepted again"
    assert summary_of(folder)["accepted_changes"] == [mark]
    folder.checksums.unlink()
    assert analyse(folder, "--accept-changes") in (0, 1, 3)
    assert analyse(folder) in (0, 1, 3)
    assert summary_of(folder)["accepted_changes"] == [mark, "SHA256SUMS is missing"]


def test_late_claims_and_accepted_changes_are_said_everywhere(
    folder: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    untouched = shutil.copytree(folder.path, folder.path.with_name(folder.name[:-6] + "aaaaaa"))
    move_the_bound(folder)
    page, junit = tmp_path / "step.md", tmp_path / "junit.xml"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    assert run(["analyze", str(folder.path), "--accept-changes", "--junit", str(junit)]) in (0, 1, 3)
    printed = capsys.readouterr().out
    claims = {claim["id"]: claim for claim in summary_of(folder)["claims"]}
    assert claims["fast"]["stated_after_run"] is True
    assert "stated_after_run" not in claims["cheap"]
    assert run(["show", str(folder.path)]) == 0
    shown = capsys.readouterr().out
    assert run(["compare", str(folder.path), str(untouched), "--no-report"]) == 0
    compared = capsys.readouterr().out
    report = folder.report.read_text()
    for text in (printed, shown, report, page.read_text(), junit.read_text(), compared):
        assert "stated after the run" in text
    for text in (printed, shown, report, page.read_text(), junit.read_text()):
        assert "is not the one that was fixed before the run" in text.replace("\\", "")
    assert "changed after it was measured" in compared
    assert "1 of 2 stated after the run: fast." in report
    assert run(["ls", "--results", str(folder.path.parent)]) == 0
    marked = [line for line in capsys.readouterr().out.splitlines() if "changed after it was measured" in line]
    assert [folder.name in line for line in marked] == [True]


def test_nothing_is_said_of_folders_that_fixed_nothing(tmp_path: Path) -> None:
    for golden in (path for path in GOLDEN.glob("*-*") if RUN_NAME.fullmatch(path.name)):
        copy = RunFolder(shutil.copytree(golden, tmp_path / golden.name))
        assert read_begin(copy.journal).scenario_sha256 is None  # type: ignore[union-attr]
        assert analyse(copy) in (0, 1, 3)
        assert "accepted_changes" not in summary_of(copy)
        assert "stated_after_run" not in copy.summary.read_text()


def test_golden_tables_are_guarded_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    golden = next(GOLDEN.glob("faults-*"))
    copy = RunFolder(shutil.copytree(golden, tmp_path / golden.name))
    _rewrite(copy.server, lambda table: table.slice(1))
    assert analyse(copy) == 5
    assert "server.parquet is not what SHA256SUMS says" in capsys.readouterr().err


def test_the_hash_is_that_of_the_file(folder: RunFolder) -> None:
    assert scenario_hash(folder.scenario.read_text()) == hashlib.sha256(folder.scenario.read_bytes()).hexdigest()


def test_earlier_tries_are_listed_whatever_became_of_them(folder: RunFolder) -> None:
    results = folder.path.parent
    scenario, _, token = folder.name.rsplit("-", 2)

    def earlier(time: str) -> Path:
        return shutil.copytree(folder.path, results / f"{scenario}-{time}-{token}")

    earlier("20250101T000000Z")
    (earlier("20250102T000000Z") / "summary.json").unlink()
    (earlier("20250103T000000Z") / "summary.json").write_text('{"claims": null')
    (earlier("20250104T000000Z") / "manifest.json").write_text("[" * 100_000)
    earlier("29990101T000000Z")  # later
    other = earlier("20250105T000000Z") / "manifest.json"  # another scenario
    other.write_text(other.read_text().replace('"scenario_sha256": "', '"scenario_sha256": "0'))
    assert run(["report", str(folder.path)]) == 0
    page = folder.report.read_text()
    tried = page[page.index('<h2 id="tried">') : page.index('<h2 id="figures">')]
    assert "holds 3 earlier runs" in tried
    for time, words in (("20250101", "supported"), ("20250102", "unfinished"), ("20250103", "unreadable")):
        (row,) = (line for line in tried.splitlines() if f"-{time}T" in line)
        assert words in row
    for time in ("20250104", "20250105", "29990101"):
        assert time not in tried


def test_no_section_where_nothing_was_tried(folder: RunFolder) -> None:
    assert run(["report", str(folder.path)]) == 0
    assert "Tried before" not in folder.report.read_text()
