"""Blocks of the real client and server over a relay that can be closed, each way: what becomes of them, and how soon.

The orchestrator's side is real, the hedger is played; tests/netns closes the paths of whole runs.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from hedgerow_node.records import Sample, read_rows
from orchestrator.plan.blocks import make_plan
from orchestrator.run.block import Attempt, BlockReport, BlockRun
from orchestrator.runfolder.folder import RunFolder
from orchestrator.runfolder.journal import Journal
from support.experiments import experiment_of
from support.fake_topology import FakeTopology
from support.node_programs import Client, Server, running_client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCENARIO = """
version: 1
name: relayed
service: {service_time: 1ms}
workload: {requests: 3000, warmup: 20, arrivals: {mode: closed, users: 1, think: 1ms}, timeout: 200ms}
hedging: {delay: 50ms}
strategies: [baseline, app-native, app-asyncio, proxy]
design: {blocks: 1, order: fixed}
"""
SERIAL = 3
#: Four time-outs, or the least patience, and what a busy host takes.
BOUND_S = 10.0


class Relay:
    """Passes datagrams on between a client and the server at `upstream`, but for those of ways that are `closed`."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        self.closed: set[str] = set()
        self.passed = 0
        self._upstream = upstream
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._front.getsockname()
        self._backs: dict[Any, socket.socket] = {}
        self._stop, self._stopped = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._front, selectors.EVENT_READ)
        self._selector.register(self._stopped, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.send(b"x")
        self._thread.join()
        self._selector.close()
        for each in (self._stop, self._stopped, self._front, *self._backs.values()):
            each.close()

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._stopped:
                    return
                if key.fileobj is self._front:
                    self._request()
                else:
                    self._response(key.data)

    def _request(self) -> None:
        data, source = self._front.recvfrom(1 << 16)
        if source not in self._backs:
            back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            back.connect(self._upstream)
            self._backs[source] = back
            self._selector.register(back, selectors.EVENT_READ, source)
        if "requests" not in self.closed:
            self._backs[source].send(data)

    def _response(self, source: Any) -> None:
        data = self._backs[source].recv(1 << 16)
        if "responses" not in self.closed:
            self._front.sendto(data, source)
            self.passed += 1


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with running_client(tmp_path) as started:
        yield started


class Relayed:
    """A block of `strategy` over `relay`."""

    def __init__(
        self, tmp_path: Path, client: Client, server: Server, relay: Relay, strategy: str, text: str = SCENARIO
    ) -> None:
        experiment = experiment_of(text)
        self.folder = RunFolder.create(tmp_path, "relayed")
        topology: Any = FakeTopology()
        topology.controls = {"client": client.program.control, "server-0": server.program.control}
        statistics: dict[str, Any] = {"counters": {}}
        topology.control("hedger").answers = {
            "stats": {**statistics, "monotonic_ns": 1, "hedges_lost": 0, "latency_us": {}},
            "collect": {**statistics, "rows": 0},
        }
        topology.servers = lambda: [relay.address]
        topology.check = lambda: None
        self.block = make_plan(experiment, (strategy,)).blocks[0]
        attempt = Attempt(self.block, experiment.scenario, SERIAL)
        self._run = BlockRun(attempt, topology, self.folder, Journal(self.folder.journal))

    def run(self) -> BlockReport:
        self.began_s = time.monotonic()
        report = self._run.run()
        self.ended_s = time.monotonic()
        return report


BOTH_WAYS = pytest.mark.parametrize("way", ["requests", "responses"])
CLIENTS = pytest.mark.parametrize("strategy", ["baseline", "app-native", "app-asyncio", "proxy"])


@BOTH_WAYS
@CLIENTS
def test_a_path_that_is_closed_from_the_beginning_ends_the_block_in_its_warm_up(
    way: str, strategy: str, tmp_path: Path, client: Client, server: Server
) -> None:
    with Relay(server.address) as relay:
        relay.closed.add(way)
        relayed = Relayed(tmp_path, client, server, relay, strategy)
        report = relayed.run()
        assert report.lost is not None
        assert "warm-up requests" in report.lost
        assert ("servers were reached" in report.lost) is (way == "responses")
        assert relayed.ended_s - relayed.began_s < BOUND_S
        relay.closed.clear()
        again = Relayed(tmp_path / "again", client, server, relay, strategy, SCENARIO.replace("3000", "100"))
        assert again.run().lost is None, "the next attempt is a block like any other"


@BOTH_WAYS
@CLIENTS
def test_a_path_that_is_closed_in_the_middle_ends_the_block_soon(
    way: str, strategy: str, tmp_path: Path, client: Client, server: Server
) -> None:
    with Relay(server.address) as relay:
        relayed = Relayed(tmp_path, client, server, relay, strategy)
        closed_s: list[float] = []

        def close_in_the_middle() -> None:
            while relay.passed < 500:
                time.sleep(0.01)
            closed_s.append(time.monotonic())
            relay.closed.add(way)

        closing = threading.Thread(target=close_in_the_middle)
        closing.start()
        report = relayed.run()
        closing.join()
    assert report.lost is not None
    assert "warm-up" not in report.lost
    assert "servers were reached (server-0 received " in report.lost
    assert relayed.ended_s - closed_s[0] < BOUND_S


PARTITION = "faults: [{fault: drop-requests, target: server-0, at: 300ms, duration: 3s}]\n"
OPEN = SCENARIO.replace("{mode: closed, users: 1, think: 1ms}", "{mode: open, rate: 200/s}").replace("3000", "1000")


def test_a_silence_that_is_declared_is_waited_for(tmp_path: Path, client: Client, server: Server) -> None:
    """Three seconds of it, where the client loses patience after one."""
    with Relay(server.address) as relay:
        relayed = Relayed(tmp_path, client, server, relay, "baseline", OPEN + PARTITION)
        report = relayed.run()
    assert report.lost is None
    assert report.unproven == []
    rows = read_rows(relayed.folder.raw_samples(relayed.block), Sample)
    assert 500 < sum(not row.copies_received for row in rows) < 700


def test_a_path_that_is_closed_while_another_silence_was_declared_is_noticed_afterwards(
    tmp_path: Path, client: Client, server: Server
) -> None:
    with Relay(server.address) as relay:
        relayed = Relayed(tmp_path, client, server, relay, "baseline", OPEN.replace("1000", "3000") + PARTITION)
        threading.Timer(2.0, relay.closed.add, ("responses",)).start()
        report = relayed.run()
    assert report.lost is not None
    assert 5 < relayed.ended_s - relayed.began_s < 3.3 + BOUND_S
