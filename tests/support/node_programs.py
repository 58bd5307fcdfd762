"""Starting the real server and client programs for a test, on loopback and without privileges."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hedgerow_node.control import ControlClient, ControlError
from hedgerow_node.records import FIRST_WARMUP_ID, Sample, ServedCopy, read_rows
from support.patience import patience_s

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGES = Path(__file__).resolve().parents[2] / "images"
PATIENCE_S = patience_s(60)  #: how long a test waits for what must happen; never a figure it judges
MS = 1_000_000
PLACES = {"request": {"offset": 0, "length": 4}, "response": {"offset": 0, "length": 4}}


def has_ipv6_loopback() -> bool:
    """Whether this host lets a socket bind to ::1."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


def wait_until_gone(pid: int) -> None:
    """Return once no process `pid` runs any more, however it ended; TimeoutError where it stays."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if not select.select([pidfd], [], [], PATIENCE_S)[0]:
            raise TimeoutError(f"process {pid} still runs")
    finally:
        os.close(pidfd)


@dataclass
class Program:
    """A program under test: its process and a connection to its control socket."""

    process: subprocess.Popen[str]
    control: ControlClient
    path: Path

    def ping(self) -> dict[str, Any]:
        """What it says about itself."""
        return self.control.call("ping")


@contextmanager
def running(program: str, path: Path, *arguments: str) -> Iterator[Program]:
    """`images/{program}` with `arguments`, answering on the control socket at `path`; ended at the end."""
    command = [sys.executable, str(IMAGES / program), "--control", str(path), *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            with connect(path, process) as control:
                yield Program(process, control, path)
        finally:
            process.kill()


def connect(path: Path, process: subprocess.Popen[str]) -> ControlClient:
    """A connection to the control socket at `path`, as soon as `process` has opened it."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return ControlClient(path, PATIENCE_S)
        except ControlError:
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise
            time.sleep(0.01)


@dataclass
class Server:
    """A running server that was started with one listening address."""

    program: Program

    @property
    def address(self) -> tuple[str, int]:
        """Where it serves."""
        host, port = self.program.ping()["listening"][0]
        return host, port

    def start_block(self, **changes: Any) -> None:
        """Start a block: 2 ms of constant service time, no stall, unless `changes` say otherwise."""
        request = {
            "block": 0,
            "strategy": "baseline",
            "replica": 0,
            "seed": 42,
            "service_time": {"distribution": "constant", "median_ns": 2 * MS, "sigma": 0.0},
            "concurrency": None,
            "stall": None,
            "request_id": PLACES,
        }
        self.program.control.call("start-block", **(request | changes))

    def end_block(self, folder: Path) -> tuple[dict[str, Any], list[ServedCopy]]:
        """End the block: the answer, and the log's rows."""
        path = folder / "block.copies"
        answer = self.program.control.call("end-block", log=str(path))
        return answer, read_rows(path, ServedCopy)


@contextmanager
def running_server(folder: Path, listen: str = "127.0.0.1:0") -> Iterator[Server]:
    """The real server on a port of its own choice."""
    with running("server/server.py", folder / "server.sock", "--listen", listen) as program:
        yield Server(program)


@dataclass
class Block:
    """What a client made of a block: its last event and, where it is done, the samples by request id."""

    event: dict[str, Any]
    samples: dict[int, Sample] = field(default_factory=dict)


@dataclass
class Client:
    """A running client."""

    program: Program
    folder: Path

    def start_block(self, server: tuple[str, int], strategy: str, **changes: Any) -> Path:
        """Start a block of 20 requests by one user to one server, without a pause, unless `changes` say otherwise."""
        samples = self.folder / "block.samples"
        request = {
            "block": 0,
            "strategy": strategy,
            "servers": [list(server)],
            "spread": "first",
            "target": "same",
            "requests": {"first_id": 0, "count": 20},
            "warmup": {"first_id": FIRST_WARMUP_ID, "count": 3},
            "payload": 64,
            "timeout_ns": 5_000 * MS,
            "arrivals": {"mode": "closed", "users": 1, "think_ns": 0},
            "hedge_delay_ns": 50 * MS,
            "request_id": PLACES,
            "drain_ns": 0,
            "lead_ns": 0,
            "gc": None,
            "samples": str(samples),
        }
        self.program.control.call("start-block", **(request | changes))
        return samples

    def run_block(self, server: tuple[str, int], strategy: str, **changes: Any) -> Block:
        """Start a block and wait for its end."""
        samples = self.start_block(server, strategy, **changes)
        event = self.program.control.wait_event(("block-done", "block-failed"), PATIENCE_S)
        if event["event"] == "block-failed":
            return Block(event)
        return Block(event, self.read_samples(samples))

    def read_samples(self, path: Path) -> dict[int, Sample]:
        """The samples of a block that is done, by request id."""
        return {sample.request_id: sample for sample in read_rows(path, Sample)}


@contextmanager
def running_client(folder: Path) -> Iterator[Client]:
    """The real client, waiting for blocks."""
    with running("client/client.py", folder / "client.sock") as program:
        yield Client(program, folder)
