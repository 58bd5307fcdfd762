"""The A/A control: the baseline against itself, which must show no effect, and how large an effect noise alone makes.

The baseline's requests are dealt into two halves, in every block anew. Both get as many of those that the scenario
troubles (stalled ones, those due while a fault is on, of each replica), since every strategy meets these alike; who
gets which is drawn. What the halves differ by is noise: a comparison with the baseline that has less to spare decides
nothing, however narrow its own interval.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hedgerow_node.expression import parse as parse_when
from hedgerow_node.replicas import asked_replica
from orchestrator.analysis.faults import FaultRecord
from orchestrator.analysis.measures import Ints, Measures
from orchestrator.analysis.multiplicity import holm
from orchestrator.analysis.paired import Paired, paired
from orchestrator.analysis.quantiles import Weights
from orchestrator.analysis.run_data import ArmData
from orchestrator.analysis.windows import due_meanwhile
from orchestrator.plan.sample_size import TAIL

CONTROL = "baseline"
FIGURES = ("p50", "p95", "p99", "mean")

Halves = tuple[Measures, Measures]


def halves(arm: ArmData, rounds: Ints, seed: int) -> Halves | None:
    """The measures of the baseline's halves: latencies alone, since it has no hedges; None without a baseline."""
    samples = arm.samples.get(CONTROL)
    if samples is None or not len(samples["block"]):
        return None
    draws = np.random.default_rng(seed)
    # In each block: requests of one kind beside each other, in drawn order, dealt to one half and the other in turn.
    order = np.lexsort((draws.random(len(samples["block"])), _kinds(arm), samples["block"]))
    first = np.zeros(len(order), bool)
    first[order[::2]] = True

    def half(chosen: NDArray[np.bool_]) -> Measures:
        return Measures({name: values[chosen] for name, values in samples.items()}, None, None, rounds)

    return half(first), half(~first)


def _kinds(arm: ArmData) -> Ints:
    """A number for each baseline request: alike for those that the scenario treats alike."""
    ids = arm.samples[CONTROL]["request_id"]
    stall, topology = arm.scenario.service.stall, arm.scenario.topology
    by_occurrence: dict[str, list[FaultRecord]] = {}
    for record in arm.faults:
        by_occurrence.setdefault(record.key, []).append(record)
    troubles = [due_meanwhile(arm, CONTROL, records) for records in by_occurrence.values()]
    if stall is not None:
        condition = parse_when(stall.when)
        troubles.append(np.array([condition.evaluate(int(id_)) for id_ in ids], bool))
    kinds = np.array(
        [asked_replica(arm.scenario.workload.spread, int(id_), topology.replicas) for id_ in ids], np.int64
    )
    for trouble in troubles:
        kinds = np.unique(2 * kinds + trouble, return_inverse=True)[1]
    return kinds


def control(pair: Halves, resamples: Weights | None) -> dict[str, Any]:
    """How far the halves are apart, for the summary.

    `figures` holds for each the ratio of the halves and their difference with 95 % intervals, the p-value of no
    effect adjusted for the number of figures, and `null`: whether none shows, as it must be. `null` on top says so of
    all figures; it is null itself where there are no intervals.
    """
    told = {name: found for name in FIGURES if (found := paired(*pair, name, resamples)) is not None}
    judged = {name: found.p_value for name, found in told.items() if found.p_value is not None}
    adjusted = dict(zip(judged, holm(list(judged.values())), strict=True))
    figures = {name: _as_json(found, adjusted.get(name)) for name, found in told.items()}
    return {
        "strategy": CONTROL,
        "requests": [int(half.requests.sum()) for half in pair],
        "null": all(figures[name]["null"] for name in judged) if judged else None,
        "figures": figures,
    }


def _as_json(found: Paired, adjusted: float | None) -> dict[str, Any]:
    return {
        **found.as_json(),
        "p_adjusted": None if adjusted is None else round(adjusted, 6),
        "null": None if adjusted is None else adjusted > 2 * TAIL,
    }
