"""The sentence that sets what hedging cost beside what it gained."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from orchestrator.report.gain import gain_and_cost
from orchestrator.report.markdown import as_markdown
from orchestrator.runfolder.summary import Comparison, Interval
from support.run_folder_factory import finished_run, scenario_from, summarised
from support.summaries import printed, summary_of

if TYPE_CHECKING:
    from orchestrator.runfolder.summary import ArmSummary


MINUS = "\N{MINUS SIGN}"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> ArmSummary:
    """Figures of a smoke run: each strategy that hedges sent 2 % more."""
    return summarised(finished_run(tmp_path_factory.mktemp("results"), scenario_from("smoke"))).arms[0]


def row(strategy: str, figure: str, ratio: float | None, difference_ms: float, *, blocks: bool = True) -> Comparison:
    """A comparison with the baseline, with intervals where there are enough `blocks`."""
    ends: Interval | None = (0.031, 0.0314) if blocks else None
    ends_ms: Interval | None = (-0.014, 0.061) if blocks else None
    return Comparison(
        strategy=strategy,
        reference="baseline",
        figure=figure,
        ratio=ratio,
        ratio_ci95=ends,
        difference_ms=difference_ms,
        difference_ci95_ms=ends_ms,
    )


def arm_of(measured: ArmSummary, name: str | None, *strategies: str, ratio: float = 0.0312) -> ArmSummary:
    """An arm with a P99 of 402.4 ms for the baseline and 12.4 ms for the others."""
    figures = {
        strategy: replace(
            measured.strategies[strategy], latency_ms={"p99": 402.4 if strategy == "baseline" else 12.4}, censored=()
        )
        for strategy in ("baseline", *strategies)
    }
    rows = [row(strategy, *one) for strategy in strategies for one in (("p50", 1.0, 0.033), ("p99", ratio, -390.0))]
    return replace(measured, name=name, strategies=figures, comparisons=tuple(rows))


def test_gain_and_cost_are_in_one_sentence(measured: ArmSummary) -> None:
    assert gain_and_cost(summary_of(arm_of(measured, None, "app-deadline", "kernel"))) == [
        "kernel against baseline: P99 402.40 ms → 12.40 ms (ratio 0.0312, 0.031 to 0.0314); "
        f"cost: P50 +33 µs ({MINUS}14 to 61), hedges 2.00 % of requests."
    ]


def test_without_the_kernel_it_is_about_the_best(measured: ArmSummary) -> None:
    arm = arm_of(measured, None, "app-deadline", "app-seed")
    better = row("app-seed", "p99", 0.02, -392.0, blocks=False)
    (line,) = gain_and_cost(summary_of(replace(arm, comparisons=(*arm.comparisons[:3], better))))
    assert line.startswith("app-seed against baseline: P99 402.40 ms → 12.40 ms (ratio 0.02); cost: P50 +33 µs")


def test_a_quantile_among_time_outs_has_no_ratio(measured: ArmSummary) -> None:
    arm = arm_of(measured, None, "kernel")
    figures = {**arm.strategies, "baseline": replace(arm.strategies["baseline"], censored=("p99",))}
    rows = (arm.comparisons[0], replace(arm.comparisons[1], ratio=None, censored=("with",)))
    (line,) = gain_and_cost(summary_of(replace(arm, strategies=figures, comparisons=rows)))
    assert "P99 > timeout → 12.40 ms; cost: P50" in line


def test_a_few_arms_have_a_sentence_each_and_many_share_one(measured: ArmSummary) -> None:
    few = summary_of(*(arm_of(measured, name, "kernel") for name in ("quiet", "loud")))
    assert [line.partition(" against")[0] for line in gain_and_cost(few)] == ["quiet, kernel", "loud, kernel"]
    many = summary_of(*(arm_of(measured, str(index), "kernel", ratio=index / 10) for index in range(1, 6)))
    assert gain_and_cost(many) == [
        "kernel against baseline in 5 arms: P99 by the ratio 0.1 to 0.5; "
        "cost: P50 +33 to +33 µs, hedges 2.00 to 2.00 % of requests."
    ]


def test_a_median_that_is_much_longer_is_told_in_ms(measured: ArmSummary) -> None:
    arm = arm_of(measured, None, "kernel")
    slower = replace(arm.comparisons[0], difference_ms=298.889, difference_ci95_ms=(210.0, 350.5))
    (line,) = gain_and_cost(summary_of(replace(arm, comparisons=(slower, arm.comparisons[1]))))
    assert "cost: P50 +298.89 ms (210.00 to 350.50), hedges" in line


def test_where_nothing_hedges_nothing_is_said(measured: ArmSummary) -> None:
    assert gain_and_cost(summary_of(arm_of(measured, None))) == []


def test_it_stands_first_in_markdown_and_last_but_the_notes_in_a_terminal(measured: ArmSummary) -> None:
    summary = summary_of(arm_of(measured, None, "kernel"), verdict="supported")
    (line,) = gain_and_cost(summary)
    assert as_markdown(summary).splitlines()[2].startswith("kernel against baseline: P99 402.40 ms")
    open_arm = replace(summary.arms[0], arrivals="open", control=None)
    *_, lead, _measured_on, verdict = printed(replace(summary, arms=(open_arm,))).splitlines()
    assert (lead, verdict) == (line, "Verdict: supported")
