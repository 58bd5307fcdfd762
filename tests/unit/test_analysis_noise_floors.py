"""Verdicts that are withheld: too many claims for the sample, or less to spare than noise alone makes."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from orchestrator.analysis.judge.evidence import Evidence
from orchestrator.analysis.judge.verdicts import Decision, judge, judge_all
from orchestrator.analysis.noise import HostNoise, halves
from orchestrator.analysis.statistics import Rounds
from orchestrator.claims.grammar import parse_claim
from support.run_folder_factory import ScenarioOverride, data_of, finished_run, scenario_from

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.analysis.measures import Measures

QUIET = HostNoise({"p50": 1e3, "p99": 2e3, "max": 5e3})
LOUD = HostNoise({"p50": 60e3, "p99": 1.5e6, "max": 9e6})


def evidence_of(tmp_path: Path, by_strategy: Mapping[str, ScenarioOverride], *overrides: str) -> Evidence:
    scenario = scenario_from("smoke", *overrides)
    run = data_of(finished_run(tmp_path, scenario, by_strategy))
    pair = halves(run.arms[0], run.round_numbers, seed=1)
    assert pair is not None
    return Evidence(run.arms[0].measures, run.resamples, scenario.workload.timeout_ns, pair, QUIET)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return evidence_of(tmp_path_factory.mktemp("results"), {}, "workload.requests=1000")


def slowed(half: Measures, factor: float) -> Measures:
    """A half whose every request took `factor` times as long."""
    slow = copy.copy(half)
    groups = half.latency.groups
    index = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    slow.latency = Rounds(np.concatenate(groups) * factor, index, len(groups))
    return slow


def found(claim: str, evidence: Evidence) -> Decision:
    return judge(parse_claim(claim), evidence)


def bound(evidence: Evidence, function: str, wanted_p: float) -> float:
    """A bound on the kernel's `function`, ms, whose claim has a p-value of about `wanted_p` alone."""
    low, high = 0.0, 1000.0
    observed = found(f"{function}(kernel) <= 1ms", evidence).observed
    assert observed is not None
    low = observed
    for _ in range(60):
        middle = (low + high) / 2
        finding = found(f"{function}(kernel) <= {middle:.6f}ms", replace(evidence, noise=None, halves=None))
        assert finding.p_value is not None
        low, high = (middle, high) if finding.p_value > wanted_p else (low, middle)
    return high


def test_a_claim_decided_alone_may_be_undecided_among_many(evidence: Evidence) -> None:
    evidence = replace(evidence, noise=None)
    close = f"mean(kernel) <= {bound(evidence, 'mean', 0.03):.6f}ms"
    alone = found(close, evidence)
    assert alone.verdict == "supported"
    assert alone.p_value == alone.p_adjusted
    among = judge_all([(parse_claim(claim), evidence) for claim in (close, "p50(kernel) <= 100ms", close)])
    assert [finding.verdict for finding in among] == ["inconclusive", "supported", "inconclusive"]
    assert among[0].p_value == alone.p_value
    assert among[0].p_adjusted is not None
    assert among[0].p_adjusted == pytest.approx(2 * (alone.p_value or 0), rel=0.01)
    alone_supported = f"alone it would be supported (by {alone.p_method}, p = 0.03), "
    assert among[0].reason.startswith(f"{alone_supported}but 3 claims were judged together")
    assert among[0].requests_needed is not None
    assert among[0].requests_needed > 1000


def test_counted_claims_do_not_count_for_holm(evidence: Evidence) -> None:
    evidence = replace(evidence, noise=None)
    close = parse_claim(f"mean(kernel) <= {bound(evidence, 'mean', 0.03):.6f}ms")
    counted = [parse_claim(claim) for claim in ("duplicates(kernel) == 0", "max(kernel) <= 1s")]
    findings = judge_all([(claim, evidence) for claim in (close, *counted)])
    assert [finding.verdict for finding in findings] == ["supported"] * 3
    assert [finding.p_value for finding in findings[1:]] == [None, None]


def test_the_requests_needed_do_decide_the_claim(tmp_path: Path) -> None:
    """Of the same run with so many requests the claim is decided; with a tenth of them it is not."""
    claim = "p50(app-deadline) <= 1.01 * p50(kernel)"
    small = found(claim, evidence_of(tmp_path / "small", {}))
    assert small.verdict == "inconclusive"
    assert small.requests_needed is not None
    assert str(f"{small.requests_needed:,}") in small.reason
    assert 1_000 < small.requests_needed < 1_000_000


def test_too_few_values_say_how_many_requests_would_give_enough(evidence: Evidence) -> None:
    few = found("lateness_p99(kernel) < 1ms", evidence)
    assert few.reason == "lateness_p99(kernel) needs 368 hedges, there are 20"
    assert few.requests_needed == math.ceil(1000 * 368 / 20)


def test_a_comparison_within_the_baselines_own_noise_is_not_decided(evidence: Evidence) -> None:
    """A baseline of which one half is half as slow again as the other can vouch for no effect of ten percent."""
    assert evidence.halves is not None
    torn = replace(evidence, halves=(evidence.halves[0], slowed(evidence.halves[1], 1.5)))
    observed = found("p50(kernel) <= p50(baseline)", evidence).observed
    assert observed is not None
    claim = f"p50(kernel) <= {observed * 1.1:.4f} * p50(baseline)"
    assert found(claim, evidence).verdict == "supported"
    withheld = found(claim, torn)
    assert withheld.verdict == "inconclusive"
    assert withheld.reason.startswith("below the noise floor: baseline against baseline, the claim moves by up to ")
    assert withheld.requests_needed is not None
    assert found(f"p50(kernel) <= {observed * 9:.4f} * p50(baseline)", torn).verdict == "supported"


def test_a_claim_without_the_baseline_ignores_the_control(evidence: Evidence) -> None:
    assert found("p99(kernel) <= 15ms", evidence).verdict == "supported"
    assert found("p99(baseline) >= 300ms", evidence).verdict == "supported"


def test_an_effect_within_the_hosts_noise_is_not_decided(evidence: Evidence) -> None:
    """The reference may be too long by as much as wake-ups are late."""
    p99 = found("p99(kernel) <= p99(app-deadline)", evidence)
    assert p99.observed is not None
    near = "p99(kernel) <= p99(app-deadline) + 1ms"
    assert found(near, evidence).verdict == "supported"
    loud = found(near, replace(evidence, noise=LOUD))
    assert (loud.verdict, loud.requests_needed) == ("inconclusive", None)
    assert loud.reason.startswith(
        "below the host's own noise: before the run, wake-ups were 1500 µs late (P99), which"
    )
    assert loud.reason.endswith(" ms to spare")


def test_noise_makes_nothing_faster(evidence: Evidence) -> None:
    """A latency that is below a bound in spite of late wake-ups is below it without them; one above it may not be."""
    p99 = found("p99(kernel) <= 15ms", evidence).observed
    assert p99 is not None
    loud = replace(evidence, noise=LOUD)
    assert found(f"p99(kernel) <= {p99 + 1.0:.3f}ms", loud).verdict == "supported"
    assert found(f"p99(kernel) <= {p99 - 1.0:.3f}ms", evidence).verdict == "refuted"
    assert found(f"p99(kernel) <= {p99 - 1.0:.3f}ms", loud).verdict == "inconclusive"


def test_noise_of_a_reference_is_scaled_like_the_reference(evidence: Evidence) -> None:
    """A millisecond and a half on four hundred, of which a twenty-fifth is the bound, is next to nothing."""
    loud = replace(evidence, noise=LOUD)
    assert found("p99(kernel) <= 0.04 * p99(baseline)", loud).verdict == "supported"


def test_lateness_has_no_noise_floor(evidence: Evidence) -> None:
    """A host whose wake-ups are late is why user-space hedges are late: that is no reason not to say so."""
    claim = "lateness_p50(kernel) < lateness_p50(app-deadline)"
    assert found(claim, replace(evidence, noise=LOUD)).verdict == "supported"


def test_a_quotient_of_times_is_measured_against_the_same_noise(evidence: Evidence) -> None:
    ratio = found("p99(kernel) / p50(kernel) <= 10", evidence).observed
    assert ratio is not None
    near = f"p99(kernel) / p50(kernel) >= {ratio * 0.9:.5f}"
    assert found(near, evidence).verdict == "supported"
    assert found(near, replace(evidence, noise=LOUD)).verdict == "inconclusive"


def test_a_figure_named_twice_is_shifted_in_both_places(evidence: Evidence) -> None:
    """Or noise would be counted where it cancels: this claim is `p50(kernel) >= 2ms` with 0.7 ms to spare."""
    noisy = replace(evidence, halves=None, noise=HostNoise({"p50": 0.5e6, "p99": 2e6, "max": 5e6}))
    plainly = found("p50(kernel) >= 2ms", noisy)
    twice = found("3 * p50(kernel) - 2 * p50(kernel) >= 2ms", noisy)
    assert plainly.verdict == twice.verdict == "supported"
