"""The tables a person reads: published figures beside ours, verdicts with reasons, and what was measured on."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from orchestrator.analysis.summarise import summarise
from orchestrator.report import figures
from orchestrator.report.terminal import as_text, print_summary, render
from support.run_folder_factory import Story, finished_run, scenario_from

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A smoke run in which the kernel delivered one duplicate and left every tenth request unanswered."""
    stories = {"kernel": Story(duplicates=frozenset({3}), unanswered=frozenset(range(5, 500, 10)))}
    scenario = scenario_from("smoke", "claims.1.expect=p99(kernel) <= 600ms")
    return summarise(finished_run(tmp_path_factory.mktemp("results"), scenario, stories)).to_json()


def cells(text: str, first: str) -> list[list[str]]:
    """The lines of `text` that begin with the word `first`, split at their columns."""
    return [line.split() for line in text.splitlines() if line.split()[:1] == [first]]


def test_published_figures_stand_below_ours(summary: dict[str, Any]) -> None:
    text = as_text(summary)
    ours = summary["strategies"]["baseline"]["latency_ms"]
    latency, _ = cells(text, "baseline")
    assert latency[1:5] == [f"{ours[name]:.2f}" for name in ("p50", "p95", "p99", "max")]
    assert cells(text, "published")[0] == ["published", "2.64", "3.17", "401.14", "401.60"]
    assert len(cells(text, "published")) == 3, "app-deadline was never published"


def test_quantiles_among_time_outs_say_so(summary: dict[str, Any]) -> None:
    assert "> timeout" in as_text(summary)
    assert "kernel: 50 of 500 requests were not answered in time" in as_text(summary)


def test_hedges_are_told_with_rate_load_duplicates_and_lateness(summary: dict[str, Any]) -> None:
    kernel = summary["strategies"]["kernel"]
    _, row = cells(as_text(summary), "kernel")
    assert row == [
        *("kernel", "10", "2.00", "%", "2.00", "%", "1"),
        *(f"{kernel['lateness_us'][name]:.0f}" for name in ("p50", "p99")),
    ]


def test_claims_are_told_with_verdict_and_reason(summary: dict[str, Any]) -> None:
    text = as_text(summary)
    assert cells(text, "no-duplicates") == [["no-duplicates", "refuted", "1", "duplicates(kernel)", "==", "0"]]
    assert "p99-kernel: p99(kernel) falls among requests without an answer (> 450ms)" in text


def test_the_last_lines_say_what_was_measured_on_and_how_far_to_believe_it(summary: dict[str, Any]) -> None:
    *_, measured_on, arrivals, verdict = as_text(summary).splitlines()
    assert measured_on == f"{summary['run']}: backend netns, engine clone, delay line htb; 5 blocks of each strategy"
    assert "coordinated omission" in arrivals
    assert verdict == "Verdict: refuted"


def test_what_is_no_terminal_gets_plain_text(summary: dict[str, Any]) -> None:
    file = io.StringIO()
    print_summary(summary, file)
    assert file.getvalue() == as_text(summary)
    assert "\x1b" not in file.getvalue()


def test_a_terminal_of_80_columns_shows_every_figure_whole(summary: dict[str, Any]) -> None:
    file = io.StringIO()
    render(summary, Console(file=file, width=80, force_terminal=True, color_system=None))
    shown = file.getvalue()
    assert max(map(len, shown.splitlines())) <= 80
    for strategy, entry in summary["strategies"].items():
        assert strategy in shown
        assert f"{entry['latency_ms']['p50']:.2f}" in shown
    assert "late P99" in shown


def test_a_run_without_claims_and_published_figures_has_no_empty_tables(tmp_path: Path) -> None:
    scenario = scenario_from("smoke", "claims=[]", "published={}", "strategies=[baseline]")
    text = as_text(summarise(finished_run(tmp_path, scenario)).to_json())
    assert "Claims" not in text
    assert "published" not in text
    assert "Verdict" not in text


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        ({"observed": 0.0316, "unit": "ratio", "ci95": [0.031, None]}, "0.0316 (0.0310 to unbounded)"),
        ({"observed": 12.7, "unit": "ms", "ci95": [12.5, None]}, "12.70 ms (12.50 to > timeout)"),
        ({"observed": -12.7, "unit": "ms", "ci95": [None, 3.0]}, "-12.70 ms (unbounded to 3.00)"),
        ({"observed": 12.7, "unit": "ms", "ci95": [12.5, 13.0]}, "12.70 ms (12.50 to 13.00)"),
        ({"observed": 61.2, "unit": "us", "ci95": None}, "61 µs"),
        ({"observed": 3.0, "unit": "count", "ci95": None}, "3"),
        ({"observed": None, "unit": "ms", "ci95": None}, "-"),
    ],
)
def test_observations_are_told_in_their_unit(claim: dict[str, Any], words: str) -> None:
    assert figures.observed(claim) == words


@pytest.mark.parametrize(
    ("row", "ratio", "difference"),
    [
        ({"ratio": 0.5, "difference_ms": -2.0}, "0.5000 (0.4000 to 0.6000)", "-2.000 (-3.000 to -1.000)"),
        (
            {"ratio": None, "difference_ms": None, "censored": ["strategy"]},
            "> timeout (0.4000 to 0.6000)",
            "> timeout (-3.000 to -1.000)",
        ),
        (
            {"ratio": None, "ratio_ci95": [1.5, None], "censored": ["strategy"]},
            "> timeout (1.5000 to unbounded)",
            None,
        ),
        (
            {"difference_ms": None, "difference_ci95_ms": [None, -5.0], "censored": ["with"]},
            None,
            "other > timeout (unbounded to -5.000)",
        ),
        ({"ratio": None, "ratio_ci95": None, "censored": ["strategy", "with"]}, "both > timeout", None),
        ({"ratio": None, "ratio_ci95": None}, "-", None),
    ],
)
def test_a_comparison_is_told_with_its_interval_or_with_what_is_censored(
    row: dict[str, Any], ratio: str | None, difference: str | None
) -> None:
    whole = {"ratio": 0.5, "ratio_ci95": [0.4, 0.6], "difference_ms": -2.0, "difference_ci95_ms": [-3.0, -1.0], **row}
    if ratio is not None:
        assert figures.compared(whole, "ratio", 4) == ratio
    if difference is not None:
        assert figures.compared(whole, "difference", 3) == difference.replace("-", "\N{MINUS SIGN}")


def test_the_control_says_what_it_found_and_why_it_found_nothing() -> None:
    entry: dict[str, Any] = {"requests": [75, 75], "null": None, "reason": "51 of 150 requests were not answered"}
    assert figures.control_words(entry) == (
        "A/A control: 75 requests of the baseline against its other 75. No intervals: 51 of 150 requests were not "
        "answered."
    )
    del entry["reason"]  # summaries of before it was told
    assert figures.control_words(entry).endswith("its other 75. No intervals.")
    assert "the noise within blocks" in figures.control_words({**entry, "null": True})
    assert "Chance alone shows one in one run of twenty" in figures.control_words({**entry, "null": False})
