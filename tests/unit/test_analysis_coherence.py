"""If one claim implies another, the verdict on the other is never weaker: of random runs, bounds and spellings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from orchestrator.analysis.judge.verdicts import judge, judge_all
from orchestrator.claims.grammar import parse_claim
from support.simulated_runs import Values, measures, simulated

if TYPE_CHECKING:
    from orchestrator.analysis.judge.evidence import Evidence

MS = 1e6
TIMEOUT_MS = 500
STRENGTH = {"refuted": 0, "inconclusive": 1, "supported": 2}


@st.composite
def runs(draw: st.DrawFn) -> Evidence:
    """Two strategies in 5 to 7 blocks that differ little or much, with few hedges or many.

    In some runs many latencies are the same, and in some requests are lost, a few of each block or most of one.
    """
    draws = np.random.default_rng(draw(st.integers(0, 10_000)))
    blocks, requests = draw(st.integers(5, 7)), 100
    shared = np.exp(draws.normal(0, draw(st.sampled_from([0, 0.05, 0.3, 1])), blocks))
    chance = draw(st.sampled_from([0, 0.002, 0.02, 0.2, 0.98, 1]))
    lost = draw(st.sampled_from([np.zeros(blocks), np.full(blocks, 0.03), np.eye(blocks)[0] * 0.7]))
    step_ms = draw(st.sampled_from([1e-6, 5, 40]))  # latencies are whole multiples of it

    def latencies(times: float) -> Values:
        own = np.exp(draws.normal(0, draw(st.sampled_from([0, 0.02, 0.3])), blocks))
        found: Values = draws.lognormal(0, 0.3, (blocks, requests)) * (shared * own)[:, None] * times * 10 * MS
        found = np.ceil(found / (step_ms * MS)) * step_ms * MS
        found[draws.random(found.shape) < lost[:, None]] = np.inf
        return np.where(found < TIMEOUT_MS * MS, found, np.inf)

    alike = draw(st.booleans())  # every block has as many hedges as the others

    def hedged() -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.full(blocks, round(requests * chance)) if alike else draws.binomial(requests, chance, blocks)

    return simulated(
        {
            "kernel": measures(latencies(draw(st.sampled_from([0.5, 0.95, 1, 1.5]))), hedged()),
            "baseline": measures(latencies(1), hedged()),
        },
        TIMEOUT_MS * round(MS),
    )


#: Claims with a place for a bound, of whose values each implies that for all that are larger.
LOOSER = {
    "p50(kernel) <= {:.6f}ms": (1, 60),
    "p95(kernel) < {:.6f}ms": (1, 200),
    "mean(kernel) <= {:.6f}ms": (1, 60),
    "p50(kernel) <= {:.6f} * p50(baseline)": (0.2, 3),
    "p50(kernel) / p50(baseline) <= {:.6f}": (0.2, 3),
    "p50(kernel) <= p50(baseline) + {:.6f}ms": (0, 40),
    "p50(kernel) + 40ms <= p50(baseline) + {:.6f}ms": (0, 80),
    "rate(kernel) <= {:.6f}%": (0, 100),
    "1 - rate(kernel) < {:.6f}%": (0, 100),
    "rate(kernel) <= {:.6f} * rate(baseline)": (0.1, 10),
    "rate(kernel) - rate(baseline) <= {:.6f}%": (-50, 50),
    "answered(kernel) >= 1 - {:.6f}%": (0, 100),
    "p95(kernel) <= {:.6f} * p95(baseline)": (0.2, 3),
    "p95(kernel) <= p95(baseline) + {:.6f}ms": (0, 400),
    "mean(kernel) <= {:.6f} * mean(baseline)": (0.2, 3),
    "rate(kernel) ~ rate(baseline) within {:.6f}%": (0.1, 300),
    "p95(kernel) ~ p95(baseline) within {:.6f}%": (0.1, 300),
    "mean(kernel) ~ mean(baseline) within {:.6f}ms": (0.1, 200),
    "p50(kernel) ~ p50(baseline) within {:.6f}%": (0.1, 300),
    "p50(kernel) ~ p50(baseline) within {:.6f}ms": (0.1, 60),
}


def assert_not_weaker(stronger: str, weaker: str, evidence: Evidence) -> None:
    """Alone and beside each other."""
    claims = [parse_claim(stronger), parse_claim(weaker)]
    for found in ([judge(claim, evidence) for claim in claims], judge_all([(claim, evidence) for claim in claims])):
        assert STRENGTH[found[0].verdict] <= STRENGTH[found[1].verdict], (stronger, weaker, found)


@pytest.mark.parametrize("claim", LOOSER)
@settings(max_examples=20)
@given(evidence=runs(), bounds=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_looser_bound_is_never_judged_less_surely(
    claim: str, evidence: Evidence, bounds: tuple[float, float]
) -> None:
    low, high = LOOSER[claim]
    tight, loose = sorted(low + share * (high - low) for share in bounds)
    if "~" in claim or "<= {" not in claim:
        assume(tight > 0)
    assert_not_weaker(claim.format(tight), claim.format(loose), evidence)


@settings(max_examples=30)
@given(evidence=runs(), side=st.sampled_from(["p50(kernel)", "rate(kernel)"]), bound=st.floats(0.001, 1))
def test_a_stronger_operator_is_never_judged_more_surely(evidence: Evidence, side: str, bound: float) -> None:
    other = f"{bound * 60:.6f}ms" if side.startswith("p50") else f"{bound * 100:.6f}%"
    for stronger, weaker in (("<", "<="), (">", ">="), ("==", "<="), ("==", ">=")):
        assert_not_weaker(f"{side} {stronger} {other}", f"{side} {weaker} {other}", evidence)


@settings(max_examples=30)
@given(evidence=runs(), share=st.sampled_from(["rate(kernel)", "answered(kernel)"]), bound=st.floats(0, 100))
def test_all_implies_nearly_all_and_none_hardly_any(evidence: Evidence, share: str, bound: float) -> None:
    assert_not_weaker(f"{share} == 100%", f"{share} >= {bound:.6f}%", evidence)
    assert_not_weaker(f"{share} == 0%", f"{share} <= {bound:.6f}%", evidence)


@settings(max_examples=30)
@given(evidence=runs(), figure=st.sampled_from(["p50", "p95", "mean", "rate"]), margin=st.floats(0.001, 1))
def test_what_is_equivalent_is_neither_much_more_nor_much_less(
    evidence: Evidence, figure: str, margin: float
) -> None:
    equivalent = f"{figure}(kernel) ~ {figure}(baseline) within {100 * margin:.6f}%"
    by = f"{1 + margin:.8f}"
    assert_not_weaker(equivalent, f"{figure}(kernel) <= {by} * {figure}(baseline)", evidence)
    assert_not_weaker(equivalent, f"{by} * {figure}(kernel) >= {figure}(baseline)", evidence)


@settings(max_examples=30)
@given(evidence=runs(), figure=st.sampled_from(["p50", "p95", "mean"]), margin_ms=st.floats(0.1, 60))
def test_what_is_equivalent_by_a_time_is_neither_later_nor_earlier_by_it(
    evidence: Evidence, figure: str, margin_ms: float
) -> None:
    equivalent = f"{figure}(kernel) ~ {figure}(baseline) within {margin_ms:.6f}ms"
    assert_not_weaker(equivalent, f"{figure}(kernel) <= {figure}(baseline) + {margin_ms:.6f}ms", evidence)
    assert_not_weaker(equivalent, f"{figure}(baseline) - {figure}(kernel) <= {margin_ms:.6f}ms", evidence)
    assert_not_weaker(equivalent, f"{figure}(baseline) ~ {figure}(kernel) within {margin_ms:.6f}ms", evidence)


@settings(max_examples=30)
@given(evidence=runs(), margin_ms=st.floats(0, 40))
def test_what_is_shorter_is_not_longer_by_some_time(evidence: Evidence, margin_ms: float) -> None:
    """The one is tested by the ratio, the other by the difference, which blocks of different speed move more."""
    for one, other in (("kernel", "baseline"), ("baseline", "kernel")):
        assert_not_weaker(f"p50({one}) <= p50({other})", f"p50({one}) <= p50({other}) + {margin_ms:.6f}ms", evidence)


@settings(max_examples=30)
@given(evidence=runs(), quantiles=st.sampled_from([("p50", "p90"), ("p50", "p95"), ("p90", "p95")]))
def test_ends_lie_inside_what_was_observed(evidence: Evidence, quantiles: tuple[str, str]) -> None:
    merged = np.minimum(evidence.measures["kernel"].latency.merged / MS, TIMEOUT_MS)
    for quantile in quantiles:
        found = judge(parse_claim(f"{quantile}(kernel) <= 10ms"), evidence)
        assert found.ci95 is not None
        low, high = found.ci95
        assert low is not None
        if high is None:  # beyond the time-out
            assert merged[-1] == TIMEOUT_MS
            high = float(merged[-1])
        assert merged[0] - 1e-6 <= low <= high <= merged[-1] + 1e-6
