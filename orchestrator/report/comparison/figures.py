"""The figures of two runs beside each other, and whether their 95 % intervals overlap."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.report.comparison.sources import Source

Interval = list[float | None]

#: What is compared: words, unit, where the summary has the figure, and where its interval (None: it has none).
#: No maximum: it is one request's, and says nothing of another run.
_FIGURES: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...] | None], ...] = (
    *((words, "ms", ("latency_ms", name), ("ci95_ms", name)) for words, name in
      (("P50", "p50"), ("P95", "p95"), ("P99", "p99"), ("P99.9", "p999"), ("mean", "mean"))),
    ("late P50", "us", ("lateness_us", "p50"), ("lateness_ci95_us", "p50")),
    ("late P99", "us", ("lateness_us", "p99"), ("lateness_ci95_us", "p99")),
    ("hedge rate", "ratio", ("hedge_rate",), None),
    ("extra load", "ratio", ("extra_load",), None),
)  # fmt: skip


@dataclass(frozen=True)
class Beside:
    """One figure of both runs; `beyond` says of which it lies beyond the time-out, `overlap` is None without two
    intervals."""

    figure: str
    unit: str
    values: tuple[float | None, float | None]
    beyond: tuple[bool, bool]
    ci95: tuple[Interval | None, Interval | None]

    @property
    def overlap(self) -> bool | None:
        first, second = self.ci95
        return None if first is None or second is None else overlap(first, second)

    def as_json(self) -> dict[str, Any]:
        told = {"figure": self.figure, "unit": self.unit, "values": list(self.values), "ci95": list(self.ci95)}
        return {**told, "overlap": self.overlap}


@dataclass(frozen=True)
class Pair:
    """One strategy, in one arm where there are arms, in both runs."""

    arm: str | None
    strategy: str
    figures: tuple[Beside, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "arm": self.arm,
            "strategy": self.strategy,
            "figures": [figure.as_json() for figure in self.figures],
        }


def pairs(runs: tuple[Source, Source]) -> list[Pair]:
    """What both runs have, in the first one's order."""
    first, second = (run.arms for run in runs)
    return [
        Pair(arm, strategy, tuple(_beside(entry, second[arm]["strategies"][strategy])))
        for arm, content in first.items()
        if arm in second
        for strategy, entry in content["strategies"].items()
        if strategy in second[arm]["strategies"]
    ]


def alone(run: Source, other: Source) -> list[str]:
    """What only `run` has: arms, and strategies in arms that both have."""
    found = []
    for arm, content in run.arms.items():
        if arm not in other.arms:
            found.append(f"arm {arm}" if arm is not None else "figures without arms")
            continue
        where = "" if arm is None else f"{arm}, "
        found += [f"{where}{name}" for name in content["strategies"] if name not in other.arms[arm]["strategies"]]
    return found


def overlap(first: Interval, second: Interval) -> bool:
    """Whether two intervals share a value; an end that is None lies beyond the time-out."""
    low, high = ([math.inf if end is None else end for end in ends] for ends in zip(first, second, strict=True))
    return max(low) <= min(high)


def _beside(first: dict[str, Any], second: dict[str, Any]) -> Iterator[Beside]:
    """The figures that at least one of two strategies' summaries has."""
    for words, unit, place, interval_place in _FIGURES:
        one, two = _at(first, place), _at(second, place)
        beyond = (_censored(first, place), _censored(second, place))
        if one is None and two is None and not any(beyond):
            continue
        intervals = (
            (None, None) if interval_place is None else (_at(first, interval_place), _at(second, interval_place))
        )
        yield Beside(words, unit, (one, two), beyond, intervals)


def _at(entry: dict[str, Any], place: tuple[str, ...]) -> Any:
    """What stands at `place`; None where a summary of another version has no such thing."""
    found: Any = entry
    for name in place:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _censored(strategy: dict[str, Any], place: tuple[str, ...]) -> bool:
    return place[0] == "latency_ms" and place[-1] in strategy.get("censored", ())
