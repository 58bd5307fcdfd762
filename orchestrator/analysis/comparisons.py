"""How far two strategies are apart, or two conditions of the hedger that `bench` measures.

Two intervals that overlap say little about a difference; the interval of the difference itself says it. Each resample
holds the same rounds of both sides, so that what varies on the host cancels.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hedgerow_node.units import NS_PER_MS, NS_PER_US
from orchestrator.analysis.measures import Measures
from orchestrator.analysis.statistics import (
    LEVEL,
    Floats,
    Interval,
    Resamples,
    Weights,
    plain,
    resample,
    rounded,
    rounded_ends,
)
from orchestrator.runfolder.summary import Comparison, Difference
from orchestrator.runfolder.tables import read_samples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from orchestrator.runfolder.folder import RunFolder

FIGURES = ("p50", "p99")
_REFERENCES = ("baseline", "kernel")


@dataclass(frozen=True)
class Paired:
    """One latency figure of two strategies: ratio and difference (ns), and their intervals where there are any.

    Ratio and difference are None where there is no number: a side has no value, or is `censored` ("strategy" or
    "with"), that is, among unanswered requests and only known to be longer than the time-out. Ends that this
    leaves open are infinite. `p_value` is that of the ratio being 1, None without intervals and where unanswered
    requests are in them.
    """

    ratio: float | None
    difference_ns: float | None
    censored: tuple[str, ...] = ()
    ratio_ends: Interval | None = None
    difference_ends_ns: Interval | None = None
    p_value: float | None = None

    @property
    def has_interval(self) -> bool:
        """Whether there is any; a p-value comes with one."""
        return self.ratio_ends is not None or self.difference_ends_ns is not None

    def rounded(self) -> Difference:
        """For the summary."""
        return Difference(
            ratio=rounded(self.ratio),
            ratio_ci95=None if self.ratio_ends is None else rounded_ends(self.ratio_ends),
            difference_ms=rounded(self.difference_ns, NS_PER_MS),
            difference_ci95_ms=(
                None if self.difference_ends_ns is None else rounded_ends(self.difference_ends_ns, NS_PER_MS)
            ),
            censored=self.censored,
        )


@dataclass(frozen=True)
class _Range:
    """A figure for each resample with unanswered requests as long as the time-out, and forever."""

    least: Floats
    most: Floats

    @classmethod
    def of(cls, measures: Measures, function: str, weights: Weights, timeout_ns: int) -> _Range:
        return cls(*(measures.evaluate(function, weights, float(ns)) for ns in (timeout_ns, np.inf)))


def paired(
    one: Measures,
    other: Measures,
    function: str,
    resamples: Resamples | None,
    timeout_ns: int,
    level: float = LEVEL,
) -> Paired:
    """`function` of `one` against that of `other`, with intervals that miss the truth as often as `level` says.

    Without intervals where there are no resamples, a sample too small for its quantile's, or nothing to divide by.
    """
    mine, theirs = (_Range.of(measures, function, plain(one.rounds), timeout_ns) for measures in (one, other))
    value, reference = float(mine.most[0]), float(theirs.most[0])
    if np.isnan(value) or not reference > 0:
        return Paired(None, None)
    censored = tuple(side for side, is_ in (("strategy", value), ("with", reference)) if np.isinf(is_))
    found = Paired(None, None, censored) if censored else Paired(value / reference, value - reference)
    if resamples is None or not all(measures.enough_for(function) for measures in (one, other)):
        return found
    ours, references = (_Range.of(measures, function, resamples.counts, timeout_ns) for measures in (one, other))
    if np.isnan(ours.most).any() or not (references.least > 0).all():
        return found
    quotients = ours.least / references.most, ours.most / references.least
    differences = ours.least - references.most, ours.most - references.least
    return replace(
        found,
        ratio_ends=_ends(quotients, mine, theirs, resamples, operator.truediv, level),
        difference_ends_ns=_ends(differences, mine, theirs, resamples, operator.sub, level),
        p_value=_p_of_equal(quotients, found.ratio, resamples),
    )


def comparisons(
    strategies: Sequence[str], measures: dict[str, Measures], resamples: Resamples | None, timeout_ns: int
) -> Iterator[Comparison]:
    """Every strategy against the baseline, and then the others against the kernel, for the summary."""
    done = set()
    for reference in (name for name in _REFERENCES if name in strategies):
        done.add(reference)
        for strategy in (name for name in strategies if name not in done):
            for function in FIGURES:
                found = paired(measures[strategy], measures[reference], function, resamples, timeout_ns)
                difference = vars(found.rounded())
                yield Comparison(strategy=strategy, reference=reference, figure=function, **difference)


#: A value, and the lower and upper end of its interval.
Estimated = tuple[float | None, float | None, float | None]


@dataclass(frozen=True)
class Overhead:
    """What one condition of the hedger costs a request that needs no hedge: its round trips, µs.

    Each figure has its value and the ends of its 95 % interval, None with too few blocks. `over_us` is how much more
    its P50 is than the first condition's, None for that one itself.
    """

    condition: str
    p50_us: Estimated
    p99_us: Estimated
    over_us: Estimated | None


def overheads(folder: RunFolder, conditions: Sequence[str]) -> list[Overhead]:
    """What each of `conditions`, the strategies of the run in `folder`, costs."""
    samples = read_samples(folder)[None]
    numbers = np.unique(samples[conditions[0]]["block"])
    measures = {name: Measures(samples[name], None, None, numbers) for name in conditions}
    once, resamples = plain(len(numbers)), resample(len(numbers))

    def figure(condition: str, function: str, against: str | None = None) -> Estimated:
        def values(weights: Weights) -> Floats:
            found = measures[condition].evaluate(function, weights)
            return found if against is None else found - measures[against].evaluate(function, weights)

        value = float(values(once)[0])
        ends = None
        if resamples is not None:
            ends = resamples.interval(values(resamples.counts), value, logs=against is None)
        low, high = ends or (np.nan, np.nan)
        return rounded(value, NS_PER_US, 3), rounded(low, NS_PER_US, 3), rounded(high, NS_PER_US, 3)

    first = conditions[0]
    return [
        Overhead(
            name,
            p50_us=figure(name, "p50"),
            p99_us=figure(name, "p99"),
            over_us=None if name == first else figure(name, "p50", against=first),
        )
        for name in conditions
    ]


def _ends(
    values: tuple[Floats, Floats],
    mine: _Range,
    theirs: _Range,
    resamples: Resamples,
    joined: Callable[[Floats, Floats], Floats],
    level: float,
) -> Interval | None:
    """The lower end of the least and the upper end of the most that `values` may be; None where both are open."""
    least, most = values
    logs = joined is operator.truediv
    lower = resamples.interval(least, float(joined(mine.least, theirs.most)[0]), logs=logs, level=level)
    upper = resamples.interval(most, float(joined(mine.most, theirs.least)[0]), logs=logs, level=level)
    if lower is None or upper is None:
        return None
    return None if np.isinf(upper[1]) and lower[0] in (0, -np.inf) else (lower[0], upper[1])


def _p_of_equal(quotients: tuple[Floats, Floats], ratio: float | None, resamples: Resamples) -> float | None:
    """The p-value of the ratio being 1; None where unanswered requests are in it, or it may be zero."""
    least, most = quotients
    if ratio is None or ratio <= 0 or not (least == most).all() or (least <= 0).any():
        return None
    if ratio == 1:
        return 1.0
    error = resamples.spread(np.log(least))
    distance = abs(np.log(ratio)) / error if error else np.inf
    return resamples.p_value(resamples.carried(np.sign(least - 1) != np.sign(ratio - 1)), distance)
