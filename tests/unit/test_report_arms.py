"""What a person reads of a run with arms: tables by arm, one table for a sweep, faults, notes."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from orchestrator.report.terminal import render
from orchestrator.report.view import view
from orchestrator.runfolder.summary import DiscardedBlock, Summary
from support.arms_scenarios import GRID, SWEEP
from support.run_folder_factory import experiment_from, finished_run, summarised
from support.summaries import printed

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.runfolder.folder import RunFolder

pytestmark = pytest.mark.xdist_group("arms-and-sweep")  # they share what was drawn or made once a session


def summary_of(folder: Path, text: str, *overrides: str) -> Summary:
    """The summary of a run of the scenario `text`."""
    return summarised(finished_run(folder / "results", experiment_from(folder, text, *overrides)))


@pytest.fixture(scope="module")
def arms(arms_run: RunFolder) -> Summary:
    """A run of two arms."""
    return Summary.read(arms_run.summary)


@pytest.fixture(scope="module")
def sweep(sweep_run: RunFolder) -> Summary:
    """A run over three values."""
    return Summary.read(sweep_run.summary)


def section(text: str, title: str) -> list[list[str]]:
    """The words of each row below `title`."""
    after = text.split(title + "\n", 1)[1]
    return [line.split() for line in after.split("\n\n", 1)[0].splitlines()]


def test_every_arm_has_its_tables(arms: Summary) -> None:
    text = printed(arms)
    for arm in arms.arms:
        rows = section(text, f"{arm.name}: latency in ms")[1:]
        assert [row[0] for row in rows] == list(arm.strategies)
        assert rows[-1][1] == f"{arm.strategies['kernel'].latency_ms['p50']:.2f}"
        assert section(text, f"{arm.name}: hedges, and their lateness in µs")
    assert [row[0] for row in section(text, "client-paused: claims")[1:]] == ["punctual"]
    assert [row[0] for row in section(text, "Claims across arms")[1:]] == ["app-late"]


def test_open_arrivals_show_lateness_of_sends_and_time_in_the_buffer(arms: Summary) -> None:
    rows = section(
        printed(arms), "client-paused: lateness from the intended time, and time in the socket buffer, in µs"
    )
    kernel = arms.arms[0].strategies["kernel"]
    sent_us = [(kernel.send_lateness_us or {})[name] for name in ("p50", "p99")]
    buffered_us = [(kernel.buffered_ms[name] or 0) * 1000 for name in ("p50", "p99")]
    hedged_us = kernel.lateness_from_intended_us["p99"]
    assert rows[2] == ["kernel", *(f"{value:.0f}" for value in (*sent_us, hedged_us, *buffered_us))]


def test_faults_are_listed_with_proofs(arms: Summary) -> None:
    rows = section(printed(arms), "Faults")
    assert rows[1] == ["client-paused", "pause", "client", "10", "10", "250"]
    assert ["one-server-paused", "loss", "server-2", "15", "15", "1000"] in rows


def test_notes_name_the_arm(arms: Summary) -> None:
    unanswered = arms.arms[1].strategies["baseline"].timeouts
    assert unanswered > 0
    assert f"one-server-paused, baseline: {unanswered} of 1000 requests were not answered in time" in printed(arms)
    assert "coordinated omission" not in printed(arms)


def test_discarded_blocks_are_said(arms: Summary) -> None:
    block = DiscardedBlock(arm="client-paused", strategy="kernel", block=3, reasons=("never stopped", "nor thawed"))
    words = "client-paused, kernel: block 3 was discarded and measured again: never stopped; nor thawed"
    assert words in printed(replace(arms, discarded=(block,)))


def test_a_sweep_is_one_table_with_the_value_where_its_rows_begin(sweep: Summary) -> None:
    text = printed(sweep)
    rows = section(text, "Latency in ms, extra load, and lateness in µs, over hedging.delay")
    assert rows[0][:4] == ["delay", "strategy", "P50", "P99"]
    assert [row[0] for row in rows[1:]] == [
        *("5ms", "app-deadline", "kernel", "20ms", "app-deadline", "kernel", "100ms", "app-deadline", "kernel")
    ]
    assert "latency in ms" not in text
    assert section(text, "Faults")[1] == ["pause", "server-0", "45", "45", "750"]


def test_claims_that_every_arm_of_a_sweep_makes_share_a_table(tmp_path: Path) -> None:
    text = printed(summary_of(tmp_path, SWEEP + '  - {id: fine, expect: "answered(kernel) >= 50%"}\n'))
    assert [row[:2] for row in section(text, "Claims in each arm")[1:]] == [
        ["delay=5ms", "fine"],
        ["delay=20ms", "fine"],
        ["delay=100ms", "fine"],
    ]


def test_two_swept_keys_have_a_column_each(tmp_path: Path) -> None:
    text = printed(summary_of(tmp_path, GRID, "design.blocks=1", "workload.requests=50"))
    rows = section(text, "Latency in ms, extra load, and lateness in µs, over hedging.delay and hedging.target")
    assert rows[0][:3] == ["delay", "target", "strategy"]
    assert [row[:3] for row in rows[1:] if len(row) > 7] == [
        [delay, target, "baseline"] for delay in ("5ms", "10ms", "20ms") for target in ("same", "other")
    ]


@pytest.mark.parametrize("kind", ["arms", "sweep"])
def test_a_terminal_of_80_columns_shows_every_figure_whole(kind: str, arms: Summary, sweep: Summary) -> None:
    summary = replace(arms if kind == "arms" else sweep, claims_across_arms=())
    file = io.StringIO()
    render(view(summary), Console(file=file, width=80, force_terminal=True, color_system=None))
    tables = file.getvalue().split(summary.run)[0]
    assert max(map(len, tables.splitlines())) <= 80
    assert "…" not in tables
    for arm in summary.arms:
        for strategy in arm.strategies.values():
            assert f"{strategy.latency_ms['p50']:.2f}" in tables


def test_closed_arrivals_are_said_of_the_arms_that_have_them(arms: Summary) -> None:
    assert "Closed arrivals" not in printed(arms)
    paused, other = arms.arms
    closed = replace(arms, arms=tuple(replace(arm, arrivals="closed") for arm in arms.arms))
    assert "\nClosed arrivals: while a request" in printed(closed)
    mixed = replace(arms, arrivals="mixed", arms=(replace(paused, arrivals="closed"), other))
    assert f"\nClosed arrivals in {paused.name}: while a request" in printed(mixed)
