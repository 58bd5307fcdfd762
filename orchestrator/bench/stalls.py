"""Part stalls: DNS at a fixed rate while one of two replicas stops for a while each second, bare and hedged."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hedgerow_node.process_state import STOPPED, process_state
from hedgerow_node.units import NS_PER_MS, NS_PER_S
from orchestrator.bench.dns_load import nsd
from orchestrator.bench.figures import median, quantiles_ms
from orchestrator.bench.hedgers import Armed, hedger
from orchestrator.bench.open_load import open_arrivals
from orchestrator.bench.setting import BARE, interleaved

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.bench.open_arrivals import Arrivals
    from orchestrator.bench.setting import Setting
    from orchestrator.bench.stage import Program

RATE = 3_000  #: requests a second
STALL_NS = 300 * NS_PER_MS
EVERY_S = 1.0


@dataclass(frozen=True)
class StallRound:
    """One condition in one round. `latency_ms` has None where a quantile falls among the unanswered.

    `sent_late_ms` is how late the client sent, which is in the latencies. `stalls` is the number of stops that the
    kernel confirmed, by the state of the server's process.
    """

    sent: int
    unanswered: int
    twice: int
    elsewhere: int
    latency_ms: dict[str, float | None]
    sent_late_ms: dict[str, float | None]
    stalls: int
    armed: Armed | None

    @classmethod
    def of(cls, arrivals: Arrivals, stalls: int, armed: Armed | None) -> StallRound:
        """From what the client and the hedger report."""
        return cls(
            arrivals.sent,
            arrivals.unanswered,
            arrivals.twice,
            arrivals.elsewhere,
            quantiles_ms(arrivals.latencies_ns, arrivals.unanswered),
            quantiles_ms(arrivals.sent_late_ns, 0),
            stalls,
            armed,
        )


@dataclass(frozen=True)
class Stalls:
    """One condition: medians of the rounds' P50 and P99 (None where a round has none), and sums of the others.

    `sent_late_p99_ms` is the median of how late the client itself was.
    """

    condition: str
    rounds: tuple[StallRound, ...]
    p50_ms: float | None
    p99_ms: float | None
    sent_late_p99_ms: float | None
    unanswered: int
    twice: int
    elsewhere: int

    @classmethod
    def of(cls, condition: str, rounds: Sequence[StallRound]) -> Stalls:
        """From at least one round."""

        def over(times: Sequence[dict[str, float | None]], name: str) -> float | None:
            known = [value for each in times if (value := each[name]) is not None]
            return median(known) if len(known) == len(rounds) else None

        latencies = [each.latency_ms for each in rounds]
        return cls(
            condition,
            tuple(rounds),
            over(latencies, "p50"),
            over(latencies, "p99"),
            over([each.sent_late_ms for each in rounds], "p99"),
            sum(each.unanswered for each in rounds),
            sum(each.twice for each in rounds),
            sum(each.elsewhere for each in rounds),
        )


@dataclass
class _Stopper:
    """Stops a server once each EVERY_S, in a thread of its own."""

    server: Program
    confirmed: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    def work(self) -> None:
        """Until `end`; the server runs afterwards."""
        next_s = time.monotonic() + EVERY_S / 2
        while not self._over.wait(max(0.0, next_s - time.monotonic())):
            self.server.signal(signal.SIGSTOP)
            try:
                self._over.wait(STALL_NS / NS_PER_S / 2)
                self.confirmed += process_state(self.server.pid) == STOPPED
                self._over.wait(STALL_NS / NS_PER_S / 2)
            finally:
                self.server.signal(signal.SIGCONT)
            next_s += EVERY_S

    def end(self) -> None:
        """Lets `work` return."""
        self._over.set()


@contextmanager
def stopping(server: Program) -> Iterator[_Stopper]:
    """While entered, `server` stops for STALL_NS each EVERY_S; afterwards it runs."""
    stopper = _Stopper(server)
    thread = threading.Thread(target=stopper.work, name="stopper")
    thread.start()
    try:
        yield stopper
    finally:
        stopper.end()
        thread.join()


def measure(setting: Setting) -> list[Stalls]:
    """Bare and each engine in interleaved rounds."""
    stage, services = setting.stage, setting.services
    conditions = (BARE, *setting.engines)
    found: dict[str, list[StallRound]] = {condition: [] for condition in conditions}
    with nsd(stage, services, 0) as stalled, nsd(stage, services, 1):

        def one(condition: str) -> StallRound:
            if condition == BARE:
                with stopping(stalled) as stopper:
                    arrivals = open_arrivals(stage, RATE, setting.extent.seconds)
                return StallRound.of(arrivals, stopper.confirmed, None)
            with hedger(stage, condition) as working:
                with stopping(stalled) as stopper:
                    arrivals = open_arrivals(stage, RATE, setting.extent.seconds)
                return StallRound.of(arrivals, stopper.confirmed, Armed.of(working.finish().counters))

        for number, condition in interleaved(conditions, setting.extent.rounds):
            round_ = one(condition)
            found[condition].append(round_)
            p99_ms = round_.latency_ms["p99"]
            setting.say(f"stalls, round {number + 1} of {setting.extent.rounds}: {condition} P99 {p99_ms} ms")
    return [Stalls.of(condition, rounds) for condition, rounds in found.items()]
