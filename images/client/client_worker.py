"""One block from beginning to end, in a process of its own: fresh sockets and nothing left of the last one."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import Any

from client_block import BlockSettings
from client_ledger import Ledger
from client_loop import ClientLoop
from client_socket import open_socket
from hedgerow_node.clock import now_ns, realtime_offset_ns, set_timer_slack_ns
from hedgerow_node.records import Outcome
from hedging_policies import POLICIES


@dataclass(frozen=True)
class BlockResult:
    """The measured requests, and the figures that the block's report carries."""

    ledger: Ledger
    report: dict[str, Any]


def run_block(settings: BlockSettings) -> BlockResult:
    """Warm up, measure, drain. Raises OSError where a socket cannot be opened.

    The garbage collector stays on, since what it does to a user-space hedger is part of what is measured; only what
    exists before the first request is taken out of its sight.
    """
    set_timer_slack_ns(1)
    offset_ns = realtime_offset_ns()
    sockets = [open_socket(*settings.server) for _ in range(settings.users)]
    policy = POLICIES[settings.strategy](settings.timeout_ns, settings.hedge_delay_ns)
    loop = ClientLoop(settings, policy, sockets, offset_ns)
    warmup, measured = Ledger(settings.warmup), Ledger(settings.requests)
    gc.collect()
    gc.freeze()
    loop.run(warmup)
    loop.run(measured)
    loop.drain(now_ns() + settings.drain_ns)
    for opened in sockets:
        opened.close()
    report = {
        "rows": measured.sent,
        "answered": measured.outcomes.count(Outcome.ANSWERED),
        "timeouts": measured.outcomes.count(Outcome.TIMEOUT),
        "errors": measured.outcomes.count(Outcome.ERROR),
        "hedges_sent": measured.hedges_sent,
        "duplicates_delivered": measured.duplicates(),
        "first_send_ns": measured.sent_ns[0] if measured.sent else None,
        "last_send_ns": measured.sent_ns[-1] if measured.sent else None,
        "realtime_offset_ns": offset_ns,
        # Anything but nearly nothing means that somebody set the clock, and kernel_rx_ns is off by as much.
        "realtime_offset_drift_ns": realtime_offset_ns() - offset_ns,
        "stray_copies": loop.stray_copies,
        "timer_restarts": loop.timer_restarts,
        "socket_errors": loop.socket_errors,
    }
    return BlockResult(measured, report)
