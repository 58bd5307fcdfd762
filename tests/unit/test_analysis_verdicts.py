"""Verdicts on claims: by the interval, by the count where something is counted, and "cannot tell" with the reason."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hedgerow_node.units import NS_PER_MS, NS_PER_US
from orchestrator.analysis.judge.evidence import Evidence
from orchestrator.analysis.judge.verdicts import Decision, judge, overall
from orchestrator.analysis.statistics import Rounds, critical
from orchestrator.claims.grammar import parse_claim
from orchestrator.runfolder.tables import write_tables
from support.run_folder_factory import ScenarioOverride, data_of, plan_of, raw_run, scenario_from
from support.simulated_runs import measures, simulated

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def evidence_of(tmp_path: Path, by_strategy: Mapping[str, ScenarioOverride], *overrides: str) -> Evidence:
    """What a smoke run gives to judge on, with what is changed `by_strategy`."""
    scenario = scenario_from("smoke", *overrides)
    folder = raw_run(tmp_path, scenario, by_strategy)
    write_tables(folder, plan_of(scenario))
    run = data_of(folder)
    return Evidence(run.arms[0].measures, run.resamples, scenario.workload.timeout_ns)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """A run in which everything went as it should."""
    return evidence_of(tmp_path_factory.mktemp("quiet"), {})


def found(claim: str, evidence: Evidence) -> Decision:
    return judge(parse_claim(claim), evidence)


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        ("p99(kernel) <= 0.04 * p99(baseline)", "supported"),
        ("p99(kernel) >= 0.04 * p99(baseline)", "refuted"),
        ("p99(baseline) - p99(kernel) > 380ms", "supported"),
        ("p50(kernel) < p50(baseline)", "inconclusive"),
        ("rate(kernel) == 2%", "inconclusive"),
        ("rate(kernel) == 3%", "inconclusive"),
        ("rate(kernel) == 10%", "refuted"),
        ("rate(kernel) >= 2%", "inconclusive"),
        ("rate(kernel) <= 2%", "inconclusive"),
        ("rate(kernel) < 2.0001%", "inconclusive"),
        ("rate(kernel) >= 0.5%", "supported"),
        ("p99(kernel) ~ p99(app-deadline) within 50%", "supported"),
        ("p99(kernel) ~ p99(baseline) within 50%", "refuted"),
        ("p99(baseline) ~ p99(kernel) within 50%", "refuted"),
        ("p50(kernel) ~ p50(baseline) within 0.01%", "inconclusive"),
        ("p99(kernel) ~ 12.7ms within 5ms", "supported"),
        ("p99(kernel) ~ p99(baseline) within 1ms", "refuted"),
        ("mean(kernel) == mean(baseline)", "refuted"),
        ("p50(kernel) == p50(baseline)", "inconclusive"),
        ("-p99(kernel) < 0ms", "supported"),
        ("15ms >= p99(kernel)", "supported"),
        ("answered(kernel) == 100%", "inconclusive"),
        ("extra_load(app-seed) <= 2%", "inconclusive"),
        ("extra_load(app-seed) <= 5%", "supported"),
        ("max(kernel) < 20ms", "supported"),
        ("max(kernel) < 12ms", "refuted"),
        ("lateness_p50(kernel) < lateness_p50(app-deadline)", "supported"),
        ("lateness_max(app-seed) <= 100us", "refuted"),
        ("duplicates(kernel) == 0", "supported"),
        ("stalled_hedged(kernel) == 100%", "inconclusive"),
        ("stalled_hedged(kernel) >= 95%", "inconclusive"),
        ("stalled_hedged(kernel) >= 50%", "supported"),
    ],
)
def test_verdicts_of_a_quiet_run(quiet: Evidence, claim: str, verdict: str) -> None:
    assert found(claim, quiet).verdict == verdict


def test_two_figures_are_reported_as_their_ratio_without_the_factor(quiet: Evidence) -> None:
    for claim in (
        "p99(kernel) <= 0.04 * p99(baseline)",
        "p99(kernel) <= p99(baseline) * 0.04",
        "p99(kernel) <= p99(baseline) / 25",
        "p99(kernel) <= 2 * p99(baseline) / 50",
        "p99(kernel) <= p99(baseline)",
    ):
        finding = found(claim, quiet)
        assert finding.unit == "ratio"
        assert finding.observed is not None
        assert finding.observed == pytest.approx(12.7 / 402.6, rel=0.03)
        assert finding.ci95 is not None
        low, high = finding.ci95
        assert low is not None
        assert high is not None
        assert low <= finding.observed <= high


@pytest.mark.parametrize(
    ("claim", "unit", "about"),
    [
        ("p99(kernel) <= 15ms", "ms", 12.7),
        ("15ms >= p99(kernel)", "ms", 12.7),
        ("lateness_p50(kernel) <= 150us", "us", 60),
        ("rate(kernel) <= 4%", "share", 0.02),
    ],
)
def test_one_figure_is_told_in_its_unit(quiet: Evidence, claim: str, unit: str, about: float) -> None:
    finding = found(claim, quiet)
    assert finding.unit == unit
    assert finding.observed == pytest.approx(about, rel=0.1)
    assert finding.ci95 is not None


def test_what_cannot_be_decided_says_why(quiet: Evidence) -> None:
    straddling = found("p50(kernel) < p50(baseline)", quiet)
    assert straddling.requests_needed is not None
    assert straddling.reason == (
        f"the 95 % interval straddles the bound; about {straddling.requests_needed:,} requests of each strategy "
        "would decide it"
    )
    few = found("lateness_p99(kernel) < 1ms", quiet)
    assert (few.verdict, few.reason) == ("inconclusive", "lateness_p99(kernel) needs 368 hedges, there are 10")
    assert found("p99(kernel) <= 15ms", quiet).reason == ""


def test_one_duplicate_refutes_that_there_is_none(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, {"kernel": ScenarioOverride(duplicates=frozenset({3}))})
    finding = found("duplicates(kernel) == 0", evidence)
    assert (finding.verdict, finding.observed, finding.ci95, finding.unit) == ("refuted", 1.0, None, "count")


def test_a_maximum_is_judged_as_it_was_in_this_run(tmp_path: Path) -> None:
    """No sample says how large it can become, so it is counted, not estimated."""
    evidence = evidence_of(tmp_path, {"kernel": ScenarioOverride(unanswered=frozenset({499}))})
    beyond = found("max(kernel) <= 100ms", evidence)
    assert (beyond.verdict, beyond.observed, beyond.ci95, beyond.p_value) == ("refuted", None, None, None)
    unknown = found("max(kernel) <= 600ms", evidence)
    assert (unknown.verdict, unknown.reason) == (
        "inconclusive",
        "max(kernel) falls among requests without an answer (> 450ms)",
    )
    assert found("lateness_max(kernel) <= 1ms", evidence).verdict == "supported"


def test_a_share_without_an_event_is_as_sure_as_its_number_of_requests(tmp_path: Path) -> None:
    """Of 500 requests all were answered; were one in a thousand lost, that would happen in three of five runs."""
    evidence = evidence_of(tmp_path, {})
    tight = found("answered(kernel) >= 99.9%", evidence)
    assert (tight.verdict, tight.p_value) == ("inconclusive", 1.0)
    assert tight.reason.startswith("they were all alike, but too few to tell that from the bound; about ")
    assert tight.requests_needed is not None
    assert 3_600 < tight.requests_needed <= 4_000  # 2 * 0.999^n = 0.05
    loose = found("answered(kernel) >= 99%", evidence)
    assert loose.verdict == "supported"
    assert loose.p_value == pytest.approx(2 * 0.99**500, rel=0.01)
    assert tight.p_assumes == loose.p_assumes == "requests are independent of each other"
    assert found("p99(kernel) <= 15ms", evidence).p_assumes == ""
    assert found("rate(baseline) <= 0.1%", evidence).verdict == "inconclusive"
    never = found("answered(kernel) >= 100%", evidence)
    assert (never.verdict, never.requests_needed) == ("inconclusive", None)


@pytest.mark.parametrize(
    ("spellings", "verdict"),
    [
        (
            ("answered(kernel) >= 99.5%", "1000 * answered(kernel) >= 995", "1 - answered(kernel) <= 0.5%"),
            "inconclusive",
        ),
        (("rate(baseline) <= 0.5%", "100 * rate(baseline) <= 0.5", "rate(baseline) / 4 <= 0.125%"), "inconclusive"),
        (("rate(baseline) + rate(baseline) <= 1%", "2 * rate(baseline) <= 1%"), "inconclusive"),
        (("rate(baseline) <= 1%", "100 * rate(baseline) <= 1", "-rate(baseline) >= -1%"), "supported"),
        (("rate(kernel) <= 10 * rate(baseline)", "0.1 * rate(kernel) <= rate(baseline)"), "inconclusive"),
        (("rate(kernel) <= rate(baseline)", "1000 * rate(kernel) <= 1000 * rate(baseline)"), "refuted"),
    ],
)
def test_a_share_without_an_event_is_judged_alike_in_any_multiple(
    quiet: Evidence, spellings: tuple[str, ...], verdict: str
) -> None:
    """500 requests each; what counts is by how much the share itself would have to be another one."""
    findings = [found(claim, quiet) for claim in spellings]
    assert {finding.verdict for finding in findings} == {verdict}
    first, *others = [finding.p_value for finding in findings]
    assert others == [pytest.approx(first, rel=1e-3)] * len(others)


@pytest.mark.parametrize("milliseconds", [7.5, 7.8, 7.9])
def test_one_claim_in_five_spellings_has_one_verdict_and_one_p(quiet: Evidence, milliseconds: float) -> None:
    findings = [
        found(claim, quiet)
        for claim in (
            f"mean(kernel) - mean(baseline) <= -{milliseconds}ms",
            f"mean(baseline) - mean(kernel) >= {milliseconds}ms",
            f"mean(kernel) + {milliseconds}ms <= mean(baseline)",
            f"mean(kernel) <= mean(baseline) - {milliseconds}ms",
            f"2 * (mean(baseline) - mean(kernel)) >= {2 * milliseconds}ms",
        )
    ]
    assert len({(finding.verdict, finding.p_value) for finding in findings}) == 1


@pytest.mark.parametrize("claim", ["p50(app-deadline) < p50(app-seed)", "p50(kernel) < p50(app-seed)"])
def test_the_requests_needed_follow_from_p(quiet: Evidence, claim: str) -> None:
    """Here more resamples lie on the other side than the standard error alone lets expect."""
    finding = found(claim, quiet)
    assert finding.p_value is not None
    assert finding.requests_needed is not None
    times = (critical(0.05, 5) / critical(finding.p_value, 5)) ** 2
    assert 500 * times <= finding.requests_needed <= 1.1 * 500 * times


def test_an_answer_may_be_accepted_after_the_time_out(tmp_path: Path) -> None:
    """By a client that was held up; what had no answer then took at least as long."""
    evidence = evidence_of(tmp_path, {"kernel": ScenarioOverride(unanswered=frozenset({499}))})
    slow = evidence.measures["kernel"]
    groups = [np.append(group[:-1], 3e9) if index == 0 else group for index, group in enumerate(slow.latency.groups)]
    slow.latency = Rounds(np.concatenate(groups), np.repeat(np.arange(5), [len(group) for group in groups]), 5)
    slow.longest_answered_ns = 3e9
    assert found("max(kernel) <= 2s", evidence).verdict == "refuted"


def test_one_stall_without_a_hedge_refutes_that_all_are_hedged(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, {"kernel": ScenarioOverride(unhedged=frozenset({100}))})
    for claim in ("stalled_hedged(kernel) == 100%", "stalled_hedged(kernel) >= 100%"):
        finding = found(claim, evidence)
        assert (finding.verdict, finding.observed, finding.p_value) == ("refuted", 0.9, 0.0)
    assert found("stalled_hedged(kernel) >= 95%", evidence).verdict == "inconclusive"


def test_four_blocks_can_count_but_not_estimate(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, {}, "design.blocks=4")
    estimated = found("p99(kernel) <= 15ms", evidence)
    assert (estimated.verdict, estimated.ci95) == ("inconclusive", None)
    assert estimated.reason == "4 blocks give no interval, 5 are needed"
    assert estimated.observed is not None
    assert found("duplicates(kernel) == 0", evidence).verdict == "supported"


#: In every block 4 of 100 requests have no answer: P99 falls among them, P95 does not.
HOLES = ScenarioOverride(unanswered=frozenset(block * 100 + id_ for block in range(5) for id_ in (40, 50, 60, 70)))


def test_a_censored_quantile_is_judged_by_what_it_must_exceed(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, {"kernel": HOLES})
    beyond = found("p99(kernel) <= 15ms", evidence)
    assert (beyond.verdict, beyond.observed, beyond.ci95) == ("refuted", None, None)
    assert found("p90(kernel) <= 15ms", evidence).verdict == "supported"
    narrow = found("p95(kernel) <= 15ms", evidence)
    assert (narrow.verdict, "no more requests would be longer" in narrow.reason) == ("inconclusive", True)
    unknown = found("p99(kernel) <= 600ms", evidence)
    assert (unknown.verdict, unknown.reason) == (
        "inconclusive",
        "p99(kernel) falls among requests without an answer (> 450ms)",
    )


def test_a_censored_reference_may_still_be_long_enough(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, {"baseline": HOLES})
    assert found("p99(kernel) <= 0.04 * p99(baseline)", evidence).verdict == "supported"
    assert found("p99(kernel) <= 0.02 * p99(baseline)", evidence).verdict == "inconclusive"


def test_two_censored_quantiles_cannot_be_compared(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, {"baseline": HOLES, "kernel": HOLES})
    assert found("p99(kernel) < p99(baseline)", evidence).verdict == "inconclusive"


def test_a_mean_with_unanswered_requests_is_at_least_what_the_time_out_makes_it(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, {"kernel": HOLES})
    assert found("mean(kernel) <= 10ms", evidence).verdict == "refuted"
    assert found("mean(kernel) <= 400ms", evidence).verdict == "inconclusive"


def test_a_division_by_zero_is_not_decided(quiet: Evidence) -> None:
    finding = found("rate(kernel) / rate(baseline) >= 1", quiet)
    assert (finding.verdict, finding.observed) == ("inconclusive", None)
    assert finding.reason == "the claim divides by zero in some resamples"


def test_counts_whose_ratio_divides_by_zero_refute_nothing(quiet: Evidence) -> None:
    finding = found("duplicates(kernel) / duplicates(baseline) <= 1", quiet)
    assert (finding.verdict, finding.observed, finding.reason) == ("inconclusive", None, "the claim divides by zero")


def test_rounding_decides_no_claim_whose_sides_are_equal(tmp_path: Path) -> None:
    """7 of 1,000 in every block: 0.7 / 100, 1 - 0.993 and 7 / 1,000 are three different floating-point numbers."""
    lost = frozenset(block * 1000 + id_ for block in range(5) for id_ in range(40, 47))
    evidence = evidence_of(tmp_path, {"kernel": ScenarioOverride(unanswered=lost)}, "workload.requests=5000")
    for operator in ("<=", "==", ">=", "<", ">"):
        for left, right in (("answered(kernel)", "99.3%"), ("1 - answered(kernel)", "0.7%")):
            finding = found(f"{left} {operator} {right}", evidence)
            assert (finding.verdict, finding.p_value) == ("inconclusive", 1.0)


def test_a_figure_never_measured_needs_no_more_requests(quiet: Evidence) -> None:
    finding = found("send_lateness_p50(kernel) <= 1ms", quiet)
    assert (finding.verdict, finding.reason) == (
        "inconclusive",
        "send_lateness_p50(kernel) has no value in this run",
    )


def test_early_hedges_are_negative_lateness(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, {"kernel": ScenarioOverride(lateness_ns=-2 * NS_PER_MS)})
    assert found("lateness_max(kernel) < 0us", evidence).verdict == "supported"
    assert evidence.measures["kernel"].lateness.merged.max() < -500 * NS_PER_US


@pytest.mark.parametrize(
    ("verdicts", "worst"),
    [
        (["supported", "refuted", "inconclusive"], "refuted"),
        (["supported", "inconclusive"], "inconclusive"),
        (["supported"], "supported"),
        ([], None),
    ],
)
def test_a_runs_verdict_is_the_worst_of_its_claims(verdicts: list[str], worst: str | None) -> None:
    assert overall(verdicts) == worst  # type: ignore[arg-type]  # parametrised words are plain strings to mypy


def test_a_share_that_every_block_has_alike_is_no_surer_than_its_number_of_requests(quiet: Evidence) -> None:
    """10 of 500 in all, 2 in every block."""
    below = found("rate(kernel) <= 4%", quiet)
    tail = sum(math.comb(500, count) * 0.04**count * 0.96 ** (500 - count) for count in range(11))
    assert below.p_value == pytest.approx(2 * tail, rel=1e-3)
    assert (below.p_method, below.p_assumes) == (
        "the exact binomial tail at the bound",
        "requests are independent of each other",
    )
    assert below.ci95 == pytest.approx((0.00963, 0.036472), abs=1e-5)  # Clopper and Pearson's


def test_p_values_say_what_they_are_and_what_so_few_blocks_show_by_themselves(quiet: Evidence) -> None:
    finding = found("p99(kernel) <= 0.04 * p99(baseline)", quiet)
    assert (finding.p_method, finding.p_floor) == ("Student's t on 5 blocks", 0.0625)
    assert finding.p_value is not None
    assert finding.p_value < 0.001
    assert (finding.printed().p_value, finding.printed().p_adjusted) == (0.0625, 0.0625)
    counted = found("duplicates(kernel) == 0", quiet)
    assert (counted.printed().p_value, counted.p_method, counted.p_floor) == (None, "", None)


@pytest.mark.parametrize(
    ("claim", "side", "share", "events", "of"),
    [
        ("duplicates(kernel) == 0", "at most", 1 - 0.05 ** (1 / 500), 0, 500),
        ("duplicates(kernel) <= 3", "at most", 1 - 0.05 ** (1 / 500), 0, 500),
        ("stalled_hedged(kernel) >= 50%", "at least", 0.05 ** (1 / 10), 10, 10),
        ("answered(kernel) >= 99.9%", "at least", 0.05 ** (1 / 500), 500, 500),
        ("rate(baseline) <= 1%", "at most", 1 - 0.05 ** (1 / 500), 0, 500),
    ],
)
def test_a_count_without_events_says_what_it_bounds(
    quiet: Evidence, claim: str, side: str, share: float, events: int, of: int
) -> None:
    proves = found(claim, quiet).proves
    assert proves is not None
    assert (proves.side, proves.events, proves.of) == (side, events, of)
    assert proves.share == pytest.approx(share, abs=1e-6)


def test_a_count_with_events_or_a_maximum_bounds_nothing(quiet: Evidence, tmp_path: Path) -> None:
    assert found("max(kernel) <= 1s", quiet).proves is None
    evidence = evidence_of(tmp_path, {"kernel": ScenarioOverride(duplicates=frozenset({3}))})
    assert found("duplicates(kernel) <= 3", evidence).proves is None


@pytest.mark.parametrize(
    "claim", ["max(kernel) <= 2 * p99(kernel)", "lateness_max(kernel) <= 100 * lateness_p50(kernel)"]
)
def test_nothing_follows_from_a_maximum_about_figures_that_are_estimated(quiet: Evidence, claim: str) -> None:
    finding = found(claim, quiet)
    assert (finding.verdict, finding.p_value) == ("inconclusive", None)
    assert "is the largest of this run" in finding.reason


@pytest.mark.parametrize("claim", ["p99(kernel) <= p99(kernel)", "p99(kernel) < p99(kernel) + 1ns"])
def test_nothing_is_claimed_of_a_figure_that_is_compared_with_itself(quiet: Evidence, claim: str) -> None:
    finding = found(claim, quiet)
    assert (finding.verdict, finding.reason) == (
        "inconclusive",
        "the same figure stands on both sides, so that nothing is claimed of it",
    )


@pytest.mark.parametrize(
    "spellings",
    [
        ("p50(kernel) - p50(baseline) <= 20us", "p50(kernel) <= p50(baseline) + 20us"),
        (
            "p99(kernel) <= 0.04 * p99(baseline)",
            "p99(kernel) / p99(baseline) <= 0.04",
            "p99(kernel) <= p99(baseline) / 25",
        ),
        ("answered(kernel) >= 99%", "1 - answered(kernel) <= 1%", "2 * answered(kernel) >= 1.98"),
        ("mean(kernel) - mean(baseline) <= -2ms", "mean(kernel) + 2ms <= mean(baseline)"),
    ],
)
def test_one_claim_has_one_observed_value_however_it_is_written(quiet: Evidence, spellings: tuple[str, ...]) -> None:
    first, *others = [found(claim, quiet) for claim in spellings]
    for other in others:
        assert (other.observed, other.ci95, other.unit, other.verdict) == (
            first.observed,
            first.ci95,
            first.unit,
            first.verdict,
        )
        assert other.p_value == pytest.approx(first.p_value)


def test_a_bound_beyond_everything_that_was_seen_needs_no_more_than_enough_requests(tmp_path: Path) -> None:
    """No request was slower than 410 ms, but P99 falls among the stalled ones in some resamples and not in others."""
    evidence = evidence_of(tmp_path, {}, "service.stall.when='id % 84 == 0'")
    longest = evidence.once(parse_claim("max(baseline) <= 1s").left) / NS_PER_MS
    finding = found(f"p99(baseline) <= {longest + 1:.3f}ms", evidence)
    assert finding.p_value is not None
    assert finding.p_value <= 2 * 0.99**500
    assert finding.ci95 is not None
    assert finding.ci95[1] is not None
    assert finding.ci95[1] <= longest


def test_blocks_that_differ_a_lot_decide_only_what_one_more_of_them_could_not_change() -> None:
    """Sixfold between the fastest and the slowest; the other way of saying it is judged alike."""
    draws = np.random.default_rng(1)
    latency = draws.lognormal(0, 0.1, (10, 400)) * np.geomspace(1, 6, 10)[:, None] * 10 * NS_PER_MS
    evidence = simulated({"kernel": measures(latency), "baseline": measures(2 * latency)})
    near, far = (found(f"p50(kernel) <= {bound}ms", evidence) for bound in (60, 400))
    assert (near.verdict, far.verdict) == ("inconclusive", "supported")
    assert near.p_adjusted is not None
    assert near.p_adjusted <= 0.05
    assert near.reason == "blocks differ by 60% (standard deviation), so that one more could lie beyond the bound"
    assert found("p50(kernel) <= 0.6 * p50(baseline)", evidence).verdict == "supported"  # in each round
    assert found("p50(kernel) <= p50(baseline) + 1ms", evidence).verdict == "supported"  # which that implies
