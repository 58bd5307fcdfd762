"""A clock that was set during the run is said in every report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from orchestrator.report.markdown import as_markdown
from orchestrator.report.threats import threats
from orchestrator.runfolder.run import Run
from orchestrator.runfolder.summary import Summary
from support.run_folder_factory import finished_run, scenario_from, summarised
from support.summaries import printed

if TYPE_CHECKING:
    from pathlib import Path

HEADING = "A clock was set"


def summary_and_headings(results: Path, *set_ns: int | None) -> tuple[Summary, dict[str, str]]:
    """The summary of a run during whose blocks the clock was set so far, and its threats by heading."""
    scenario = scenario_from("smoke")
    folder = finished_run(results, scenario)
    manifest = json.loads(folder.manifest.read_text())
    manifest["blocks"] = [
        {"order": n, "arm": None, "strategy": "kernel", "block": n, "serial": n, "attempt": 1, "start_ns": 1,
         "client": {}, "servers": [], **({} if by_ns is None else {"clock_set_ns": by_ns})}
        for n, by_ns in enumerate(set_ns)
    ]  # fmt: skip
    folder.manifest.write_text(json.dumps(manifest))
    summary = summarised(folder)
    return summary, {each.heading: each.text for each in threats([scenario], Run(folder).manifest, summary)}


def test_each_block_is_named_below_the_tables_and_the_threat_says_what_it_means(tmp_path: Path) -> None:
    summary, found = summary_and_headings(tmp_path, None, 12_345_678, None, -3_600_000_000_000)
    forth = "kernel: block 1: CLOCK_REALTIME was set by 12.3 ms"
    back = "kernel: block 3: CLOCK_REALTIME was set by \N{MINUS SIGN}3600000.0 ms"
    for text in (" ".join(printed(summary).split()), as_markdown(summary).replace("\\", "")):
        assert forth in text
        assert back in text
    assert "during 2 blocks, by up to 3600000.0 ms." in found[HEADING]
    assert Summary.from_json(summary.to_json()) == summary


def test_where_none_was_set_nothing_is_said(tmp_path: Path) -> None:
    summary, found = summary_and_headings(tmp_path, None, None)
    assert "clock_set" not in summary.to_json()
    assert "CLOCK_REALTIME" not in as_markdown(summary)
    assert HEADING not in found
