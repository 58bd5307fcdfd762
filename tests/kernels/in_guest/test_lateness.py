"""How late hedges leave, by every engine and every clock that it has, and that nothing else goes wrong meanwhile.

In simulated time: such a machine has nothing else to do, and its clock counts its own instructions.
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from hedgerow_node.percentiles import lateness_us
from hedgerow_node.records import NO_TIME, Hedge, read_rows
from kernels.written_down import LATENESS, leave
from orchestrator.host.namespaces import inside
from support.engines import ENGINES_AND_LINES
from support.pair import PORT, SERVER_HOSTS, ipv4

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.faulty import FaultyHedger

pytestmark = pytest.mark.root

REQUESTS = 600
UNANSWERED = {request_id for request_id in range(REQUESTS) if request_id % 2}
SPACING_S = 0.001
DELAY_NS = 10_000_000
P99_US = 60  #: of lateness
#: Its maximum. Of 300 hedges on one line, a single one left 474 us late (clone on fq, 6.12) and another 551 us (queue
#: on HTB, 5.10), all others of those lines far below; what delayed these two is not known.
MOST_US = 2_000
HEDGES_MARK = 0x4ED31234  #: a client may have any mark of its own: by that alone nothing is a hedge
SERVER = (ipv4(SERVER_HOSTS[0]), PORT)


@dataclass
class Conversation:
    """Requests of which every other one is answered at once, the rest once their hedges have come."""

    asked: dict[str, Any]
    copies: Counter[int]
    answers: Counter[int]
    hedges: list[Hedge]
    counters: dict[str, int]


def received(endpoint: socket.socket) -> Iterator[tuple[bytes, Any]]:
    """What waits there."""
    while True:
        try:
            yield endpoint.recvfrom(2_048, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return


@pytest.fixture(scope="module")
def hedger(shared_hedger: FaultyHedger) -> Iterator[FaultyHedger]:
    yield shared_hedger
    shared_hedger.configure()


@pytest.fixture(scope="module", params=ENGINES_AND_LINES, ids="-".join)
def talk(
    request: pytest.FixtureRequest, hedger: FaultyHedger, tmp_path_factory: pytest.TempPathFactory
) -> Conversation:
    pair, (engine, line) = hedger.pair, request.param
    service: dict[str, Any] = {"services": [[SERVER]], "target": "same", "delay_ns": DELAY_NS}
    chosen = hedger.configure(**service, engine=engine, delay_line=line, copy_id=None)
    hedger.begin("hedge")
    copies: Counter[int] = Counter()
    answers: Counter[int] = Counter()
    with ExitStack() as stack:
        client = stack.enter_context(pair.socket(socket.AF_INET))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, HEDGES_MARK)
        with inside(pair.server):
            server = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        server.bind(SERVER)

        def serve(seconds: float) -> None:
            end_s = time.monotonic() + seconds
            while time.monotonic() < end_s:
                for payload, client_address in received(server):
                    request_id = int.from_bytes(payload[:4], "big")
                    copies[request_id] += 1
                    if request_id not in UNANSWERED or copies[request_id] == 2:
                        for _ in range(copies[request_id]):
                            server.sendto(payload, client_address)
                for payload, _ in received(client):
                    answers[int.from_bytes(payload[:4], "big")] += 1
                time.sleep(SPACING_S / 4)

        for request_id in range(REQUESTS):
            client.sendto(request_id.to_bytes(4, "big") + bytes(60), SERVER)
            serve(SPACING_S)
        serve(10 * DELAY_NS / 1e9)
    table = tmp_path_factory.mktemp("hedges") / "hedges"
    collected = hedger.control.call("collect", hedges=str(table))
    return Conversation(chosen, copies, answers, read_rows(table, Hedge), collected["counters"])


def test_engine_and_line_are_those_asked_for(talk: Conversation, request: pytest.FixtureRequest) -> None:
    chosen = (talk.asked["engine"], talk.asked["delay_line"])
    assert "-".join(chosen) in request.node.name


def test_what_is_unanswered_is_hedged_and_nothing_else(talk: Conversation) -> None:
    assert {hedge.request_id for hedge in talk.hedges} == UNANSWERED
    assert talk.copies == {request_id: 2 if request_id in UNANSWERED else 1 for request_id in range(REQUESTS)}
    early = [hedge.request_id for hedge in talk.hedges if NO_TIME != hedge.first_response_ns <= hedge.deadline_ns]
    assert early == []


def test_every_answer_is_received_once(talk: Conversation) -> None:
    assert talk.answers == dict.fromkeys(range(REQUESTS), 1)
    counted = talk.counters
    assert (counted["requests"], counted["answered"]) == (REQUESTS, REQUESTS)
    assert (counted["hedges_sent"], counted["duplicates_dropped"]) == (len(UNANSWERED),) * 2


def test_hedges_leave_at_their_deadlines_and_never_before(talk: Conversation, request: pytest.FixtureRequest) -> None:
    late_ns = [hedge.departure_ns - hedge.deadline_ns for hedge in talk.hedges]
    late = lateness_us(late_ns)
    assert late is not None
    leave(LATENESS, "-".join((talk.asked["engine"], talk.asked["delay_line"])), late)
    assert min(late_ns) >= 0
    assert (late["p99"] <= P99_US, late["max"] <= MOST_US) == (True, True), late
