"""What one strategy did, by round, and the functions of claims computed from it for any weighting of the rounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hedgerow_node.records import FIRST_WARMUP_ID, NO_TIME, Action, Outcome, Winner
from orchestrator.analysis.statistics import Bools, Floats, Interval, Ints, Rounds, Weights
from orchestrator.claims.functions import FUNCTIONS, Statistic
from orchestrator.plan.sample_size import samples_needed

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.runfolder.tables import Columns


class Measures:
    """What one strategy did, by round: latencies, latenesses and waiting in ns, and counts of everything else.

    `samples`, `hedges` and `server` are the strategy's rows of the three tables, `rounds` the run's block numbers in
    ascending order. `hedges` and `server` are None where the strategy has no rows there; without server rows,
    `extra_load`, `wasted` and `stalled_hedged` have no value. Nor has `win_rate` where the winner of some hedge is
    unknown, or the lateness of sends unless `open_arrivals` (a closed loop has no schedule to be late against).
    """

    hedged_latency: Rounds
    lateness: Rounds
    lateness_from_intended: Rounds
    hedges: Ints
    hedges_won: Ints
    hedges_won_unknown: Ints

    def __init__(
        self,
        samples: Columns,
        hedges: Columns | None,
        server: Columns | None,
        rounds: Ints,
        *,
        open_arrivals: bool = False,
    ) -> None:
        self.rounds = len(rounds)
        index = np.searchsorted(rounds, samples["block"])
        answered = samples["outcome"] == Outcome.ANSWERED
        latency = latencies_ns(samples)
        self.latency = Rounds(latency, index, self.rounds)
        self.longest_answered_ns = float(latency[answered].max(initial=0))
        self.requests = self._by_round(index)
        self.answered = self._by_round(index[answered])
        self.timeouts = self._by_round(index[samples["outcome"] == Outcome.TIMEOUT])
        self.errors = self._by_round(index[samples["outcome"] == Outcome.ERROR])
        self.duplicates = self._by_round(index, np.maximum(samples["copies_received"].astype(np.int64) - 1, 0))
        scheduled = (samples["sent_ns"] != NO_TIME) & open_arrivals
        self.send_lateness = self._times(samples["sent_ns"] - samples["intended_ns"], scheduled, index)
        stamped = answered & (samples["kernel_rx_ns"] != NO_TIME)
        self.buffered = self._times(samples["received_ns"] - samples["kernel_rx_ns"], stamped, index)
        self.copies_sent = self._by_round(index[samples["sent_ns"] != NO_TIME])
        self._read_hedges(hedges, rounds, samples)
        hedged = np.isin(samples["request_id"], self.hedged_ids)
        self.hedged_latency = Rounds(latency[hedged], index[hedged], self.rounds)
        self._read_server(server, rounds)

    def _times(self, values: Ints, chosen: Bools, index: Ints) -> Rounds:
        return Rounds(values[chosen].astype(np.float64), index[chosen], self.rounds)

    def _read_hedges(self, hedges: Columns | None, rounds: Ints, samples: Columns) -> None:
        if hedges is None:
            hedges = {name: np.empty(0, np.int64) for name in _HEDGE_COLUMNS}
        measured = hedges["request_id"] < FIRST_WARMUP_ID
        index = np.searchsorted(rounds, hedges["block"][measured])
        late = (hedges["departure_ns"] - hedges["deadline_ns"])[measured].astype(np.float64)
        winner = hedges["winner"][measured]
        self.lateness = Rounds(late, index, self.rounds)
        self.lateness_from_intended = self._from_intended(late, hedges, measured, index, samples)
        self.hedges = self._by_round(index)
        self.copies_sent = self.copies_sent + self.hedges
        self.hedges_won = self._by_round(index[winner == Winner.HEDGE])
        self.hedges_won_unknown = self._by_round(index[winner == Winner.UNKNOWN])
        self.hedged_ids = np.unique(hedges["request_id"][measured])

    def _from_intended(self, late: Floats, hedges: Columns, measured: Bools, index: Ints, samples: Columns) -> Rounds:
        """The hedges' latenesses had their requests left when they were due: how late these left is added.

        A hedger that goes by when the request left forgives a client that was late itself. Hedges of requests that
        have no sample are left out.
        """
        order = np.argsort(samples["request_id"], kind="stable")
        known = samples["request_id"][order]
        ids = hedges["request_id"][measured]
        place = np.searchsorted(known, ids)
        found = place < len(known)
        found[found] = known[place[found]] == ids[found]
        intended = samples["intended_ns"][order][place[found]]
        waited = hedges["request_ns"][measured][found] - intended
        return Rounds(late[found] + waited, index[found], self.rounds)

    def _read_server(self, server: Columns | None, rounds: Ints) -> None:
        self.copies: Ints | None = None
        self.worked_on = np.zeros(self.rounds, np.int64)
        self.stalled = self.stalled_hedged = np.zeros(self.rounds, np.int64)
        if server is None:
            return
        measured = server["request_id"] < FIRST_WARMUP_ID
        index = np.searchsorted(rounds, server["block"])
        self.copies = self._by_round(index[measured])
        self.worked_on = self._by_round(index[measured & (server["action"] != Action.DROPPED)])
        was_stalled = measured & (server["action"] == Action.STALLED)
        ids, first = np.unique(server["request_id"][was_stalled], return_index=True)
        stalled_index = index[was_stalled][first]
        self.stalled = self._by_round(stalled_index)
        self.stalled_hedged = self._by_round(stalled_index[np.isin(ids, self.hedged_ids)])

    def _by_round(self, index: Ints, amounts: Ints | None = None) -> Ints:
        """How many of `index` (or how much of `amounts`) fall into each round."""
        return np.bincount(index, amounts, self.rounds).astype(np.int64)

    def sample_size(self, function: str) -> int:
        """How many values `function` is computed from, or how many requests or hedges it is a share of."""
        row = FUNCTIONS[function]
        match row.statistic:
            case Statistic.SHARE:
                return int(SHARES[row.measure.key](self).denominator.sum())
            case Statistic.COUNT:
                return int(self.requests.sum())
            case _:
                return len(VALUES[row.measure.key](self))

    def enough_for(self, function: str) -> bool:
        """Whether `function` has an interval: a quantile needs a sample in which it has one, others need none."""
        quantile = FUNCTIONS[function].quantile
        return quantile is None or self.sample_size(function) >= samples_needed(quantile)

    def range_of(self, function: str) -> Interval:
        """Between what ends `function`, an estimate, must lie: times between the shortest and the longest, ns."""
        row = FUNCTIONS[function]
        if row.statistic is Statistic.SHARE:
            share = SHARES[row.measure.key](self)
            low = 0.0 if (share.numerator >= 0).all() else -np.inf
            return low, 1.0 if (share.numerator <= share.denominator).all() else np.inf
        if row.statistic is Statistic.COUNT:
            return 0.0, np.inf
        merged = VALUES[row.measure.key](self).merged
        return (float(merged[0]), float(merged[-1])) if len(merged) else (-np.inf, np.inf)

    def around(self, function: str, unanswered_ns: float) -> tuple[Floats, Floats] | None:
        """One standard error to either side of the quantile or mean `function`, by round; None for other figures.

        In ns; requests without an answer count as in `evaluate`.
        """
        row = FUNCTIONS[function]
        unanswered_ns = max(unanswered_ns, self.longest_answered_ns)
        if row.statistic is Statistic.MEAN:
            return VALUES[row.measure.key](self).around_mean(unanswered_ns)
        if row.quantile is None:
            return None
        low, high = VALUES[row.measure.key](self).around(row.quantile)
        return np.minimum(low, unanswered_ns), np.minimum(high, unanswered_ns)

    def longer_than(self, function: str, value: float) -> tuple[int, int]:
        """How many values of the quantile `function` are longer than `value`, and of how many."""
        merged = VALUES[FUNCTIONS[function].measure.key](self).merged
        return len(merged) - int(np.searchsorted(merged, value, side="right")), len(merged)

    def counted(self, function: str) -> tuple[int, int] | None:
        """Of the share `function`, how many requests (or hedges) have it, and of how many; None for other figures.

        None also for what is not a share of a whole: more extra copies than requests, or fewer copies than requests.
        """
        row = FUNCTIONS[function]
        if row.statistic is not Statistic.SHARE:
            return None
        share = SHARES[row.measure.key](self)
        count, number = int(share.numerator.sum()), int(share.denominator.sum())
        return (count, number) if 0 <= count <= number > 0 else None

    def evaluate(self, function: str, weights: Weights, unanswered_ns: float = np.inf) -> Floats:
        """The claim function called `function` for each resample; times in ns, NaN where there is no value.

        Requests without an answer count as taking `unanswered_ns`, or as long as the longest answered request where
        that is longer: a client that was delayed may accept an answer beyond the time-out.
        """
        row = FUNCTIONS[function]
        key = row.measure.key
        if row.statistic is Statistic.SHARE:
            return SHARES[key](self).evaluate(weights)
        if row.statistic is Statistic.COUNT:
            return np.where(weights @ self.requests > 0, weights @ COUNTS[key](self), np.nan)
        values, unanswered_ns = VALUES[key](self), max(unanswered_ns, self.longest_answered_ns)
        if row.statistic is Statistic.MEAN:
            return values.mean(weights, unanswered_ns)
        found = values.maximum(weights) if row.quantile is None else values.kept_quantile(row.quantile, weights)
        return np.where(np.isposinf(found), unanswered_ns, found)

    @property
    def served(self) -> Ints:
        """Requests by round, of which servers kept a log: zeros without server rows."""
        return np.zeros_like(self.requests) if self.copies is None else self.requests

    @property
    def extra_copies(self) -> Ints:
        """Copies that servers received beyond one a request, by round."""
        return self.served if self.copies is None else self.copies - self.requests


@dataclass(frozen=True)
class Share:
    """`numerator` of `denominator`, by round; without a value where `unknown` is not zero, or there is nothing."""

    numerator: Ints
    denominator: Ints
    unknown: Ints | None = None

    def evaluate(self, weights: Weights) -> Floats:
        """The share in each resample."""
        numerator, denominator = weights @ self.numerator, weights @ self.denominator
        out: Floats = np.full(len(numerator), np.nan)
        np.divide(numerator, denominator, out=out, where=denominator > 0)
        if self.unknown is not None:
            out[weights @ self.unknown > 0] = np.nan
        return out


#: What measures hold of each `claims.functions.Measure`, by its key: values, ...
VALUES: dict[str, Callable[[Measures], Rounds]] = {
    "latency": lambda measures: measures.latency,
    "hedged_latency": lambda measures: measures.hedged_latency,
    "lateness": lambda measures: measures.lateness,
    "lateness_from_intended": lambda measures: measures.lateness_from_intended,
    "send_lateness": lambda measures: measures.send_lateness,
    "buffered": lambda measures: measures.buffered,
}
#: ... shares ...
SHARES: dict[str, Callable[[Measures], Share]] = {
    "rate": lambda measures: Share(measures.hedges, measures.requests),
    "answered": lambda measures: Share(measures.answered, measures.requests),
    "win_rate": lambda measures: Share(measures.hedges_won, measures.hedges, measures.hedges_won_unknown),
    "stalled_hedged": lambda measures: Share(measures.stalled_hedged, measures.stalled),
    "extra_load": lambda measures: Share(measures.extra_copies, measures.served),
    "wasted": lambda measures: Share(measures.worked_on - measures.answered, measures.served),
}
#: ... and counts.
COUNTS: dict[str, Callable[[Measures], Ints]] = {"duplicates": lambda measures: measures.duplicates}

_HEDGE_COLUMNS = ("block", "request_id", "request_ns", "departure_ns", "deadline_ns", "winner")


def latencies_ns(samples: Columns) -> Floats:
    """Latency of each request in ns, from its intended send; +inf for those without an answer."""
    waited = (samples["received_ns"] - samples["intended_ns"]).astype(np.float64)
    return np.where(samples["outcome"] == Outcome.ANSWERED, waited, np.inf)
