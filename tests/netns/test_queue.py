"""The deadline queue on a real link: what it holds, what bounds it, and that it rests when nothing waits."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from hedgerow_node.ring import MAX_CELLS
from orchestrator.host.namespaces import inside
from orchestrator.topology.programs import HEDGER
from support.node_programs import connect
from support.pair import PORT, SERVER_HOSTS, Pair, ipv4, ipv6

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hedgerow_node.control import ControlClient

pytestmark = pytest.mark.root

SERVER = ipv4(SERVER_HOSTS[0])
DELAY_NS = 20_000_000
QUIET_S = 0.3


class Queue:
    """A hedger with the engine queue, configured over its control socket, and a silent service."""

    def __init__(self, pair: Pair, control: ControlClient) -> None:
        self.pair, self.control = pair, control
        with inside(pair.server):
            self.service = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.service.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.service.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        self.service.bind(("::", PORT))
        self.service.settimeout(QUIET_S)

    def configure(self, delay_ns: int = DELAY_NS, services: int = 1) -> None:
        """New settings, in mode hedge; the service has an address for each family."""
        places = [[[SERVER, PORT]], [[ipv6(SERVER_HOSTS[0]), PORT]]]
        places += [[[SERVER, PORT + 1 + number]] for number in range(services - 1)]
        place = {"offset": 0, "length": 4}
        status = self.control.call(
            "configure",
            services=places,
            target="same",
            request_id={"request": place, "response": place},
            delay_ns=delay_ns,
            expiry_ns=60_000_000_000,
            engine="queue",
            delay_line="auto",
            budget_ratio=1.0,
            budget_burst=100_000,
            run_id="abc123",
        )
        assert status["engine"] == "queue"
        self.control.call("mode", mode="hedge", identity="flow", block=0)

    def counters(self) -> dict[str, int]:
        counted: dict[str, int] = self.control.call("stats")["counters"]
        return counted

    def received(self) -> list[bytes]:
        """What comes to the service until it is quiet."""
        payloads = []
        try:
            while True:
                payloads.append(self.service.recv(65_535))
        except TimeoutError:
            return payloads


@pytest.fixture
def queue(pair: Pair, tmp_path: Path) -> Iterator[Queue]:
    path = tmp_path / "hedger.sock"
    process = pair.start(pair.client, HEDGER, f"--control={path}")
    control = connect(path, process)
    made = Queue(pair, control)
    yield made
    made.service.close()
    control.call("release")
    assert pair.hooks() == []
    assert not any(name.startswith("hr") for name in pair.links())
    control.close()
    process.terminate()
    assert process.wait(60) == 0


def ask(client: socket.socket, ids: range, size: int = 64, host: str = SERVER) -> None:
    for request_id in ids:
        client.sendto(request_id.to_bytes(4, "big") + bytes(size - 4), (host, PORT))


def assert_reconciled(counted: dict[str, int]) -> None:
    """The queue's own equations, with nothing left waiting."""
    refused = ("reused_early", "queue_full", "queue_broken", "too_large", "copy_failed")
    assert counted["requests"] == counted["armed"] + sum(counted[name] for name in refused)
    ends = ("rescued", "cancelled", "early", "late", "budget_denied", "lost", "outdated", "disarmed", "rescue_failed")
    assert counted["armed"] == sum(counted[name] for name in (*ends, "hedge_link_failed"))


@pytest.mark.parametrize("size", [4, 200, 215, 300, 1_400, 2_006, 2_007, 8_000])
@pytest.mark.parametrize("host", [SERVER, ipv6(SERVER_HOSTS[0])], ids=["IPv4", "IPv6"])
def test_a_hedge_has_every_byte_of_its_request_whatever_its_size(queue: Queue, host: str, size: int) -> None:
    """In a cell, in a large one, or as a clone; the service's kernel checks the sums."""
    queue.configure()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    payload = bytes([0, 0, 0, 1]) + bytes(n % 251 for n in range(size - 4))
    with queue.pair.socket(family) as client:
        client.sendto(payload, (host, PORT))
        assert queue.received() == [payload, payload]
    counted = queue.counters()
    assert_reconciled(counted)
    assert counted["hedges_sent"] == 1


def test_frames_of_all_sizes_in_turn(queue: Queue) -> None:
    """The sleeper carries a long frame, then a short one."""
    queue.configure()
    with queue.pair.socket(socket.AF_INET) as client:
        for number, size in enumerate((1_400, 8, 300, 4, 4_000, 64)):
            ask(client, range(number, number + 1), size)
        lengths = sorted(len(payload) for payload in queue.received())
    assert lengths == sorted(2 * [1_400, 8, 300, 4, 4_000, 64])
    assert_reconciled(queue.counters())


def test_nothing_runs_while_nothing_waits(queue: Queue) -> None:
    queue.configure()
    with queue.pair.socket(socket.AF_INET) as client:
        ask(client, range(10))
        assert len(queue.received()) == 20
    before = queue.counters()
    time.sleep(QUIET_S)
    after = queue.counters()
    assert before["wakes"] > 0
    assert before == after
    assert_reconciled(after)


def test_a_full_queue_lets_requests_pass_unhedged_and_counts_them(queue: Queue) -> None:
    queue.configure(delay_ns=5_000_000_000, services=15)
    share, more = MAX_CELLS // 16, 100
    with queue.pair.socket(socket.AF_INET) as client:
        ask(client, range(share + more))
    counted = queue.counters()
    assert (counted["requests"], counted["armed"], counted["queue_full"]) == (share + more, share - 1, more + 1)


def test_a_lost_sleeper_is_replaced(queue: Queue) -> None:
    """With the link down its qdisc drops what it holds."""
    queue.configure()
    with queue.pair.socket(socket.AF_INET) as client:
        ask(client, range(5))
        queue.pair.change("ip", "link set hrabc123d0 down", "link set hrabc123d0 up")
        time.sleep(0.1)
        ask(client, range(100, 105))
        received = queue.received()
    assert len(received) == 20
    counted = queue.counters()
    assert counted["sleepers"] >= 2
    assert_reconciled(counted)


def test_a_line_that_does_not_delay_is_given_up(queue: Queue) -> None:
    """Nothing is hedged before its deadline, and no sleeper keeps a CPU busy."""
    queue.configure(delay_ns=10_000_000_000)
    with queue.pair.socket(socket.AF_INET) as client:
        queue.pair.change("tc", "qdisc delete dev hrabc123d0 root")
        ask(client, range(5))
        deadline_s = time.monotonic() + 60
        while not queue.counters()["queue_broken"] and time.monotonic() < deadline_s:
            time.sleep(0.1)
            ask(client, range(100, 101))
    counted = queue.counters()
    assert (counted["queue_broken"] > 0, counted["rescued"], counted["hedges_sent"]) == (True, 0, 0)
    time.sleep(QUIET_S)
    assert queue.counters()["wakes"] == counted["wakes"]


def test_stopped_under_load_it_leaves_nothing(queue: Queue) -> None:
    """The fixture looks for what is left."""
    queue.configure(delay_ns=1_000_000_000)
    with queue.pair.socket(socket.AF_INET) as client:
        ask(client, range(500))
    assert queue.counters()["armed"] == 500


def test_configured_again_no_old_frame_is_sent(queue: Queue) -> None:
    queue.configure(delay_ns=300_000_000)
    with queue.pair.socket(socket.AF_INET) as client:
        ask(client, range(50))
        queue.configure()
        ask(client, range(1000, 1010))
        received = [int.from_bytes(payload[:4], "big") for payload in queue.received()]
    assert sorted(received) == sorted([*range(50), *range(1000, 1010), *range(1000, 1010)])


class TestOnLoopback:
    """No sysctl, and no qdisc on the device."""

    @pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
    def test_stalled_requests_are_hedged(self, queue: Queue, host: str) -> None:
        pair = queue.pair
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        endpoint = f"[{host}]:{PORT}" if ":" in host else f"{host}:{PORT}"
        hedger: Any = pair.start(
            pair.client,
            HEDGER,
            "--interface=lo",
            *(f"--service={endpoint}", "--request-id=0:4", "--delay=20ms", "--engine=queue", "--stats=60s"),
        )
        for line in hedger.stderr:
            if line.startswith("hedger: hedge on lo"):
                break
        with pair.socket(family) as client, pair.socket(family) as service:
            service.bind((host, PORT))
            service.settimeout(5)
            client.connect((host, PORT))
            client.settimeout(5)
            for number in range(10):
                client.send(number.to_bytes(4, "big") + bytes(60))
                copies = [service.recvfrom(2_000) for _ in range(2)]
                for payload, source in copies:
                    service.sendto(payload, source)
                assert client.recv(2_000) == copies[0][0]
            client.settimeout(QUIET_S)
            with pytest.raises(TimeoutError):
                client.recv(2_000)
        hedger.terminate()
        assert hedger.wait(60) == 0
