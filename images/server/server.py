#!/usr/bin/env python3
"""The deterministic chaos server: answers UDP requests after a service time and stalls those it is told to stall.

This is the program one runs. Its main process answers on the control socket and watches; a worker process, forked
once, serves (`server_worker`). Without a control socket it serves as its command line says.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

from hedgerow_node.addresses import format_endpoint, parse_endpoint, resolve
from hedgerow_node.arguments import reading, whole_number
from hedgerow_node.control import ControlClient, ControlError, Message
from hedgerow_node.expression import parse
from hedgerow_node.processes import Worker, fork_worker
from hedgerow_node.sources import digest
from hedgerow_node.supervisor import Supervisor
from hedgerow_node.units import parse_duration_ns
from hedgerow_node.wire import RequestIdPlaces, parse_place
from server_worker import ServerWorker
from service_model import ServiceSettings, Stall

_RECEIVE_BUFFER = 4 << 20  #: bytes asked for, so that a burst waits instead of getting lost; the kernel may give less
_WORKER_TIMEOUT_S = 30.0


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="server.py", description=__doc__.split("\n\n", maxsplit=1)[0])
    add, duration, place = parser.add_argument, reading(parse_duration_ns), reading(parse_place)
    add(
        "--listen",
        action="append",
        required=True,
        type=reading(parse_endpoint),
        metavar="ADDR:PORT",
        help="numeric address, [IPv6] in brackets; port 0 takes a free one; may be repeated. With 0.0.0.0 or [::] "
        "responses leave from the address that the routing table prefers",
    )
    add("--control", type=Path, metavar="PATH", help="answer control requests on this Unix socket")
    add("--service-time", type=duration, default="2ms", metavar="TIME", help="its median (default 2ms)")
    add("--sigma", type=float, default=0.0, help="lognormal service time of this sigma (default 0: constant)")
    add("--stall-when", type=reading(parse), metavar="CONDITION", help="stall these requests: 'id %% 100 < 2'")
    add("--stall-duration", type=duration, metavar="TIME", help="how long, on top of the service time")
    add("--heal-on-duplicate", action="store_true", help="do not stall a copy that follows another within a second")
    add("--concurrency", type=whole_number(1), metavar="N", help="serve N at a time, first in first out")
    add("--seed", type=int, default=42, help="of the lognormal service times (default 42)")
    add("--replica", type=whole_number(0, 255), default=0, help="this replica's number, written into responses")
    add("--request-id", type=place, default="0:4", metavar="OFFSET:LENGTH", help="in requests (default 0:4)")
    add("--response-id", type=place, default="0:4", metavar="OFFSET:LENGTH", help="in responses (default 0:4)")
    arguments = parser.parse_args(argv)
    if (arguments.stall_when is None) != (arguments.stall_duration is None):
        parser.error("--stall-when and --stall-duration need each other")
    if arguments.heal_on_duplicate and arguments.stall_when is None:
        parser.error("--heal-on-duplicate needs --stall-when")
    if not arguments.sigma >= 0:
        parser.error("--sigma must not be negative")
    return arguments


def _settings(arguments: argparse.Namespace) -> ServiceSettings:
    """How the command line wants requests served until a block says otherwise."""
    stall = None
    if arguments.stall_when is not None:
        stall = Stall(arguments.stall_when, arguments.stall_duration, arguments.heal_on_duplicate)
    return ServiceSettings(
        places=RequestIdPlaces(arguments.request_id, arguments.response_id),
        replica=arguments.replica,
        seed=arguments.seed,
        median_ns=arguments.service_time,
        sigma=arguments.sigma,
        concurrency=arguments.concurrency,
        stall=stall,
    )


def _open_socket(host: str, port: int) -> socket.socket:
    family, address = resolve(host, port)
    opened = socket.socket(family, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        if family == socket.AF_INET6:
            # Or [::] would take IPv4's requests too, and with them the port that 0.0.0.0 wants.
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        opened.bind(address)
    except OSError as error:
        opened.close()
        raise OSError(error.errno, f"cannot listen on {format_endpoint(host, port)}: {error.strerror}") from error
    return opened


class _Server:
    """The supervisor's side: forwards blocks to the worker and tells when the worker has died."""

    def __init__(
        self, supervisor: Supervisor, sockets: list[socket.socket], settings: ServiceSettings, controlled: bool
    ) -> None:
        self.death: str | None = None  #: how the worker ended, if it has
        self._supervisor, self._controlled = supervisor, controlled
        self._listening = [list(opened.getsockname()[:2]) for opened in sockets]
        self._worker: Worker = fork_worker(lambda channel: self._serve(sockets, settings, channel))
        for opened in sockets:
            # Only the worker holds them: when it dies, its ports are closed, as any server's.
            opened.close()
        self._client = ControlClient.over(self._worker.channel, "the server's worker", _WORKER_TIMEOUT_S)
        supervisor.watch(self._worker.pidfd, self._worker_ended)
        supervisor.operation("ping", self._ping)
        for name in ("start-block", "end-block"):
            supervisor.operation(name, self._forward)

    def _serve(self, sockets: list[socket.socket], settings: ServiceSettings, channel: socket.socket) -> None:
        self._supervisor.abandon()
        ServerWorker(sockets, settings, channel).run()

    def _ping(self, _: Message) -> Message:
        answer = {"role": "server", "pid": os.getpid(), "sources": digest("server")}
        if self.death is not None:
            return {**answer, "worker_pid": None, "listening": [], "worker_died": self.death}
        return {**answer, "worker_pid": self._worker.pid, "listening": self._listening}

    def _forward(self, request: Message) -> Message:
        if self.death is not None:
            raise ControlError(f"the server's worker has died ({self.death})")
        fields = {name: value for name, value in request.items() if name not in ("id", "do")}
        return self._client.call(request["do"], **fields)

    def _worker_ended(self) -> None:
        self._supervisor.unwatch(self._worker.pidfd)
        self.death = self._worker.reap() or "exit code 0"
        self._client.close()
        print(f"server: the worker has died ({self.death})", file=sys.stderr, flush=True)
        self._supervisor.emit("worker-died", role="server", pid=self._worker.pid, status=self.death)
        if not self._controlled:
            self._supervisor.stop()  # nobody could ask, and nothing would ever be served again

    def close(self) -> None:
        """End the worker."""
        if self.death is None:
            self._worker.kill()
            self._worker.reap()


def main(argv: list[str]) -> int:
    """Serve until SIGTERM, SIGINT or the operation `stop`; returns the exit code."""
    arguments = _arguments(argv)
    try:
        sockets = [_open_socket(host, port) for host, port in arguments.listen]
        supervisor = Supervisor(arguments.control)
    except (OSError, ControlError) as error:
        print(f"server: {error.strerror if isinstance(error, OSError) else error}", file=sys.stderr)
        return 1
    listening = ", ".join(format_endpoint(*opened.getsockname()[:2]) for opened in sockets)
    server = _Server(supervisor, sockets, _settings(arguments), arguments.control is not None)
    print(f"server: listening on {listening}", file=sys.stderr, flush=True)
    supervisor.run()
    server.close()
    return 0 if server.death is None or arguments.control is not None else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
