"""One block from beginning to end, in a process of its own: fresh sockets and nothing left of the last one."""

from __future__ import annotations

import gc
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hedgerow_client.arrivals import make_arrivals
from hedgerow_client.asyncio_loop import AsyncioLoop
from hedgerow_client.gc import GcTrigger
from hedgerow_client.ledger import Ledger
from hedgerow_client.loop import ClientLoop
from hedgerow_client.policies import policy_of
from hedgerow_client.programs import become_worker_program
from hedgerow_client.sockets import Connections, open_connections
from hedgerow_node.clock import now_ns, realtime_offset_ns, set_timer_slack_ns
from hedgerow_node.protocol.client import BlockSettings, ClientReport, OpenArrivals, SilentEvent
from hedgerow_node.records import Outcome, Sample, write_rows
from hedgerow_node.strategies import strategy_named

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from hedgerow_client.exchange import Exchange


@dataclass(frozen=True)
class BlockResult:
    """The measured requests, and the figures that the block's report carries."""

    ledger: Ledger
    report: ClientReport


def work(settings: BlockSettings, samples: Path, channel: socket.socket) -> None:
    """Run a block for the supervisor at the other end of `channel`, which gets JSON lines about it.

    There is `{"event": "measuring", "start_ns"}`, then `{"event": "done", …}` with the report, the samples being
    written; or, where the block could not be run, `{"event": "failed", "error"}`. In between, where no answers come
    for long, `{"event": "silent", …}`, a `SilentEvent`.
    """

    def send(event: str, **fields: object) -> None:
        channel.sendall(json.dumps({"event": event, **fields}).encode() + b"\n")

    try:
        program = strategy_named(settings.strategy).worker_program
        if program is not None:
            become_worker_program(program, settings, samples, channel)  # which does all of this itself
        result = run_block(
            settings,
            measuring=lambda start_ns: send("measuring", start_ns=start_ns),
            silent=lambda event: send("silent", **event.to_json()),
        )
        write_rows(samples, result.ledger.rows(), Sample)
    except OSError as error:
        send("failed", error=str(error))
    else:
        send("done", **result.report.to_json())


def make_loop(settings: BlockSettings, connections: Connections, realtime_offset_ns: int) -> Exchange:
    """The strategy's policy in the loop it runs in; to be closed, and the connections with it."""
    strategy = strategy_named(settings.strategy)
    policy = policy_of(strategy, settings.timeout_ns, settings.hedge_delay_ns)
    kind = AsyncioLoop if strategy.loop == "asyncio" else ClientLoop
    return kind(settings, policy, connections, realtime_offset_ns)


def run_block(
    settings: BlockSettings,
    measuring: Callable[[int], None] = lambda _: None,
    silent: Callable[[SilentEvent], None] = lambda _: None,
) -> BlockResult:
    """Warm up, measure, drain. Raises OSError where a socket cannot be opened.

    `measuring` is called a little before the first measured request is due, with that time, and `silent` whenever
    nothing has been heard of the servers for longer than the settings' patience. The garbage collector
    stays on, since what it does to a user-space hedger is part of what is measured. Only what exists before the first
    request is hidden from it, except the objects of the fault gc.
    """
    set_timer_slack_ns(1)
    offset_ns = realtime_offset_ns()
    connections = open_connections(settings)
    loop = make_loop(settings, connections, offset_ns)
    loop.silent = silent
    warmup, warming = Ledger(settings.warmup), make_arrivals(settings, settings.warmup, warm_up=True)
    measured, arrivals = Ledger(settings.requests), make_arrivals(settings, settings.requests)
    gc.collect()
    gc.freeze()
    trigger = GcTrigger(settings.gc) if settings.gc else None
    warming.begin(now_ns())
    loop.run(warmup, warming)
    start_ns = now_ns() + settings.whole_lead_ns
    measuring(start_ns)
    if trigger:
        trigger.start(start_ns)
    arrivals.begin(start_ns)
    loop.run(measured, arrivals)
    loop.drain(now_ns() + settings.drain_ns)
    loop.report_silence(now_ns())
    loop.close()
    report = ClientReport(
        rows=measured.sent,
        answered=measured.outcomes.count(Outcome.ANSWERED),
        timeouts=measured.outcomes.count(Outcome.TIMEOUT),
        errors=measured.outcomes.count(Outcome.ERROR),
        hedges_sent=measured.hedges_sent,
        duplicates_delivered=measured.duplicates(),
        first_send_ns=measured.sent_ns[0] if measured.sent else None,
        last_send_ns=measured.sent_ns[-1] if measured.sent else None,
        send_lateness_us=measured.send_lateness_us() if isinstance(settings.arrivals, OpenArrivals) else None,
        collections=trigger.collections() if trigger else (),
        realtime_offset_ns=offset_ns,
        realtime_offset_drift_ns=realtime_offset_ns() - offset_ns,
        stray_copies=loop.stray_copies,
        timer_restarts=loop.timer_restarts,
        socket_errors=loop.socket_errors,
    )
    return BlockResult(measured, report)
