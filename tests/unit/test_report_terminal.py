"""The tables a person reads: published figures beside ours, verdicts with reasons, and what was measured on."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from orchestrator.report.formatting import format_claim_p, format_difference, format_observed
from orchestrator.report.terminal import render
from orchestrator.report.threats import control_note
from orchestrator.report.view import comparison_table, lateness_table, view
from orchestrator.runfolder.summary import ClaimVerdict, ControlResult, Difference, Interval, Proven
from support.run_folder_factory import ScenarioOverride, finished_run, scenario_from, summarised
from support.summaries import claim, printed

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.runfolder.summary import Summary


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """A smoke run in which the kernel delivered one duplicate and left every tenth request unanswered."""
    by_strategy = {"kernel": ScenarioOverride(duplicates=frozenset({3}), unanswered=frozenset(range(5, 500, 10)))}
    scenario = scenario_from("smoke", "claims.1.expect=p99(kernel) <= 1.5 * p99(baseline)")
    return summarised(finished_run(tmp_path_factory.mktemp("results"), scenario, by_strategy))


def cells(text: str, first: str) -> list[list[str]]:
    """The lines of `text` that begin with the word `first`, split at their columns."""
    return [line.split() for line in text.splitlines() if line.split()[:1] == [first]]


def test_published_figures_stand_below_ours(summary: Summary) -> None:
    text = printed(summary)
    ours = summary.arms[0].strategies["baseline"].latency_ms
    latency, _ = cells(text, "baseline")
    assert latency[1:5] == [*(f"{ours[name]:.2f}" for name in ("p50", "p95", "p99")), f"~{ours['max']:.2f}"]
    assert cells(text, "published")[0] == ["published", "2.64", "3.17", "401.14", "401.60"]
    assert len(cells(text, "published")) == 3, "app-deadline was never published"


def test_quantiles_among_time_outs_say_so(summary: Summary) -> None:
    assert "> timeout" in printed(summary)
    assert "kernel: 50 of 500 requests were not answered in time" in printed(summary)


def test_hedges_are_listed_with_rate_load_duplicates_and_lateness(summary: Summary) -> None:
    kernel = summary.arms[0].strategies["kernel"]
    _, row, _ = cells(printed(summary), "kernel")
    assert row == [
        *("kernel", "10", "2.00", "%", "2.00", "%", "1"),
        *(f"{kernel.lateness_us['p50']:.0f}", f"~{kernel.lateness_us['p99']:.0f}"),
    ]


def test_claims_are_listed_with_verdict_and_reason(summary: Summary) -> None:
    text = printed(summary)
    assert cells(text, "no-duplicates") == [["no-duplicates", "refuted", "1", "duplicates(kernel)", "==", "0"]]
    assert "p99-kernel: p99(kernel) falls among requests without an answer (> 450ms)" in text


def test_the_last_lines_say_what_was_measured_on_and_how_far_to_believe_it(summary: Summary) -> None:
    *_, measured_on, arrivals, verdict = printed(summary).splitlines()
    assert measured_on == f"{summary.run}: backend netns, engine clone, delay line htb; 5 blocks of each strategy"
    assert "coordinated omission" in arrivals
    assert verdict == "Verdict: refuted"


def test_what_is_not_a_terminal_gets_plain_text(summary: Summary) -> None:
    text = printed(summary)
    assert text.startswith("Latency in ms\n  strategy ")
    assert "\x1b" not in text


def test_a_terminal_of_80_columns_shows_every_figure_whole(summary: Summary) -> None:
    file = io.StringIO()
    render(view(summary), Console(file=file, width=80, force_terminal=True, color_system=None))
    text = file.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    for strategy, entry in summary.arms[0].strategies.items():
        assert strategy in text
        assert f"{entry.latency_ms['p50']:.2f}" in text
    assert "late P99" in text


def test_a_run_without_claims_and_published_figures_has_no_empty_tables(tmp_path: Path) -> None:
    scenario = scenario_from("smoke", "claims=[]", "published={}", "strategies=[baseline]")
    text = printed(summarised(finished_run(tmp_path, scenario)))
    assert "Claims" not in text
    assert "published" not in text
    assert "Verdict" not in text


def test_figures_that_a_sample_does_not_carry_are_marked_and_explained(summary: Summary) -> None:
    """10 hedges carry no P99, and none of 500 requests a maximum; on a terminal they are dim, else after a ~."""
    late_us = summary.arms[0].strategies["kernel"].lateness_us["p99"]
    text, file = printed(summary), io.StringIO()
    assert f"~{late_us:.0f}" in text
    assert "~: a maximum, or a quantile of fewer values than bound it" in text
    render(view(summary), Console(file=file, width=80, force_terminal=True))
    assert re.search(rf"\x1b\[2m *{late_us:.0f}\b", file.getvalue())
    assert "dim: a maximum" in file.getvalue()


@pytest.mark.parametrize(
    ("observed", "unit", "ci95", "words"),
    [
        (0.0316, "ratio", (0.031, None), "0.0316 (0.0310 to unbounded)"),
        (12.7, "ms", (12.5, None), "12.70 ms (12.50 to > timeout)"),
        (-12.7, "ms", (None, 3.0), "\N{MINUS SIGN}12.70 ms (unbounded to 3.00)"),
        (12.7, "ms", (12.5, 13.0), "12.70 ms (12.50 to 13.00)"),
        (0.125, "share", (0.12, 0.13), "12.50 % (12.00 to 13.00)"),
        (-0.0121, "ms", (-0.0344, 0.011), "\N{MINUS SIGN}0.012 ms (\N{MINUS SIGN}0.034 to 0.011)"),
        (61.2, "us", None, "61 µs"),
        (3.0, "count", None, "3"),
        (None, "ms", None, "-"),
    ],
)
def test_observations_have_their_unit(observed: float | None, unit: str, ci95: Interval | None, words: str) -> None:
    claim = ClaimVerdict(
        id="x", text="", verdict="supported", observed=observed, ci95=ci95, unit=unit, expect="p99(kernel) <= 1ms"
    )
    assert format_observed(claim) == words


@pytest.mark.parametrize(
    ("observed", "unit", "proves", "words"),
    [
        (0.0, "count", Proven(side="at most", share=0.000599, events=0, of=5000), "0 (proves at most 0.06 %)"),
        (
            1.0,
            "share",
            Proven(side="at least", share=0.9705, events=100, of=100),
            "100.00 % (proves at least 97.05 %)",
        ),
    ],
)
def test_what_was_counted_shows_what_that_proves(observed: float, unit: str, proves: Proven, words: str) -> None:
    counted = ClaimVerdict(
        id="x", text="", verdict="supported", observed=observed, ci95=None, unit=unit, expect="", proves=proves
    )
    assert format_observed(counted) == words


@pytest.mark.parametrize(
    ("p_adjusted", "p_floor", "words"),
    [
        (None, 0.0625, ""),
        (0.0625, 0.0625, "p \N{LESS-THAN OR EQUAL TO} 0.0625"),
        (0.19, 0.0625, "p = 0.19"),
        (0.0004, None, "p < 0.001"),
    ],
)
def test_a_p_value_is_no_smaller_than_its_blocks_can_show(
    p_adjusted: float | None, p_floor: float | None, words: str
) -> None:
    found = replace(claim("x", "supported"), p_adjusted=p_adjusted, p_floor=p_floor)
    assert format_claim_p(found) == words


def test_lateness_from_the_intended_time_stands_beside_that_from_the_departure(summary: Summary) -> None:
    table = lateness_table(summary.arms[0])
    assert table.header[3:] == ("max", "intended P50", "intended P99", "intended max")
    kernel = summary.arms[0].strategies["kernel"]
    (row,) = (row.cells for row in table.rows if row.cells[0] == "kernel")
    assert row[4] == f"{kernel.lateness_from_intended_us['p50']:.0f}"
    assert "baseline" not in [row.cells[0] for row in table.rows]


RATIO, DIFFERENCE = (0.4, 0.6), (-3.0, -1.0)


@pytest.mark.parametrize(
    ("ratio", "ratio_ci95", "difference", "difference_ci95", "censored", "words"),
    [
        (0.5, RATIO, -2.0, DIFFERENCE, (), ("0.5000 (0.4000 to 0.6000)", "-2.000 (-3.000 to -1.000)")),
        (
            *(None, RATIO, None, DIFFERENCE, ("strategy",)),
            ("> timeout (0.4000 to 0.6000)", "> timeout (-3.000 to -1.000)"),
        ),
        (
            *(None, (1.5, None), None, (None, -5.0), ("strategy",)),
            ("> timeout (1.5000 to unbounded)", "> timeout (unbounded to -5.000)"),
        ),
        (
            *(None, None, None, (None, -5.0), ("with",)),
            ("other > timeout", "other > timeout (unbounded to -5.000)"),
        ),
        (None, None, None, None, ("strategy", "with"), ("both > timeout", "both > timeout")),
        (None, None, None, None, (), ("-", "-")),
    ],
)
def test_a_comparison_has_its_interval_or_says_what_is_censored(
    ratio: float | None,
    ratio_ci95: Interval | None,
    difference: float | None,
    difference_ci95: Interval | None,
    censored: tuple[str, ...],
    words: tuple[str, str],
) -> None:
    row = Difference(
        ratio=ratio,
        ratio_ci95=ratio_ci95,
        difference_ms=difference,
        difference_ci95_ms=difference_ci95,
        censored=censored,
    )
    assert format_difference(row, "ratio", 4) == words[0]
    minus = words[1].replace("-", "\N{MINUS SIGN}") if words[1] != "-" else words[1]
    assert format_difference(row, "difference", 3) == minus


def test_the_control_says_what_it_found_and_why_it_found_nothing() -> None:
    control = ControlResult(
        strategy="baseline", requests=(75, 75), no_effect=None, figures={}, reason="51 of 150 were not answered"
    )
    halves = "A/A control: 75 requests of the baseline against its other 75."
    assert control_note(control) == f"{halves} No intervals: 51 of 150 were not answered."
    assert control_note(replace(control, reason="")) == f"{halves} No intervals."  # early summaries have none
    assert "the noise within blocks" in control_note(replace(control, no_effect=True))
    assert "Chance alone causes that in one run of twenty" in control_note(replace(control, no_effect=False))


def test_the_comparisons_say_what_their_intervals_promise(summary: Summary) -> None:
    (arm,) = summary.arms
    assert arm.control is not None
    alone = sum(row.ratio_ci95 is not None for row in arm.comparisons)
    assert alone > 0
    assert (arm.control.intervals_together, arm.control.level_of_each) == (3, 0.983333)  # too few requests for P99s
    assert comparison_table(arm).title == (
        "Against each other, paired by round, with 95 % intervals each taken alone (not adjusted for there being "
        f"{alone}); those of the baseline against itself hold in 95 % of runs all together (3 figures of "
        "this run, each at 98.33 %)"
    )
    before = replace(arm.control, intervals_together=None, level_of_each=None)  # as in summaries of number 2
    assert f"for there being {alone + 3})" in comparison_table(replace(arm, control=before)).title
    assert "may exclude 1" in control_note(replace(before, no_effect=True))
    assert "adjusted for all figures of all arms" in control_note(replace(arm.control, no_effect=True))
