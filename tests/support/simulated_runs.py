"""Runs drawn from known distributions, for simulations of what their analysis concludes."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hedgerow_node.records import NO_TIME, Action, Outcome, Winner
from hedgerow_node.units import NS_PER_MS
from orchestrator.analysis.judge.evidence import Evidence
from orchestrator.analysis.measures import Measures
from orchestrator.analysis.statistics import ENUMERATED_UP_TO, Resamples, resample

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.runfolder.tables import Columns

Values = NDArray[np.float64]
#: The speed of so many blocks, as factors.
Effects = Callable[[np.random.Generator, int], Values]

TIMEOUT_NS = 1_000_000 * NS_PER_MS
#: Whether simulations take as many runs as published tables rest on, and not only as many as show a gross error.
LONG = os.environ.get("HEDGEROW_LONG", "") not in ("", "0")
#: Enough where nobody publishes the figures: of more than eight blocks an analysis draws 20,000.
_DRAWS = 1_500
_TRUTH = 400_000  #: requests of which the truth is computed


def steady(_: np.random.Generator, blocks: int) -> Values:
    """Blocks are all alike."""
    return np.ones(blocks)


def of_sigma(sigma: float) -> Effects:
    """Every block is faster or slower as a whole, lognormally with this standard deviation of the logarithm."""
    return lambda draws, blocks: np.exp(draws.normal(0, sigma, blocks))


def correlated(draws: np.random.Generator, blocks: int) -> Values:
    """The same with 0.3, and each block much like the one before: first-order autoregressive, 0.7."""
    effects = [draws.normal(0, 0.3)]
    for _ in range(blocks - 1):
        effects.append(0.7 * effects[-1] + draws.normal(0, 0.3 * np.sqrt(1 - 0.49)))
    factors: Values = np.exp(np.array(effects))
    return factors


def one_slow_in_ten(draws: np.random.Generator, blocks: int) -> Values:
    """A block in ten is five times as slow."""
    return np.where(draws.random(blocks) < 0.1, 5.0, 1.0)


def measures(latency_ns: Values, events: NDArray[np.int64] | None = None, *, stalled: int = 0) -> Measures:
    """A strategy with these latencies, shape (blocks, requests), that hedged the first `events` requests of each.

    The server stalled the first `stalled` of each block. Infinite latencies are those of requests without an answer.
    """
    blocks, requests = latency_ns.shape
    number = blocks * requests
    answered = np.isfinite(latency_ns).ravel()
    received = np.full(number, NO_TIME)
    received[answered] = np.maximum(1, np.rint(latency_ns.ravel()[answered]))
    samples: Columns = {
        "block": np.repeat(np.arange(blocks), requests),
        "request_id": np.arange(number),
        "outcome": np.where(answered, Outcome.ANSWERED, Outcome.TIMEOUT),
        "intended_ns": np.zeros(number, np.int64),
        "sent_ns": np.full(number, NO_TIME),
        "received_ns": received,
        "kernel_rx_ns": np.full(number, NO_TIME),
        "copies_received": answered.astype(np.int64),
    }
    hedges: Columns | None = None
    if events is not None:
        ids = np.concatenate([np.arange(count) + block * requests for block, count in enumerate(events)])
        hedges = {
            "block": np.repeat(np.arange(blocks), events),
            "request_id": ids,
            "request_ns": np.zeros(len(ids), np.int64),
            "departure_ns": np.zeros(len(ids), np.int64),
            "deadline_ns": np.zeros(len(ids), np.int64),
            "winner": np.full(len(ids), Winner.PRIMARY),
        }
    server: Columns | None = None
    if stalled:
        server = {
            "block": np.repeat(np.arange(blocks), stalled),
            "request_id": (np.arange(stalled) + requests * np.arange(blocks)[:, None]).ravel(),
            "action": np.full(blocks * stalled, Action.STALLED),
        }
    return Measures(samples, hedges, server, np.arange(blocks))


def quick_resamples(blocks: int) -> Resamples:
    """As an analysis takes them, but fewer where they are drawn."""
    resamples = resample(blocks)
    if resamples is None:
        raise ValueError(f"{blocks} blocks are too few")
    if len(resamples.chances) <= _DRAWS or blocks <= ENUMERATED_UP_TO:
        return resamples
    return Resamples(resamples.counts[:_DRAWS], np.full(_DRAWS, 1 / _DRAWS), blocks)


@cache
def lognormals(effects: Effects) -> Values:
    """Very many latencies whose logarithm has a standard deviation of 1, of blocks with these `effects`."""
    draws = np.random.default_rng(5)
    speeds = np.concatenate([effects(draws, 40) for _ in range(_TRUTH // 40)])
    return np.sort(draws.lognormal(0, 1, _TRUTH) * speeds)


def true_quantile(effects: Effects, quantile: float) -> float:
    """That of such latencies."""
    return float(np.quantile(lognormals(effects), quantile))


def simulated(strategies: Mapping[str, Measures], timeout_ns: int = TIMEOUT_NS) -> Evidence:
    """What a run of these strategies gives to judge on."""
    rounds = next(iter(strategies.values())).rounds
    return Evidence(strategies, quick_resamples(rounds), timeout_ns)
