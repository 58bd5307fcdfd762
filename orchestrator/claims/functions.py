"""The functions that claims may name, as one table: grammar, checks, sample sizes, verdicts and summary read it.

A function is a row of `FUNCTIONS`: what is measured (a `Measure`) and what is computed of it (a `Statistic`). A
function of something that is not measured yet also needs a `Measure` here, and in `analysis/measures.py` a row with
the measure's key that says where its values are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Literal

#: What figures are reported in; a ratio is what is left of two figures.
Unit = Literal["ms", "us", "share", "count", "ratio"]
#: What a value (ns, or plain) is divided by to be in a unit.
PER_UNIT: dict[Unit, float] = {"ms": 1e6, "us": 1e3, "share": 1.0, "count": 1.0, "ratio": 1.0}


class Dimension(Enum):
    """What kind of quantity an expression is. A bare number takes the place of a ratio or a count, not of a time."""

    DURATION = "a duration"
    RATIO = "a ratio"
    COUNT = "a count"
    NUMBER = "a bare number"


class Statistic(Enum):
    """What is computed of the values, shares or counts that a measure has in each round."""

    QUANTILE = "quantile"
    MAXIMUM = "maximum"
    MEAN = "mean"
    SHARE = "share"
    COUNT = "count"


class Need(Enum):
    """What a scenario must have for a figure to have a value."""

    HEDGES = "a strategy that sends hedges"
    STALLS = "a server that stalls"
    SCHEDULE = "open arrivals, whose sends have a schedule"
    WINNERS = "responses that say which copy they answer"


@dataclass(frozen=True)
class Measure:
    """Something that a run measures of its requests, or `of` its hedges.

    `analysis/measures.py` has its values under `key`. `unit` is the one that its figures are reported in. A latency
    ends with a wake-up of the client, so that the noise of the host lengthens it (`is_latency`). No figure of it lies
    outside its `limits` (ns, or plain), apart from those that a scenario sets.
    """

    key: str
    dimension: Dimension
    unit: Unit
    of: Literal["requests", "hedges"] = "requests"
    needs: tuple[Need, ...] = ()
    is_latency: bool = False
    limits: tuple[float, float] = (-math.inf, math.inf)


@dataclass(frozen=True)
class Function:
    """A figure of one strategy that a claim may name.

    `quantile` is the quantile that it computes, where its statistic is one. `counted` figures are exact counts of
    what happened in the run, not estimates from a sample of it: a single duplicate refutes "no duplicates", whatever
    an interval would say, and no sample bounds how large a maximum can become.
    """

    name: str
    measure: Measure
    statistic: Statistic
    meaning: str
    quantile: float | None = None
    counted: bool = False

    @property
    def dimension(self) -> Dimension:
        """The kind of quantity that it is."""
        return self.measure.dimension

    @property
    def label(self) -> str:
        """Which statistic it is, as the summary calls it: "p50", "p999", "max", "mean"."""
        if self.quantile is not None:
            return f"p{100 * self.quantile:g}".replace(".", "")
        return {Statistic.MAXIMUM: "max", Statistic.MEAN: "mean"}.get(self.statistic, self.name)


_NOT_NEGATIVE, _PART = (0.0, math.inf), (0.0, 1.0)

LATENCY = Measure("latency", Dimension.DURATION, "ms", is_latency=True)
HEDGED_LATENCY = Measure(
    "hedged_latency", Dimension.DURATION, "ms", of="hedges", needs=(Need.HEDGES,), is_latency=True
)
LATENESS = Measure("lateness", Dimension.DURATION, "us", of="hedges", needs=(Need.HEDGES,))
LATENESS_FROM_INTENDED = Measure(
    "lateness_from_intended", Dimension.DURATION, "us", of="hedges", needs=(Need.HEDGES,)
)
SEND_LATENESS = Measure("send_lateness", Dimension.DURATION, "us", needs=(Need.SCHEDULE,), limits=_NOT_NEGATIVE)
BUFFERED = Measure("buffered", Dimension.DURATION, "ms", limits=_NOT_NEGATIVE)
HEDGE_RATE = Measure("rate", Dimension.RATIO, "share")
EXTRA_LOAD = Measure("extra_load", Dimension.RATIO, "share", limits=(-1.0, math.inf))
WIN_RATE = Measure("win_rate", Dimension.RATIO, "share", of="hedges", needs=(Need.HEDGES, Need.WINNERS), limits=_PART)
WASTED = Measure("wasted", Dimension.RATIO, "share", limits=_NOT_NEGATIVE)
ANSWERED = Measure("answered", Dimension.RATIO, "share", limits=_PART)
DUPLICATES = Measure("duplicates", Dimension.COUNT, "count", limits=_NOT_NEGATIVE)
STALLED_HEDGED = Measure("stalled_hedged", Dimension.RATIO, "share", needs=(Need.HEDGES, Need.STALLS), limits=_PART)

_LATENESS = "lateness of the hedges: departure - deadline"
_FROM_INTENDED = "lateness of the hedges from the intended time: departure - (intended + hedge delay)"
_SEND_LATENESS = "lateness of the requests: sent - intended"
_BUFFERED = "time that an answer lay in the client's socket: received - received by the kernel"
_QUANTILE, _MAXIMUM, _MEAN = Statistic.QUANTILE, Statistic.MAXIMUM, Statistic.MEAN
_SHARE, _COUNT = Statistic.SHARE, Statistic.COUNT

_ROWS = (
    Function("p50", LATENCY, _QUANTILE, "latency, median", 0.5),
    Function("p90", LATENCY, _QUANTILE, "latency, 90th percentile", 0.9),
    Function("p95", LATENCY, _QUANTILE, "latency, 95th percentile", 0.95),
    Function("p99", LATENCY, _QUANTILE, "latency, 99th percentile", 0.99),
    Function("p999", LATENCY, _QUANTILE, "latency, 99.9th percentile", 0.999),
    Function("max", LATENCY, _MAXIMUM, "latency, maximum in this run", counted=True),
    Function("mean", LATENCY, _MEAN, "latency, mean"),
    Function("hedged_mean", HEDGED_LATENCY, _MEAN, "latency, mean of the requests that were hedged"),
    Function("rate", HEDGE_RATE, _SHARE, "hedge rate: hedges / requests"),
    Function("lateness_p50", LATENESS, _QUANTILE, f"{_LATENESS}, median", 0.5),
    Function("lateness_p99", LATENESS, _QUANTILE, f"{_LATENESS}, 99th percentile", 0.99),
    Function("lateness_max", LATENESS, _MAXIMUM, f"{_LATENESS}, maximum in this run", counted=True),
    Function("lateness_from_intended_p50", LATENESS_FROM_INTENDED, _QUANTILE, f"{_FROM_INTENDED}, median", 0.5),
    Function(
        "lateness_from_intended_p99", LATENESS_FROM_INTENDED, _QUANTILE, f"{_FROM_INTENDED}, 99th percentile", 0.99
    ),
    Function(
        "lateness_from_intended_max",
        LATENESS_FROM_INTENDED,
        _MAXIMUM,
        f"{_FROM_INTENDED}, maximum in this run",
        counted=True,
    ),
    Function("extra_load", EXTRA_LOAD, _SHARE, "copies received by servers / requests - 1"),
    Function("win_rate", WIN_RATE, _SHARE, "hedges whose response came first / hedges"),
    Function("wasted", WASTED, _SHARE, "copies that servers worked on and whose answer did not count / requests"),
    Function("answered", ANSWERED, _SHARE, "share of the requests that were answered in time"),
    Function("send_lateness_p50", SEND_LATENESS, _QUANTILE, f"{_SEND_LATENESS}, median", 0.5),
    Function("send_lateness_p99", SEND_LATENESS, _QUANTILE, f"{_SEND_LATENESS}, 99th percentile", 0.99),
    Function("buffered_p50", BUFFERED, _QUANTILE, f"{_BUFFERED}, median", 0.5),
    Function("buffered_p99", BUFFERED, _QUANTILE, f"{_BUFFERED}, 99th percentile", 0.99),
    Function("duplicates", DUPLICATES, _COUNT, "duplicate responses delivered to the client", counted=True),
    Function(
        "stalled_hedged", STALLED_HEDGED, _SHARE, "share of the requests stalled by the server that were hedged"
    ),
)
FUNCTIONS: dict[str, Function] = {row.name: row for row in _ROWS}


def functions_of(measure: Measure) -> tuple[Function, ...]:
    """Every function of `measure`, in the order of the table."""
    return tuple(function for function in FUNCTIONS.values() if function.measure is measure)
