"""What the hedger costs a request that needs none: round trips with it in place against round trips without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.analysis.measures import Measures
from orchestrator.analysis.statistics import Floats, interval, plain, resample
from orchestrator.runfolder.tables import read_samples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.runfolder.folder import RunFolder

_NS_PER_US = 1e3
_QUANTILES = ("p50", "p99")


def overhead(folder: RunFolder, conditions: Sequence[str], seed: int) -> list[dict[str, Any]]:
    """One entry a condition: `p50_us`, `p99_us` and, but for the first, `over_us`: how much more the P50 is than the
    first condition's, each figure as [value, low, high] with its 95 % interval in µs (null with too few blocks).
    """
    samples = read_samples(folder)[None]
    numbers = np.unique(samples[conditions[0]]["block"])
    measures = {name: Measures(samples[name], None, None, numbers) for name in conditions}
    once, resamples = plain(len(numbers)), resample(len(numbers), seed)

    def figure(condition: str, function: str, against: str | None = None) -> list[float | None]:
        def values(weights: Any) -> Floats:
            found = measures[condition].evaluate(function, weights)
            return found if against is None else found - measures[against].evaluate(function, weights)

        value = float(values(once)[0])
        ends = None if resamples is None else interval(values(resamples), value, len(numbers), time=True)
        return [_micros(told) for told in (value, *(ends or (np.nan, np.nan)))]

    return [
        {
            "condition": name,
            **{f"{function}_us": figure(name, function) for function in _QUANTILES},
            "over_us": None if name == conditions[0] else figure(name, "p50", conditions[0]),
        }
        for name in conditions
    ]


def _micros(value_ns: float) -> float | None:
    return round(float(value_ns) / _NS_PER_US, 3) if np.isfinite(value_ns) else None
