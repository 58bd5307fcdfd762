"""Part hooks: nanoseconds a run of each program of the hedger, and of all a request, with real DNS and full maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.bench.dns_load import dnsperf, nsd
from orchestrator.bench.figures import median
from orchestrator.bench.hedgers import Armed, hedger
from orchestrator.bench.program_costs import EMPTY, counting, empty_program, programs_of, runs
from orchestrator.bench.stage import CLIENT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.bench.program_costs import Runs
    from orchestrator.bench.setting import Setting

_MAX_WARMUPS = 12  #: of the length of a measurement each


@dataclass(frozen=True)
class HookCosts:
    """The costs with one engine, medians of the rounds; the raw figures hold what counting itself costs.

    `ns_a_run` and `runs_a_request` are by program, the empty one among the former; programs that did not run have no
    entry. `ns_a_request` is of all programs but the empty one, `net_ns_a_request` less the empty one's for each run.
    `rounds_ns_a_request` are the rounds' values, `per_second` the requests answered meanwhile. A request that
    is not armed costs less: `armed` counts them, warm-up included.
    """

    engine: str
    hedger: str
    warmup_requests: int
    ns_a_run: dict[str, float]
    runs_a_request: dict[str, float]
    ns_a_request: float
    net_ns_a_request: float
    rounds_ns_a_request: tuple[float, ...]
    per_second: float
    armed: Armed


def costs(
    engine: str, said: str, warmup: int, rounds: Sequence[tuple[Mapping[str, Runs], int, float]], armed: Armed
) -> HookCosts:
    """From the runs of each program, the requests and the rate of each round; each round has at least one request."""
    names = [name for name in rounds[0][0] if all(round_[0][name].count for round_ in rounds)]
    a_run = {name: median([done[name].total_ns / done[name].count for done, _, _ in rounds]) for name in names}
    share = {name: median([done[name].count / requests for done, requests, _ in rounds]) for name in names}
    ours = [[runs for name, runs in done.items() if name != EMPTY] for done, _, _ in rounds]
    raw = [
        sum(runs.total_ns for runs in mine) / requests for mine, (_, requests, _) in zip(ours, rounds, strict=True)
    ]
    counted = [
        sum(runs.count for runs in mine) / requests for mine, (_, requests, _) in zip(ours, rounds, strict=True)
    ]
    net = [total - a_run.get(EMPTY, 0.0) * count for total, count in zip(raw, counted, strict=True)]
    return HookCosts(
        engine=engine,
        hedger=said,
        warmup_requests=warmup,
        ns_a_run={name: round(value, 1) for name, value in a_run.items()},
        runs_a_request={name: round(value, 4) for name, value in share.items() if name != EMPTY},
        ns_a_request=round(median(raw), 1),
        net_ns_a_request=round(median(net), 1),
        rounds_ns_a_request=tuple(round(value, 1) for value in raw),
        per_second=round(median([rate for _, _, rate in rounds]), 1),
        armed=armed,
    )


def measure(setting: Setting) -> list[HookCosts]:
    """Each engine in turn: a warm-up, then the rounds, with no restart in between."""
    return [_measure(setting, engine) for engine in setting.engines]


def _measure(setting: Setting, engine: str) -> HookCosts:
    stage, services = setting.stage, setting.services
    with nsd(stage, services, 0), nsd(stage, services, 1), hedger(stage, engine) as working:
        warm = 0
        for _ in range(_MAX_WARMUPS):
            warm += dnsperf(stage, services, setting.extent.seconds).completed
            if warm >= setting.extent.warmup:
                break
        rounds = []
        with empty_program(stage.namespace(CLIENT)) as empty, counting():
            ids = {**programs_of(working.pid), EMPTY: empty}
            for number in range(setting.extent.rounds):
                before = {name: runs(id_) for name, id_ in ids.items()}
                load = dnsperf(stage, services, setting.extent.seconds)
                done = {name: runs(id_).since(before[name]) for name, id_ in ids.items()}
                rounds.append((done, max(1, load.sent), load.per_second))
                setting.say(
                    f"hooks, {engine}, round {number + 1} of {setting.extent.rounds}: {load.per_second:,.0f}/s"
                )
        said = working.said
        return costs(engine, said, warm, rounds, Armed.of(working.finish().counters))
