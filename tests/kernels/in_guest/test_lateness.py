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
from orchestrator.topology.programs import HEDGER
from support.engines import ENGINES_AND_LINES
from support.node_programs import connect
from support.pair import PORT, SERVER_HOSTS, Pair, ipv4, linked_pair

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hedgerow_node.control import ControlClient

pytestmark = pytest.mark.root

REQUESTS = 600
UNANSWERED = {request_id for request_id in range(REQUESTS) if request_id % 2}
SPACING_S = 0.001
DELAY_NS = 10_000_000
P99_US, MOST_US = 60, 100  #: of lateness
SERVER = (ipv4(SERVER_HOSTS[0]), PORT)


@dataclass
class Conversation:
    """Requests of which every other one is answered at once, the rest once their hedges have come."""

    asked: dict[str, Any]
    copies: Counter[int]
    answers: Counter[int]
    hedges: list[Hedge]
    counters: dict[str, int]


@pytest.fixture(scope="module")
def hedger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pair, ControlClient]]:
    """One for all: what it has compiled it uses again."""
    path = tmp_path_factory.mktemp("lateness") / "hedger.sock"
    with linked_pair() as pair:
        process = pair.start(pair.client, HEDGER, f"--control={path}")
        control = connect(path, process)
        yield pair, control
        control.close()


def received(endpoint: socket.socket) -> Iterator[tuple[bytes, Any]]:
    """What waits there."""
    while True:
        try:
            yield endpoint.recvfrom(2_048, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return


@pytest.fixture(scope="module", params=ENGINES_AND_LINES, ids="-".join)
def talk(
    request: pytest.FixtureRequest, hedger: tuple[Pair, ControlClient], tmp_path_factory: pytest.TempPathFactory
) -> Conversation:
    pair, control = hedger
    engine, line = request.param
    place = {"offset": 0, "length": 4}
    chosen = control.call(
        "configure",
        services=[[SERVER]],
        target="same",
        request_id={"request": place, "response": place},
        delay_ns=DELAY_NS,
        expiry_ns=60_000_000_000,
        engine=engine,
        delay_line=line,
        budget_ratio=1.0,
        budget_burst=1_000,
    )
    control.call("mode", mode="hedge", identity="flow")
    copies: Counter[int] = Counter()
    answers: Counter[int] = Counter()
    with ExitStack() as stack:
        client = stack.enter_context(pair.socket(socket.AF_INET))
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
    collected = control.call("collect", hedges=str(table))
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
