"""Two network namespaces, a client's and a server's, joined by one link: what an engineer's host and service are."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.host.namespaces import DIRECTORY, create, delete, inside
from orchestrator.topology.programs import HEDGER, SERVER
from support.patience import patience_s

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CLIENT_HOST, SERVER_HOSTS = 1, (2, 3, 4)  #: the server side has three addresses: a service's replicas
VLAN = 100
PORT = 9000
PATIENCE_S = patience_s(30)


def ipv4(host: int, tagged: bool = False) -> str:
    """The IPv4 address of a host on the link, or on its VLAN."""
    return f"10.9.{VLAN if tagged else 0}.{host}"


def ipv6(host: int) -> str:
    """The IPv6 address of a host on the link."""
    return f"fd09::{host}"


@dataclass
class Pair:
    """The two namespaces and what runs in them."""

    client: str
    server: str
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, namespace: str, program: Sequence[str], *arguments: str) -> subprocess.Popen[str]:
        """Starts a program of ours; what it prints on stdout and stderr can be read from it."""
        process = subprocess.Popen(
            ["nsenter", f"--net={DIRECTORY / namespace}", "--", sys.executable, *program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def serve(
        self, *arguments: str, hosts: Sequence[int] = SERVER_HOSTS[:1], tagged: bool = False
    ) -> subprocess.Popen[str]:
        """A server on the port, over IPv4 and (but for the VLAN) IPv6, that is ready when this returns."""
        addresses = [ipv4(host, tagged) for host in hosts]
        addresses += [] if tagged else [f"[{ipv6(host)}]" for host in hosts]
        listen = [f"--listen={address}:{PORT}" for address in addresses]
        process = self.start(self.server, SERVER, *listen, *arguments)
        _wait_for_line(process, "server: listening")
        return process

    def hedge(self, *arguments: str) -> subprocess.Popen[str]:
        """A hedger on the client's interface that is ready when this returns."""
        process = self.start(self.client, HEDGER, "--interface=eth0", "--request-id=0:4", *arguments)
        _wait_for_line(process, "hedger: hedge on ")
        return process

    def socket(self, family: int) -> socket.socket:
        """A UDP socket of the client's."""
        with inside(self.client):
            return socket.socket(family, socket.SOCK_DGRAM)

    def show(self, *command: str) -> Any:
        """What `ip` or `tc`, asked for JSON, says in the client's namespace."""
        tool, *rest = command
        return json.loads(
            subprocess.check_output(["nsenter", f"--net={DIRECTORY / self.client}", "--", tool, "-json", *rest])
            or "[]"
        )

    def change(self, tool: str, *commands: str) -> None:
        """Runs commands of `ip` or `tc` in the client's namespace."""
        _batch(tool, self.client, *commands)

    def hooks(self) -> list[str]:
        """The names of the filters on the client's interface."""
        found = []
        for hook in ("egress", "ingress"):
            for entry in self.show("tc", "filter", "show", "dev", "eth0", hook):
                name = entry.get("options", {}).get("bpf_name")
                if name:
                    found.append(name)
        return sorted(found)

    def links(self) -> set[str]:
        """The links in the client's namespace."""
        return {link["ifname"] for link in self.show("ip", "link", "show")}


@contextmanager
def linked_pair(vlan: bool = False) -> Iterator[Pair]:
    """A pair that is gone afterwards, with all that was started in it; `vlan` adds a tagged network on its link."""
    token = secrets.token_hex(3)
    pair = Pair(f"hr-t{token}-client", f"hr-t{token}-server")
    create(pair.client)
    create(pair.server)
    try:
        _batch("ip", pair.client, f"link add eth0 mtu 9000 type veth peer name eth0 mtu 9000 netns {pair.server}")
        for namespace, hosts in ((pair.client, (CLIENT_HOST,)), (pair.server, SERVER_HOSTS)):
            _batch("ip", namespace, "link set lo up", "link set eth0 up")
            if vlan:
                _batch(
                    "ip",
                    namespace,
                    f"link add link eth0 name eth0.{VLAN} type vlan id {VLAN}",
                    f"link set eth0.{VLAN} up",
                )
            for host in hosts:
                _batch(
                    "ip", namespace, f"addr add {ipv4(host)}/24 dev eth0", f"addr add {ipv6(host)}/64 dev eth0 nodad"
                )
                if vlan:
                    _batch("ip", namespace, f"addr add {ipv4(host, tagged=True)}/24 dev eth0.{VLAN}")
        yield pair
    finally:
        for process in pair.processes:
            process.kill()
            process.communicate()
        delete(pair.client)
        delete(pair.server)


def statistics(hedger: subprocess.Popen[str]) -> dict[str, Any]:
    """Ends the hedger and returns its last line of statistics."""
    hedger.terminate()
    output, errors = hedger.communicate(timeout=PATIENCE_S)
    assert hedger.returncode == 0, errors
    last: dict[str, Any] = json.loads(output.splitlines()[-1])
    return last


def _batch(tool: str, namespace: str, *commands: str) -> None:
    enter = ["nsenter", f"--net={DIRECTORY / namespace}", "--"]
    subprocess.run([*enter, tool, "-batch", "-"], input="\n".join(commands) + "\n", text=True, check=True)


def _wait_for_line(process: subprocess.Popen[str], beginning: str) -> None:
    assert process.stderr is not None
    deadline_s = time.monotonic() + PATIENCE_S
    for line in process.stderr:
        if line.startswith(beginning):
            return
        assert time.monotonic() < deadline_s, f"never said {beginning!r}"
    raise AssertionError(f"ended with {process.wait()} before it said {beginning!r}")
