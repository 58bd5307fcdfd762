"""Part dns: queries that nsd answers a second, bare and behind each engine of the hedger, in interleaved rounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.bench.dns_load import dnsperf, nsd
from orchestrator.bench.figures import median, ratio
from orchestrator.bench.hedgers import Armed, hedger
from orchestrator.bench.setting import BARE, interleaved

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.bench.dns_load import Load
    from orchestrator.bench.figures import Estimated
    from orchestrator.bench.setting import Setting


@dataclass(frozen=True)
class Throughput:
    """One condition: queries answered a second by round and in the median, and its ratio to the bare ones.

    `lost` are queries without an answer in all rounds; `armed` sums the hedger's counters of all rounds.
    """

    condition: str
    rounds_per_second: tuple[float, ...]
    per_second: float
    to_bare: Estimated | None
    sent: int
    lost: int
    armed: Armed | None


def throughputs(loads: Mapping[str, Sequence[Load]], armed: Mapping[str, Sequence[Armed]]) -> list[Throughput]:
    """From the loads of each condition, the bare one among them, and what the hedger counted, both by round."""
    bare = [load.per_second for load in loads[BARE]]
    found = []
    for condition, rounds in loads.items():
        rates = [load.per_second for load in rounds]
        found.append(
            Throughput(
                condition=condition,
                rounds_per_second=tuple(round(rate, 1) for rate in rates),
                per_second=round(median(rates), 1),
                to_bare=None if condition == BARE else ratio(rates, bare),
                sent=sum(load.sent for load in rounds),
                lost=sum(load.lost for load in rounds),
                armed=total(armed[condition]) if condition in armed else None,
            )
        )
    return found


def total(rounds: Sequence[Armed]) -> Armed:
    """The counters of all rounds."""
    reasons = {name for round_ in rounds for name in round_.not_armed}
    return Armed(
        sum(round_.requests for round_ in rounds),
        sum(round_.armed for round_ in rounds),
        {name: sum(round_.not_armed.get(name, 0) for round_ in rounds) for name in sorted(reasons)},
    )


def measure(setting: Setting) -> list[Throughput]:
    """All conditions in interleaved rounds; the hedger is started again for each of its turns."""
    stage, services = setting.stage, setting.services
    conditions = (BARE, *setting.engines)
    loads: dict[str, list[Load]] = {condition: [] for condition in conditions}
    armed: dict[str, list[Armed]] = {engine: [] for engine in setting.engines}
    with nsd(stage, services, 0), nsd(stage, services, 1):
        for number, condition in interleaved(conditions, setting.extent.rounds):
            if condition == BARE:
                load = dnsperf(stage, services, setting.extent.seconds)
            else:
                with hedger(stage, condition) as working:
                    load = dnsperf(stage, services, setting.extent.seconds)
                    armed[condition].append(Armed.of(working.finish().counters))
            loads[condition].append(load)
            setting.say(f"dns, round {number + 1} of {setting.extent.rounds}: {condition} {load.per_second:,.0f}/s")
    return throughputs(loads, armed)
