"""How far two strategies are apart: each resample holds the same rounds of both, so that the host's moods cancel.

Two intervals that overlap say little about a difference; the interval of the difference itself says it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestrator.analysis.intervals import Interval, interval, p_value, spread
from orchestrator.analysis.measures import Measures
from orchestrator.analysis.quantiles import Weights, plain
from orchestrator.plan.sample_size import samples_needed
from orchestrator.scenario.claim_grammar import FUNCTIONS

FIGURES = ("p50", "p99")
_REFERENCES = ("baseline", "kernel")
_NS_PER_MS = 1e6


@dataclass(frozen=True)
class Paired:
    """One latency figure of two strategies: ratio and difference (ns), and their 95 % intervals where there are any.

    `p_value` is that of the ratio being 1, None without intervals.
    """

    ratio: float
    difference_ns: float
    ratio_ends: Interval | None = None
    difference_ends_ns: Interval | None = None
    p_value: float | None = None

    def as_json(self) -> dict[str, Any]:
        """For the summary."""
        return {
            "ratio": round(self.ratio, 6),
            "ratio_ci95": _rounded(self.ratio_ends),
            "difference_ms": round(self.difference_ns / _NS_PER_MS, 6),
            "difference_ci95_ms": _rounded(self.difference_ends_ns, _NS_PER_MS),
        }


def paired(one: Measures, other: Measures, function: str, resamples: Weights | None) -> Paired | None:
    """`function` of `one` against that of `other`; None where either has no value or falls among unanswered requests.

    Without intervals where there are no resamples, or a sample too small for its quantile's.
    """
    rounds = one.rounds
    value, reference = (float(measures.evaluate(function, plain(rounds))[0]) for measures in (one, other))
    if not (np.isfinite(value) and np.isfinite(reference) and reference > 0):
        return None
    found = Paired(value / reference, value - reference)
    quantile = FUNCTIONS[function].quantile
    few = min(measures.values_behind(function) for measures in (one, other))
    if resamples is None or (quantile is not None and few < samples_needed(quantile)):
        return found
    values, references = (measures.evaluate(function, resamples) for measures in (one, other))
    if not (np.isfinite(values).all() and np.isfinite(references).all() and (references > 0).all()):
        return found
    return Paired(
        found.ratio,
        found.difference_ns,
        interval(values / references, found.ratio, rounds, time=True),
        interval(values - references, found.difference_ns, rounds, time=True),
        _p_of_equal(values - references, found.difference_ns, rounds),
    )


def comparisons(strategies: Sequence[str], measures: dict[str, Measures], resamples: Weights | None) -> Iterator[Any]:
    """Everybody against the baseline, and then the others against the kernel, for the summary."""
    done = set()
    for reference in (name for name in _REFERENCES if name in strategies):
        done.add(reference)
        for strategy in (name for name in strategies if name not in done):
            for function in FIGURES:
                found = paired(measures[strategy], measures[reference], function, resamples)
                if found is not None:
                    yield {"strategy": strategy, "with": reference, "figure": function, **found.as_json()}


def _p_of_equal(resampled: Any, value: float, rounds: int) -> float:
    if value == 0:
        return 1.0
    error = spread(resampled, rounds)
    distance = abs(value) / error if error else np.inf
    return p_value(np.sign(resampled) != np.sign(value), rounds, distance, time=True)


def _rounded(ends: Interval | None, ns_per_unit: float = 1.0) -> list[float] | None:
    return None if ends is None else [round(end / ns_per_unit, 6) for end in ends]
