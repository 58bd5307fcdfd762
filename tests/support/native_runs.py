"""Building the client's compiled programs and driving them directly, against servers that do what a test says."""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import subprocess
import threading
from array import array
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hedgerow_node.clock import now_ns
from hedgerow_node.records import FIRST_WARMUP_ID, Sample, read_rows
from support.node_programs import IMAGES, MS, PATIENCE_S
from support.policy import cannot_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

SOURCES = IMAGES / "client" / "hedgerow_client" / "native"
Address = tuple[str, int]


def build(folder: Path, sanitised: bool = False) -> Path:
    """Both programs, made from the sources as they are, in a folder of their own."""
    if shutil.which("cc") is None or shutil.which("make") is None:
        cannot_run("needs a C compiler and make: run .ci/setup")
    command = ["make", "-s", "-C", str(SOURCES), f"BUILD={folder}", *(["SANITISED=1"] if sanitised else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


class Copy(NamedTuple):
    """A datagram that a scripted server received; `ordinal` counts the copies of its id from its sender, from 1."""

    request_id: int
    ordinal: int
    payload: bytes
    source: Any
    received_ns: int


class Peer:
    """A server that logs every copy and does `script(peer, copy)` for each, on a thread of its own."""

    def __init__(self, script: Callable[[Peer, Copy], None], host: str = "127.0.0.1") -> None:
        self.log: list[Copy] = []
        self.ordinals: Counter[tuple[Any, int]] = Counter()
        self._script = script
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)  # a busy host may hold us up
        self._socket.bind((host, 0))
        self.address: Address = self._socket.getsockname()[:2]
        self._stop, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Peer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.close()
        self._thread.join()
        self._stopped.close()
        self._socket.close()

    def reply(self, copy: Copy, payload: bytes | None = None) -> None:
        """Answer a copy with its own payload, or with `payload`."""
        self._socket.sendto(copy.payload if payload is None else payload, copy.source)

    def _serve(self) -> None:
        while True:
            ready, _, _ = select.select([self._socket, self._stopped], [], [])
            if self._stopped in ready:
                return
            payload, source = self._socket.recvfrom(1 << 16)
            request_id = int.from_bytes(payload[:4])
            self.ordinals[source, request_id] += 1
            copy = Copy(request_id, self.ordinals[source, request_id], payload, source, now_ns())
            self.log.append(copy)
            self._script(self, copy)


def echo(peer: Peer, copy: Copy) -> None:
    """Answer every copy at once."""
    peer.reply(copy)


def silence(peer: Peer, copy: Copy) -> None:
    """Answer nothing."""


def answer(request_id: int) -> bytes:
    """A response, or a request, of eight bytes."""
    return request_id.to_bytes(4) + bytes(4)


@dataclass
class NativeRun:
    """A running app-native or proxy, and what it has said on its channel."""

    process: subprocess.Popen[str]
    channel: socket.socket
    samples: Path
    events: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.channel.settimeout(PATIENCE_S)
        self._lines = self.channel.makefile("r")

    def event(self, name: str) -> dict[str, Any]:
        """The next event, which must bear that name."""
        line = self._lines.readline()
        assert line, f"no event {name}: exit code {self.process.wait(PATIENCE_S)}, {self.complaints()}"
        self.events.append(json.loads(line))
        assert self.events[-1]["event"] == name, self.events[-1]
        return self.events[-1]

    def finish(self) -> tuple[dict[str, Any], list[Sample]]:
        """Wait for the end of app-native's block: the report, and the records."""
        if not self.events:
            self.event("measuring")
        report = self.event("done")
        assert self.process.wait(PATIENCE_S) == 0
        return report, read_rows(self.samples, Sample)

    def complaints(self) -> str:
        """What it has said on stderr, once it has ended."""
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def hang_up(self) -> None:
        """Close the channel, as a supervisor's death does."""
        self._lines.close()
        self.channel.close()

    def end(self) -> dict[str, Any]:
        """Let the proxy end, as its supervisor does: its counters."""
        self.channel.shutdown(socket.SHUT_WR)
        counters = self.event("done")
        assert self.process.wait(PATIENCE_S) == 0
        return counters


def schedule_fd(warmup: Sequence[int], offsets: Sequence[int]) -> int:
    """A file of offsets as app-native takes it."""
    fd = os.memfd_create("schedule")
    os.write(fd, array("q", [*warmup, *offsets]).tobytes())
    return fd


@contextmanager
def started(
    program: Path, replicas: Sequence[Address], fds: Sequence[int], options: Mapping[str, object]
) -> Iterator[NativeRun]:
    """`program` with its channel, `replicas` and `options` (`name=value` becomes --name=value); ended at the end."""
    ours, theirs = socket.socketpair()
    arguments = [f"--channel={theirs.fileno()}"]
    arguments += [
        f"--replica=[{host}]:{port}" if ":" in host else f"--replica={host}:{port}" for host, port in replicas
    ]
    arguments += [f"--{name.replace('_', '-')}={value}" for name, value in options.items() if value is not None]
    command = [str(program), *arguments]
    with (
        ours,
        subprocess.Popen(command, pass_fds=[theirs.fileno(), *fds], stderr=subprocess.PIPE, text=True) as process,
    ):
        theirs.close()
        try:
            yield NativeRun(process, ours, Path(str(options.get("samples"))))
        finally:
            process.kill()


@contextmanager
def app_native(
    build_folder: Path,
    folder: Path,
    replicas: Sequence[Address],
    *,
    offsets: Sequence[int] | None = None,
    warmup_offsets: Sequence[int] = (),
    **changes: object,
) -> Iterator[NativeRun]:
    """app-native, running a block of three requests in closed arrivals, or of those of `offsets`."""
    options: dict[str, object] = {
        "samples": folder / "native.samples",
        "spread": "first",
        "target": "same",
        "first_id": 10,
        "count": 3 if offsets is None else len(offsets),
        "warmup_first_id": FIRST_WARMUP_ID,
        "warmup_count": len(warmup_offsets),
        "payload": 8,
        "timeout_ns": 60_000 * MS,
        "hedge_delay_ns": 500 * MS,
        "drain_ns": 0,
        "lead_ns": 0,
        "users": 1,
        "request_id": "0:4",
        "response_id": "0:4",
    }
    fds = [schedule_fd(warmup_offsets, offsets)] if offsets is not None else []
    if fds:
        options["schedule"] = fds[0]
    try:
        with started(build_folder / "app-native", replicas, fds, options | changes) as run:
            yield run
    finally:
        for fd in fds:
            os.close(fd)


@contextmanager
def proxy(build_folder: Path, replicas: Sequence[Address], **changes: object) -> Iterator[tuple[NativeRun, Address]]:
    """The proxy in front of `replicas`, and where it listens."""
    options: dict[str, object] = {
        "listen": "127.0.0.1:0",
        "spread": "first",
        "target": "same",
        "payload": 64,
        "timeout_ns": 60_000 * MS,
        "hedge_delay_ns": 500 * MS,
        "drain_ns": 0,
        "request_id": "0:4",
        "response_id": "0:4",
    }
    with started(build_folder / "proxy", replicas, (), options | changes) as run:
        host, port = run.event("listening")["address"]
        yield run, (host, port)
