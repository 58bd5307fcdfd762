"""The server's supervisor: forwards blocks to the worker, injects faults into it, and reports when it has died."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hedgerow_node.addresses import format_endpoint, resolve
from hedgerow_node.clock import now_ns
from hedgerow_node.control import ControlClient, ControlError
from hedgerow_node.percentiles import lateness_us
from hedgerow_node.process_fault_kinds import GcRun
from hedgerow_node.process_faults import ProcessFaults
from hedgerow_node.processes import KILLED, Worker, fork_worker
from hedgerow_node.protocol.server import (
    CollectAt,
    CollectionTimes,
    EndBlock,
    InFlight,
    ServerReport,
    ServerStatus,
    ServiceSettings,
)
from hedgerow_node.records import NO_TIME
from hedgerow_node.sources import digest
from hedgerow_server.log import ServerLog
from hedgerow_server.worker import ServerWorker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hedgerow_node.protocol import JsonObject
    from hedgerow_node.supervisor import Supervisor

_WORKER_TIMEOUT_S = 30.0
_RECEIVE_BUFFER = 4 << 20  #: bytes asked for, so that a burst waits instead of getting lost; the kernel may give less


def open_socket(host: str, port: int) -> socket.socket:
    """A UDP socket bound to a numeric address, not blocking; OSError, naming the address, where it fails."""
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


class ServerSupervisor:
    """Answers for a worker that serves `sockets`; `death` says how it ended, if it has ended by itself.

    Without a control socket (`controlled` is false) the supervisor stops then.
    """

    def __init__(
        self, supervisor: Supervisor, sockets: list[socket.socket], settings: ServiceSettings, controlled: bool
    ) -> None:
        self.death: str | None = None
        self._supervisor, self._settings, self._controlled = supervisor, settings, controlled
        self._listening: list[tuple[str, int]] = [opened.getsockname()[:2] for opened in sockets]
        self._log = ServerLog()
        self._block: ServiceSettings | None = None  #: how the last block is served
        self._logs = False  #: whether that block is still on
        self._collections_due: list[int] = []
        self._when_killed: Callable[[str], None] | None = None
        self._worker: Worker | None = None
        self._client = self._fork(lambda channel: self._serve(sockets, channel))
        for opened in sockets:
            # Only the worker holds them: when it dies, its ports are closed, as any server's.
            opened.close()
        supervisor.operation("ping", self._ping)
        supervisor.operation("start-block", self._start_block)
        supervisor.operation("end-block", self._end_block)
        self._faults = ProcessFaults(supervisor, lambda: self._worker, replacement=self, worker_gc=self)

    def close(self) -> None:
        """Undo what is on, and end the worker."""
        self._faults.close()
        if self._worker is not None:
            self._worker.kill()
            self._worker.reap()

    def _fork(self, work: Callable[[socket.socket], None]) -> ControlClient:
        self._worker = fork_worker(work)
        self._supervisor.watch(self._worker.pidfd, self._worker_ended)
        return ControlClient.over(self._worker.channel, "the server's worker", _WORKER_TIMEOUT_S)

    def _serve(self, sockets: list[socket.socket], channel: socket.socket) -> None:
        self._supervisor.abandon()
        ServerWorker(self._settings, channel, self._log).run(sockets)

    def _serve_again(self, channel: socket.socket) -> None:
        self._supervisor.abandon()
        worker = ServerWorker(self._settings, channel, self._log)
        worker.take_over(self._block, self._logs, [due_ns for due_ns in self._collections_due if due_ns > now_ns()])
        # Last of all: requests that are received again are answered as the block says.
        worker.run([open_socket(*address) for address in self._listening])

    def _worker_ended(self) -> None:
        worker, self._worker = self._worker, None
        if worker is None:
            return
        self._supervisor.unwatch(worker.pidfd)
        how = worker.reap() or "exit code 0"
        self._client.close()
        then, self._when_killed = self._when_killed, None
        if then is None or how != KILLED:
            self.death = how
            print(f"server: the worker has died ({how})", file=sys.stderr, flush=True)
            self._supervisor.emit("worker-died", role="server", pid=worker.pid, status=how)
            if not self._controlled:
                self._supervisor.stop()  # without a control socket nothing would ever be served again
        if then is not None:
            then(how)

    # What faults of the worker need.

    def kill(self, then: Callable[[str], None]) -> None:
        """Kill the worker; once it has been reaped, `then` is called with how it ended."""
        if self._worker is not None:
            self._when_killed = then
            self._worker.kill()

    def reap(self) -> None:
        """Wait for the end of a worker that was killed."""
        self._worker_ended()

    def revive(self) -> Worker | None:
        """Fork a fresh worker that serves the same block; None where the last one had died by itself."""
        if self.death is None and self._worker is None:
            self._client = self._fork(self._serve_again)
        return self._worker

    def serving_ns(self, pid: int) -> int | None:
        """When the worker `pid` took up its work; waits for the current one to do so."""
        self._await_worker()
        return next((since_ns for known, since_ns in self._log.workers.rows() if known == pid), None)

    def collect_at(self, times_ns: Sequence[int]) -> None:
        """Let the worker, whichever it will be, collect at these times too; ControlError where it has no graph."""
        if self._block is None or self._block.gc is None:
            raise ControlError("the block carries no objects to collect: field 'gc' of start-block is missing")
        self._collections_due += times_ns
        if self._worker is not None:
            self._client.notify("collect-at", **CollectAt(tuple(times_ns)).to_json())

    def collect_no_more(self) -> None:
        """Take back all times that have not come."""
        self._collections_due = []
        if self._worker is not None:
            self._client.notify("collect-no-more")

    def collected(self) -> list[GcRun]:
        """The collections of the block; waits for one that is going on."""
        self._await_worker()
        return [GcRun(*row) for row in self._log.collections.rows()]

    def _await_worker(self) -> None:
        """Wait until the worker has done all that it was asked to do, unless there is none."""
        if self._worker is not None:
            self._client.call("ping")

    # What the orchestrator asks for.

    def _ping(self, _: JsonObject) -> JsonObject:
        status = ServerStatus(os.getpid(), digest("server"), worker_died=self.death)
        if self.death is None and self._worker is not None:
            status = replace(status, worker_pid=self._worker.pid, listening=tuple(self._listening))
        answer = status.to_json()
        if self.death is None:
            del answer["worker_died"]  # the health check takes the mere key for the news
        return answer

    def _call(self, do: str, **fields: object) -> JsonObject:
        if self.death is not None:
            raise ControlError(f"the server's worker has died ({self.death})")
        return self._client.call(do, **fields)

    def _start_block(self, request: JsonObject) -> None:
        self._faults.forget()
        self._collections_due = []
        block = ServiceSettings.from_json(request)
        self._call("start-block", **block.to_json())
        self._block, self._logs = block, True

    def _end_block(self, request: JsonObject) -> JsonObject:
        """Write the log, with what is still in flight as not sent; serving goes on, unlogged."""
        self._faults.finish()
        path = Path(EndBlock.from_json(request).log)
        if not self._logs:
            self._call("ping")
            raise ControlError("no block was started")
        with path.open("wb") as file:
            in_flight = InFlight.from_json(self._call("end-block")).in_flight
            file.write(self._log.copies.data())
        self._logs = False
        if self._log.failure is not None:
            raise ControlError(self._log.failure)
        rows = self._log.copies.rows()
        return ServerReport(
            rows=len(rows),
            in_flight=in_flight,
            timer_lateness_us=lateness_us(row[6] - row[5] for row in rows if row[6] != NO_TIME),
            malformed=self._log.malformed,
            send_errors=self._log.send_errors,
            fault_hits=self._fault_hits(),
            collections=tuple(
                CollectionTimes(start_ns, end_ns) for _, start_ns, end_ns in self._log.collections.rows()
            ),
        ).to_json()

    def _fault_hits(self) -> dict[str, int]:
        """Copies affected, by the fault's key, which several may share."""
        faults = () if self._block is None else self._block.faults
        hits = dict.fromkeys((fault.key for fault in faults), 0)
        for fault, count in zip(faults, self._log.hits, strict=False):
            hits[fault.key] += count
        return hits
