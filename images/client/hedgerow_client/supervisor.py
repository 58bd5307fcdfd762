"""The client's main process: answers on the control socket and forks a fresh worker for each block (`worker`)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from hedgerow_client.programs import locate
from hedgerow_client.proxy import Proxy
from hedgerow_client.worker import work
from hedgerow_node.control import ControlError, JsonObject, Lines
from hedgerow_node.process_faults import ProcessFaults
from hedgerow_node.processes import Worker, fork_worker
from hedgerow_node.protocol.client import BlockSettings
from hedgerow_node.sources import digest
from hedgerow_node.strategies import strategy_named

if TYPE_CHECKING:
    import socket

    from hedgerow_node.supervisor import Supervisor

_CHUNK = 1 << 16
#: What a worker that ended well without a report has said.
_SILENT: tuple[str, JsonObject] = ("failed", {"error": "the client's worker has ended without a report"})


class ClientSupervisor:
    """One block at a time, each in a worker of its own, reported when it has ended."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._worker: Worker | None = None
        self._proxy: Proxy | None = None
        self._block, self._strategy = 0, ""
        self._lines, self._listening = Lines(), False  # of the worker's channel
        self._last_word = _SILENT
        supervisor.operation("ping", self._ping)
        supervisor.operation("start-block", self._start_block)
        supervisor.operation("cancel-block", self._cancel_block)
        # A block has one worker, which nothing could replace, and which knows from the start when to collect garbage.
        self._faults = ProcessFaults(supervisor, lambda: self._worker)

    def _ping(self, _: JsonObject) -> JsonObject:
        return {
            "role": "client",
            "pid": os.getpid(),
            "worker_pid": self._worker.pid if self._worker else None,
            "proxy_pid": self._proxy.pid if self._proxy else None,
            "sources": digest("client"),
        }

    def _start_block(self, request: JsonObject) -> None:
        if self._worker is not None:
            raise ControlError(f"block {self._block} of {self._strategy} is still running")
        settings = BlockSettings.from_json(request)
        if settings.samples is None:
            raise ControlError("field 'samples' is missing")
        samples = Path(settings.samples)
        if not samples.parent.is_dir():
            raise ControlError(f"field 'samples': there is no folder {samples.parent}")
        self._block, self._strategy = settings.block, settings.strategy
        self._lines, self._last_word = Lines(), _SILENT
        self._faults.forget()
        strategy = strategy_named(settings.strategy)
        if strategy.worker_program is not None:
            locate(strategy.worker_program)
        if strategy.proxy_program is not None:
            self._proxy = Proxy(settings, strategy.proxy_program)
            self._supervisor.watch(self._proxy.pidfd, self._proxy_ended)
            settings = self._proxy.client_settings
        self._start_worker(settings, samples)

    def _start_worker(self, settings: BlockSettings, samples: Path) -> None:
        def run(channel: socket.socket) -> None:
            self._supervisor.abandon()
            work(settings, samples, channel)

        self._worker = fork_worker(run)
        self._supervisor.watch(self._worker.pidfd, self._worker_ended)
        self._supervisor.watch(self._worker.channel.fileno(), self._worker_speaks)
        self._listening = True

    def _worker_speaks(self) -> None:
        if self._worker is not None and not self._hear(self._worker):
            self._listen_no_more(self._worker)

    def _hear(self, worker: Worker) -> bool:
        """Take in what lies in the channel; False at its end."""
        data = worker.channel.recv(_CHUNK)
        for line in self._lines.feed(data):
            message = json.loads(line)
            event = message.pop("event")
            if event in ("measuring", "silent"):
                self._supervisor.emit(event, block=self._block, strategy=self._strategy, **message)
            else:
                self._last_word = (event, message)
        return bool(data)

    def _listen_no_more(self, worker: Worker) -> None:
        if self._listening:
            self._listening = False
            self._supervisor.unwatch(worker.channel.fileno())

    def _worker_ended(self) -> None:
        worker, death = self._release()
        while self._hear(worker):
            pass
        worker.channel.close()
        if death is not None:
            self._supervisor.emit("worker-died", role="client", pid=worker.pid, status=death)
            self._last_word = ("failed", {"error": f"the client's worker has died ({death})"})
        event, fields = self._last_word
        proxy = self._release_proxy()
        if proxy is not None:
            try:
                fields = {**fields, "proxy": proxy.finish()}
            except (ControlError, OSError) as error:
                event, fields = "failed", {"error": str(error)}
        self._tell_end(event, fields)

    def _proxy_ended(self) -> None:
        """Without the proxy the client gets no answers."""
        self._end_worker()
        proxy = self._release_proxy()
        if proxy is not None:
            death = proxy.kill() or "exit code 0"
            self._supervisor.emit("worker-died", role="proxy", pid=proxy.pid, status=death)
            self._tell_end("failed", {"error": f"the proxy has died ({death})"})

    def _tell_end(self, event: str, fields: JsonObject) -> None:
        self._supervisor.emit(f"block-{event}", block=self._block, strategy=self._strategy, **fields)

    def _release_proxy(self) -> Proxy | None:
        proxy, self._proxy = self._proxy, None
        if proxy is not None:
            self._supervisor.unwatch(proxy.pidfd)
        return proxy

    def _release(self) -> tuple[Worker, str | None]:
        worker, self._worker = self._worker, None
        if worker is None:
            raise ControlError("no block is running")
        self._supervisor.unwatch(worker.pidfd)
        self._listen_no_more(worker)
        return worker, worker.reap()

    def _cancel_block(self, _: JsonObject) -> JsonObject:
        """End the block, if one is running, without a report, and undo its faults."""
        self._faults.finish()
        if self._worker is None:
            return {"cancelled": None}
        self._end_worker()
        proxy = self._release_proxy()
        if proxy is not None:
            proxy.kill()
        return {"cancelled": self._block}

    def _end_worker(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            worker, _death = self._release()
            worker.channel.close()

    def close(self) -> None:
        """Undo what is on, and end the worker and the proxy, if there are any."""
        self._faults.close()
        self._cancel_block({})
