#!/usr/bin/env python3
"""The client: sends UDP requests block by block, as it is asked to, and records what became of each.

This is the program one runs. With `--control` its main process waits for work on the control socket and forks a
fresh worker for each block (`client_worker`); with `--server` it runs a single block as its command line says and
prints a report (`client_by_hand`).
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

from client_block import BlockSettings, read_settings
from client_by_hand import parse_arguments, run_by_hand
from client_worker import run_block
from hedgerow_node.control import ControlError, Message
from hedgerow_node.fields import Fields
from hedgerow_node.processes import Worker, fork_worker
from hedgerow_node.records import Sample, write_rows
from hedgerow_node.sources import digest
from hedgerow_node.supervisor import Supervisor

_REPORT_SIZE = 1 << 16


class _Client:
    """The supervisor's side: one block at a time, each in a worker of its own, reported when it has ended."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._worker: Worker | None = None
        self._block, self._strategy = 0, ""
        supervisor.operation("ping", self._ping)
        supervisor.operation("start-block", self._start_block)
        supervisor.operation("cancel-block", self._cancel_block)

    def _ping(self, _: Message) -> Message:
        worker_pid = self._worker.pid if self._worker else None
        return {"role": "client", "pid": os.getpid(), "worker_pid": worker_pid, "sources": digest("client")}

    def _start_block(self, request: Message) -> None:
        if self._worker is not None:
            raise ControlError(f"block {self._block} of {self._strategy} is still running")
        fields = Fields(request)
        settings, samples = read_settings(fields), Path(fields.text("samples"))
        if not samples.parent.is_dir():
            raise ControlError(f"field 'samples': there is no folder {samples.parent}")
        self._block, self._strategy = fields.integer("block", 0), settings.strategy
        self._worker = fork_worker(lambda channel: self._work(settings, samples, channel))
        self._supervisor.watch(self._worker.pidfd, self._worker_ended)

    def _work(self, settings: BlockSettings, samples: Path, channel: socket.socket) -> None:
        """The worker's side: one message, which fits into the channel's buffer whether or not anybody reads it."""
        self._supervisor.abandon()
        try:
            result = run_block(settings)
            write_rows(samples, result.ledger.rows(), Sample)
        except OSError as error:
            channel.sendall(json.dumps({"error": str(error)}).encode())
        else:
            channel.sendall(json.dumps(result.report).encode())

    def _worker_ended(self) -> None:
        worker, death = self._release()
        report = worker.channel.recv(_REPORT_SIZE)
        worker.channel.close()
        block = {"block": self._block, "strategy": self._strategy}
        if death is not None:
            self._supervisor.emit("worker-died", role="client", pid=worker.pid, status=death)
            self._supervisor.emit("block-failed", **block, error=f"the client's worker has died ({death})")
            return
        fields = json.loads(report)
        self._supervisor.emit("block-failed" if "error" in fields else "block-done", **block, **fields)

    def _release(self) -> tuple[Worker, str | None]:
        worker, self._worker = self._worker, None
        if worker is None:
            raise ControlError("no block is running")
        self._supervisor.unwatch(worker.pidfd)
        return worker, worker.reap()

    def _cancel_block(self, _: Message) -> Message:
        """End the block, if one is running, without a report."""
        if self._worker is None:
            return {"cancelled": None}
        self._worker.kill()
        worker, _death = self._release()
        worker.channel.close()
        return {"cancelled": self._block}

    def close(self) -> None:
        """End the worker, if there is one."""
        self._cancel_block({})


def main(argv: list[str]) -> int:
    """Wait for work until SIGTERM, SIGINT or the operation `stop`, or run one block; returns the exit code."""
    arguments = parse_arguments(argv)
    if arguments.control is None:
        return run_by_hand(arguments)
    try:
        supervisor = Supervisor(arguments.control)
    except (OSError, ControlError) as error:
        print(f"client: {error.strerror if isinstance(error, OSError) else error}", file=sys.stderr)
        return 1
    client = _Client(supervisor)
    supervisor.run()
    client.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
