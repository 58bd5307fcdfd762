"""Part lateness: how late hedges leave, beside how late the same host wakes up a pinned SCHED_FIFO process meanwhile.

The server that is asked never answers, so that every request is hedged, at its own deadline.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hedgerow_node.percentiles import lateness_us
from orchestrator.bench.dns_load import PORT, nsd
from orchestrator.bench.figures import median
from orchestrator.bench.hedgers import Armed, hedger
from orchestrator.bench.open_load import open_arrivals, waking_up, woken
from orchestrator.bench.setting import interleaved
from orchestrator.bench.stage import SERVERS
from orchestrator.host.namespaces import inside
from orchestrator.topology.bridged import server_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hedgerow_node.protocol.hedger import HedgerStatistics
    from orchestrator.bench.open_arrivals import Arrivals
    from orchestrator.bench.setting import Setting
    from orchestrator.bench.stage import Stage
    from orchestrator.bench.wakeups import Wakeups

RATE = 1_000  #: requests a second


@dataclass(frozen=True)
class LatenessRound:
    """One engine in one round; lateness in µs as p50, p99 and max, None where there is none, or the host refused."""

    sent: int
    unanswered: int
    hedges_sent: int
    armed: Armed
    hedges_us: dict[str, float] | None
    wakeups_us: dict[str, float] | None
    wakeups_refused: str

    @classmethod
    def of(cls, arrivals: Arrivals, statistics: HedgerStatistics, wakeups: Wakeups) -> LatenessRound:
        """From what client, hedger and observer report."""
        return cls(
            sent=arrivals.sent,
            unanswered=arrivals.unanswered,
            hedges_sent=statistics.counters["hedges_sent"],
            armed=Armed.of(statistics.counters),
            hedges_us=statistics.lateness_us,
            wakeups_us=lateness_us(wakeups.late_ns),
            wakeups_refused=wakeups.refused,
        )


@dataclass(frozen=True)
class Lateness:
    """One engine; medians of the rounds, None where a round has no figure; `p99_to_wakeups` is of the same round."""

    engine: str
    rounds: tuple[LatenessRound, ...]
    hedges_p50_us: float | None
    hedges_p99_us: float | None
    wakeups_p50_us: float | None
    wakeups_p99_us: float | None
    p99_to_wakeups: float | None

    @classmethod
    def of(cls, engine: str, rounds: Sequence[LatenessRound]) -> Lateness:
        """From at least one round."""

        def over(values: Sequence[dict[str, float] | None], name: str) -> float | None:
            known = [each[name] for each in values if each is not None]
            return round(median(known), 1) if len(known) == len(rounds) else None

        hedges, wakeups = [each.hedges_us for each in rounds], [each.wakeups_us for each in rounds]
        ratios = [
            mine["p99"] / limit["p99"]
            for mine, limit in zip(hedges, wakeups, strict=True)
            if mine is not None and limit is not None
        ]
        return cls(
            engine,
            tuple(rounds),
            over(hedges, "p50"),
            over(hedges, "p99"),
            over(wakeups, "p50"),
            over(wakeups, "p99"),
            round(median(ratios), 3) if len(ratios) == len(rounds) else None,
        )


def measure(setting: Setting) -> list[Lateness]:
    """The engines in interleaved rounds."""
    stage, services = setting.stage, setting.services
    found: dict[str, list[LatenessRound]] = {engine: [] for engine in setting.engines}
    with _silent_server(stage), nsd(stage, services, 1):
        for number, engine in interleaved(setting.engines, setting.extent.rounds):
            with hedger(stage, engine) as working, waking_up(stage, setting.extent.seconds) as observer:
                arrivals = open_arrivals(stage, RATE, setting.extent.seconds)
                wakeups = woken(observer, setting.extent.seconds)
                round_ = LatenessRound.of(arrivals, working.finish(), wakeups)
            found[engine].append(round_)
            setting.say(
                f"lateness, round {number + 1} of {setting.extent.rounds}: {engine} {round_.hedges_us or 'no hedges'}"
            )
    return [Lateness.of(engine, rounds) for engine, rounds in found.items()]


@contextmanager
def _silent_server(stage: Stage) -> Iterator[None]:
    """Server 0: a socket that takes requests (so that no ICMP message answers them) and says nothing."""
    with inside(stage.namespace(SERVERS[0])):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with server:
        server.bind((server_address(0), PORT))
        yield
