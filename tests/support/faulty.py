"""A hedger with network faults between a client and a service that a test answers for: who saw which copies."""

from __future__ import annotations

import socket
import struct
import subprocess
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hedgerow_node.fault_draw import is_selected, rule_salt
from orchestrator.host.namespaces import DIRECTORY, inside
from orchestrator.topology.programs import HEDGER
from support.host_state import assert_as_before, host_state
from support.node_programs import connect
from support.pair import PORT, SERVER_HOSTS, Pair, ipv4, ipv6, linked_pair

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

SEED = 7
SIZE = 64
QUIET_S = 0.5  #: nothing more comes once it has been quiet for so long
HEDGE_DELAY_NS = 20_000_000
PATIENCE_S = 300.0  #: a hedger compiles, which takes a virtual machine its time
_SO_TIMESTAMPNS = 35
FAMILIES = {"IPv4": (socket.AF_INET, ipv4), "IPv6": (socket.AF_INET6, ipv6)}


@dataclass
class Arrived:
    """What a socket received until it was quiet: payloads by id, and when the kernel received them (wall clock)."""

    payloads: dict[int, list[bytes]] = field(default_factory=dict)
    kernel_ns: dict[int, list[int]] = field(default_factory=dict)

    @property
    def copies(self) -> Counter[int]:
        """How many copies arrived, by id."""
        return Counter({request_id: len(payloads) for request_id, payloads in self.payloads.items()})


class FaultyHedger:
    """A pair whose hedger is configured for a service with three replicas, on IPv4 and on IPv6."""

    def __init__(self, pair: Pair, control: Path) -> None:
        self.pair = pair
        self.process = pair.start(pair.client, HEDGER, f"--control={control}")
        self.control = connect(control, self.process)
        self.block = 0
        self.configure()
        # Programs are loaded when they are first needed: now, so that no test seems to leave some behind.
        rule = {"key": "0.0", "replica": 0, "first_id": 0, "last_id": 0, "percent": 0}
        rules = [
            rule | {"kind": "delay", "direction": "requests", "delay_ns": 1_000_000},
            rule | {"kind": "corrupt", "direction": "responses"},
        ]
        self.control.call("faults", seed=SEED, rules=rules)
        self.control.call("faults", seed=SEED, rules=[])

    def configure(self, **changes: Any) -> dict[str, Any]:
        """Configures it as it is at first, but for the `changes`; its answer."""
        id_place = {"offset": 0, "length": 4}
        settings = {
            "services": [[[address(host), PORT] for host in SERVER_HOSTS] for _, address in FAMILIES.values()],
            "target": "other",
            "request_id": {"request": id_place, "response": id_place},
            "copy_id": {"offset": 4, "length": 1},
            "delay_ns": HEDGE_DELAY_NS,
            "expiry_ns": 60_000_000_000,
            "delay_line": "auto",
            "budget_ratio": 1.0,
            "budget_burst": 1000,
            "run_id": "abc123",
        }
        answer: dict[str, Any] = self.control.call("configure", **settings | changes)
        return answer

    def begin(self, mode: str) -> None:
        """A new block, in which no request is known.

        The testbed's tap identifies requests by block and id, hedging by their flows.
        """
        self.block += 1
        identity = "block" if mode == "tap" else "flow"
        self.control.call("mode", mode=mode, identity=identity, block=self.block)

    def end(self) -> None:
        """Ends it as the testbed does; fails where it does not end well."""
        self.control.close()
        self.process.terminate()
        assert self.process.wait(PATIENCE_S) == 0


class FaultyPath:
    """A client's socket and a service's sockets, one a replica, in a block of their own in mode tap."""

    def __init__(self, hedger: FaultyHedger, family: str) -> None:
        number, self.address = FAMILIES[family]
        self.hedger, self.pair, self.control, self.family = hedger, hedger.pair, hedger.control, family
        self._stack = ExitStack()
        self.client = self._stack.enter_context(self.pair.socket(number))
        with inside(self.pair.server):
            self.replicas = [
                self._stack.enter_context(socket.socket(number, socket.SOCK_DGRAM)) for _ in SERVER_HOSTS
            ]
        self._endpoints = [(self.address(host), PORT) for host in SERVER_HOSTS]
        for replica, endpoint in zip(self.replicas, self._endpoints, strict=True):
            replica.bind(endpoint)
        for each in (self.client, *self.replicas):
            each.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._before: Counter[str] = Counter(self.control.call("stats")["counters"])
        self.begin("tap")

    def close(self) -> None:
        """Closes the sockets; the hedger goes on."""
        self._stack.close()

    def begin(self, mode: str) -> None:
        """See `FaultyHedger.begin`."""
        self.hedger.begin(mode)

    def put(self, *rules: dict[str, Any]) -> None:
        """Puts rules in force; what they leave out is loss of every request to replica 0."""
        whole = {"key": "0.0", "kind": "loss", "direction": "requests", "replica": 0, "percent": 100}
        whole |= {"first_id": 0, "last_id": 1 << 31}
        self.control.call("faults", seed=SEED, rules=[whole | rule for rule in rules])

    def netem(self, *rules: dict[str, Any]) -> list[dict[str, Any]]:
        """Puts netem's rules in force, by default for every request to replica 0; what those before have done."""
        was: list[dict[str, Any]] = self.control.call("netem", rules=_netem_rules(rules))["was"]
        return was

    def prepare_netem(self, *phases: Iterable[dict[str, Any]]) -> None:
        """Has what `netem` needs for each of these made beforehand."""
        self.control.call("prepare-netem", phases=[{"rules": _netem_rules(rules)} for rules in phases])

    def hits(self) -> dict[str, int]:
        """Copies affected, by the rules' keys; fails where some should have been and could not."""
        answer = self.control.call("fault-hits")
        assert answer["failed"] == 0
        hits: dict[str, int] = answer["hits"]
        return hits

    def counters(self) -> Counter[str]:
        """What the hedger's have counted since the path was made."""
        now: Counter[str] = Counter(self.control.call("stats")["counters"])
        return now - self._before

    def send(self, ids: Iterable[int], replica: int = 0) -> None:
        """The client sends a request for each id."""
        for request_id in ids:
            self.client.sendto(_payload(request_id), self._endpoints[replica])

    def arrived(self, replica: int = 0, quiet_s: float = QUIET_S) -> Arrived:
        """The copies of requests that reach a replica until it has been quiet for `quiet_s`."""
        return _receive(self.replicas[replica], quiet_s)

    def answer(self, ids: Iterable[int], replica: int = 0, copy: int = 1) -> None:
        """A replica answers the client's requests."""
        port = self.client.getsockname()[1]
        for request_id in ids:
            payload = _payload(request_id)
            self.replicas[replica].sendto(payload[:4] + bytes([copy]) + payload[5:], (self.address(1), port))

    def answers(self) -> Arrived:
        """The copies of responses that reach the client."""
        return _receive(self.client, QUIET_S)

    def wrong_sums(self, namespace: str) -> int:
        """How many datagrams a namespace's kernel has dropped for their checksums."""
        enter = ["nsenter", f"--net={DIRECTORY / namespace}", "--", "cat"]
        if self.family == "IPv6":
            lines = subprocess.check_output([*enter, "/proc/net/snmp6"], text=True).splitlines()
            return int(next(line.split()[1] for line in lines if line.startswith("Udp6InCsumErrors")))
        lines = subprocess.check_output([*enter, "/proc/net/snmp"], text=True).splitlines()
        names, values = (line.split() for line in lines if line.startswith("Udp:"))
        return int(values[names.index("InCsumErrors")])


@contextmanager
def faulty_path(hedger: FaultyHedger, family: str) -> Iterator[FaultyPath]:
    """A path whose sockets are closed afterwards, without rules before and after."""
    path = FaultyPath(hedger, family)
    try:
        yield path
        if path.hedger.process.poll() is None:
            path.put()
    finally:
        path.close()


@contextmanager
def faulty_hedger(control: Path) -> Iterator[FaultyHedger]:
    """A hedger in a pair of its own, of which nothing is left afterwards."""
    before = host_state()
    with linked_pair() as pair:
        hedger = FaultyHedger(pair, control)
        yield hedger
        if hedger.process.poll() is None:
            hedger.end()
    assert_as_before(before)


def predicted(
    ids: Iterable[int],
    percent: float,
    *,
    direction: str = "requests",
    copy: int = 1,
    replica: int = 0,
    key: str = "0.0",
) -> set[int]:
    """The ids whose copy a rule affects, computed from the seed alone."""
    salt = rule_salt(key, direction)
    return {request_id for request_id in ids if is_selected(SEED, request_id, copy, replica, salt, percent)}


def _netem_rules(rules: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"key": "0.0", "replica": 0, "percent": 100} | rule for rule in rules]


def _payload(request_id: int) -> bytes:
    return request_id.to_bytes(4, "big") + bytes([1, 0]) + bytes(n % 251 for n in range(SIZE - 6))


def _receive(endpoint: socket.socket, quiet_s: float) -> Arrived:
    endpoint.settimeout(quiet_s)
    arrived = Arrived()
    try:
        while True:
            payload, ancillary, _, _ = endpoint.recvmsg(65_535, 64)
            request_id = int.from_bytes(payload[:4], "big")
            arrived.payloads.setdefault(request_id, []).append(payload)
            ((_, _, stamp),) = ancillary
            seconds, nanoseconds = struct.unpack("qq", stamp)
            arrived.kernel_ns.setdefault(request_id, []).append(seconds * 1_000_000_000 + nanoseconds)
    except TimeoutError:
        return arrived
