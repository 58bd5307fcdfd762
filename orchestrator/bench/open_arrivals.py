"""Queries at a fixed rate, whatever the server does, and when each was answered; latencies from the intended time.

Runs as a program of its own in the client's namespace: `python -m orchestrator.bench.open_arrivals ADDRESS PORT RATE
SECONDS`, whose answer is an object on stdout. It needs nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import gc
import json
import select
import socket
import sys
import time
from dataclasses import asdict, dataclass

from hedgerow_node.units import NS_PER_MS, NS_PER_S, NS_PER_US
from orchestrator.bench.dns_query import host, query

MAX_QUERIES = 1 << 16  #: an id is used once
PATIENCE_NS = 2 * NS_PER_S  #: after the last query
_LEAD_NS = 50 * NS_PER_MS
_EARLY_NS = 60 * NS_PER_US  #: it wakes up so long before a query is due, and then asks the clock
_POLL_S = 0.01
_PR_SET_TIMERSLACK = 29
_SIZE = 2_048


@dataclass(frozen=True)
class Arrivals:
    """What came back; `latencies_ns` has one for each query that was answered, by its first answer.

    `sent_late_ns` is how late each query was sent, which is part of its latency: the host's doing, or this program's.
    """

    sent: int
    latencies_ns: list[int]
    twice: int  #: further answers to a query
    elsewhere: int  #: answers from another address than the one asked
    sent_late_ns: list[int]

    @property
    def unanswered(self) -> int:
        """Queries without an answer."""
        return self.sent - len(self.latencies_ns)


def ask(address: str, port: int, rate: int, seconds: float) -> Arrivals:
    """Sends `rate` queries a second for `seconds`, and waits PATIENCE_NS more where some are unanswered.

    ValueError for more than MAX_QUERIES.
    """
    number = round(rate * seconds)
    if not 0 < number <= MAX_QUERIES:
        raise ValueError(f"{number} queries; from 1 to {MAX_QUERIES} have ids of their own")
    queries = [query(id_, host(id_)) for id_ in range(number)]
    took_ns: list[int | None] = [None] * number
    late_ns = []
    sent = answered = twice = elsewhere = 0
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.setblocking(False)
    to, clock = (address, port), time.monotonic_ns
    start_ns = clock() + _LEAD_NS
    due_ns = [start_ns + index * NS_PER_S // rate for index in range(number)]
    end_ns = due_ns[-1] + PATIENCE_NS
    while sent < number or (answered < number and clock() < end_ns):
        if sent < number and (late := clock() - due_ns[sent]) >= 0:
            late_ns.append(late)
            client.sendto(queries[sent], to)
            sent += 1
            continue
        try:
            answer, source = client.recvfrom(_SIZE)
        except BlockingIOError:
            left_ns = due_ns[sent] - clock() - _EARLY_NS if sent < number else NS_PER_S
            if left_ns > 0:
                select.select([client], [], [], min(left_ns / NS_PER_S, _POLL_S))  # poll() knows only whole ms
            continue
        id_ = int.from_bytes(answer[:2], "big")
        if id_ >= number:
            continue
        elsewhere += source != to
        if took_ns[id_] is None:
            took_ns[id_] = clock() - due_ns[id_]
            answered += 1
        else:
            twice += 1
    return Arrivals(sent, [ns for ns in took_ns if ns is not None], twice, elsewhere, late_ns)


def main(words: list[str]) -> None:
    """See the module."""
    address, port, rate, seconds = words
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1)
    gc.freeze()
    gc.disable()
    print(json.dumps(asdict(ask(address, int(port), int(rate), float(seconds)))))


if __name__ == "__main__":
    main(sys.argv[1:])
