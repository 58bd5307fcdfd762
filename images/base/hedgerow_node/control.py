"""How the orchestrator and the programs talk: one JSON object a line over a Unix socket.

A request `{"id", "do", …}` is answered `{"id", "ok": true, …}` or `{"id", "ok": false, "error"}`; a program also
pushes `{"event", …}` to everyone connected, for what takes long or happens by itself. The server's side never
blocks on its own: it lives inside the poll loop of a single-threaded program. The same lines join a supervisor to
its worker over a socket pair.
"""

from __future__ import annotations

import json
import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from hedgerow_node.poller import Poller

JsonObject = dict[str, object]  #: a JSON object, as `json` reads it
Answer = dict[str, Any]  #: an answer or event as the asking side gets it, to be read as a message of the protocol
Operation = Callable[[JsonObject], JsonObject | None]

MAX_LINE = 1 << 20  #: bytes; no message needs more, so a longer line ends the connection
_SEND_TIMEOUT_S = 1.0  #: how long a program lets a peer that does not read hold it up
_CHUNK = 1 << 16


class ControlError(Exception):
    """A request that was refused, went unanswered, or whose program is gone; the message says which."""


def _encode(message: JsonObject) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


class Lines:
    """The lines that arrive over a stream, cut out of whatever pieces they come in."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes; ControlError where one is longer than it may be."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE:
            raise ControlError(f"a line is longer than {MAX_LINE} bytes")
        return [line for line in lines if line.strip()]


class ControlServer:
    """The answering side: give it operations, join it to a `Poller`, hand it the descriptors that are ready.

    With a `path` it listens there, with mode 0660 and the group of the socket's directory, in place of a socket
    left behind by a program that is dead. Without one it serves only connections it is given (`adopt`). Raises
    ControlError where a living program answers on `path`, OSError where it cannot listen.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._operations: dict[str, Operation] = {}
        self._connections: dict[int, tuple[socket.socket, Lines]] = {}
        self._poller: Poller | None = None
        self._listener = None if path is None else _listen(path)

    def operation(self, name: str, operation: Operation) -> None:
        """Answer requests that ask to `do` `name` with what `operation(request)` returns.

        An operation refuses by raising ControlError, ValueError or OSError; the text becomes the answer's error.
        """
        self._operations[name] = operation

    def join(self, poller: Poller) -> None:
        """Let `poller` watch the listening socket and every connection, now and later."""
        self._poller = poller
        if self._listener is not None:
            poller.register(self._listener.fileno())
        for fd in self._connections:
            poller.register(fd)

    def adopt(self, connection: socket.socket) -> None:
        """Serve `connection`, an open stream socket, as if it had connected to the path."""
        connection.settimeout(_SEND_TIMEOUT_S)
        self._connections[connection.fileno()] = (connection, Lines())
        if self._poller is not None:
            self._poller.register(connection.fileno())

    @property
    def connections(self) -> int:
        """How many peers are connected."""
        return len(self._connections)

    def handle(self, fd: int) -> bool:
        """Do what the ready descriptor `fd` asks for; False where it is none of this server's."""
        if self._listener is not None and fd == self._listener.fileno():
            self.adopt(self._listener.accept()[0])
            return True
        if fd not in self._connections:
            return False
        connection, lines = self._connections[fd]
        try:
            data = connection.recv(_CHUNK, socket.MSG_DONTWAIT)
            complete = lines.feed(data)
        except BlockingIOError:
            return True
        except (OSError, ControlError):
            data, complete = b"", []
        if not data:
            self._drop(fd)
        for line in complete:
            self._send(fd, self._answer(line))
        return True

    def emit(self, event: str, **fields: object) -> None:
        """Push `{"event": event, …fields}` to everyone connected."""
        for fd in list(self._connections):
            self._send(fd, {"event": event, **fields})

    def close(self) -> None:
        """Close every connection and remove the socket from its path."""
        self.abandon()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def abandon(self) -> None:
        """Close the descriptors but leave the path alone: what a forked worker does with its supervisor's server."""
        for fd in list(self._connections):
            self._drop(fd)
        if self._listener is not None:
            if self._poller is not None:
                self._poller.unregister(self._listener.fileno())
            self._listener.close()
            self._listener = None

    def _answer(self, line: bytes) -> JsonObject:
        try:
            request = json.loads(line)
        except ValueError:
            return {"id": None, "ok": False, "error": "the line is not JSON"}
        if not isinstance(request, dict):
            return {"id": None, "ok": False, "error": "the line is not a JSON object"}
        request_id, name = request.get("id"), request.get("do")
        operation = self._operations.get(name) if isinstance(name, str) else None
        if operation is None:
            known = ", ".join(sorted(self._operations))
            return {"id": request_id, "ok": False, "error": f"unknown operation {name!r}; there are: {known}"}
        try:
            return {"id": request_id, "ok": True, **(operation(request) or {})}
        except (ControlError, ValueError, OSError) as error:
            return {"id": request_id, "ok": False, "error": str(error)}

    def _send(self, fd: int, message: JsonObject) -> None:
        if fd not in self._connections:
            return
        try:
            self._connections[fd][0].sendall(_encode(message))
        except OSError:
            self._drop(fd)

    def _drop(self, fd: int) -> None:
        connection, _ = self._connections.pop(fd)
        if self._poller is not None:
            self._poller.unregister(fd)
        connection.close()


def _listen(path: Path) -> socket.socket:
    _remove_dead_socket(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The mode is set by the mask rather than afterwards, so that at no moment others can connect.
        mask = os.umask(0o117)
        try:
            listener.bind(str(path))
        finally:
            os.umask(mask)
        group = path.parent.stat().st_gid
        # A program that is neither root nor in that group runs for its own user, who gets in anyway.
        if os.geteuid() == 0 or group in os.getgroups():
            os.chown(path, -1, group)
        listener.listen()
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot listen on {path}: {error}") from error
    return listener


def _remove_dead_socket(path: Path) -> None:
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise ControlError(f"another program answers on {path}")


class ControlClient:
    """The asking side, blocking: one request at a time, and the events that came in between.

    `timeout_s` bounds each call and the wait for a connection. Raises ControlError where nothing answers on `path`.
    """

    def __init__(self, path: Path, timeout_s: float) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout_s)
        try:
            connection.connect(str(path))
        except OSError as error:
            connection.close()
            raise ControlError(f"{path}: no program answers there ({error})") from error
        self._begin(connection, str(path), timeout_s)

    @classmethod
    def over(cls, connection: socket.socket, name: str, timeout_s: float) -> ControlClient:
        """A client over an open stream socket, one end of a socket pair; `name` is the peer's, for messages."""
        client = cls.__new__(cls)
        client._begin(connection, name, timeout_s)
        return client

    def _begin(self, connection: socket.socket, name: str, timeout_s: float) -> None:
        self._connection, self._name, self._timeout_s = connection, name, timeout_s
        self._lines, self._events = Lines(), deque[Answer]()
        self._arrived = deque[Answer]()
        self._last_id = 0

    def call(self, do: str, **fields: object) -> Answer:
        """Ask to `do` something and return the answer's fields (without "id" and "ok").

        Raises ControlError with the program's own text where it refuses, and where no answer comes in time.
        """
        deadline_s = time.monotonic() + self._timeout_s
        self.notify(do, **fields)
        while True:
            message = self._next(deadline_s, f"no answer to {do!r} within {self._timeout_s:g} s")
            if "event" in message:
                self._events.append(message)
            elif message.get("id") == self._last_id:
                break
        if not message.get("ok"):
            raise ControlError(str(message.get("error")))
        return {name: value for name, value in message.items() if name not in ("id", "ok")}

    def notify(self, do: str, **fields: object) -> None:
        """Ask to `do` something that is known to be granted, and do not wait for the answer: it is dropped.

        Raises ControlError where the program is gone, or does not read its requests.
        """
        self._last_id += 1
        try:
            self._connection.settimeout(self._timeout_s)
            self._connection.sendall(_encode({"id": self._last_id, "do": do, **fields}))
        except TimeoutError as error:
            raise ControlError(f"{self._name}: does not read its requests") from error
        except OSError as error:
            raise self._gone() from error

    def wait_event(self, name: str | Iterable[str], timeout_s: float) -> Answer:
        """The next event that bears (one of) the name(s), oldest first; other events stay queued.

        Raises ControlError where none comes within `timeout_s`, or the program is gone.
        """
        names = {name} if isinstance(name, str) else set(name)
        deadline_s = time.monotonic() + timeout_s
        for queued in self._events:
            if queued["event"] in names:
                self._events.remove(queued)
                return queued
        wanted = " or ".join(sorted(names))
        while True:
            message = self._next(deadline_s, f"no event {wanted} within {timeout_s:g} s")
            if message.get("event") in names:
                return message
            if "event" in message:
                self._events.append(message)

    def fileno(self) -> int:
        """The socket's descriptor, for a caller's own poll loop."""
        return self._connection.fileno()

    def event_by_now(self, name: str) -> Answer | None:
        """The oldest such event among those that have come, None where there is none; does not wait for one.

        Answers that came too late for their caller are passed over, and so is the program's end: see `gone`.
        """
        with suppress(ControlError):
            while self._arrived or self._readable():
                message = self._next(time.monotonic() + _SEND_TIMEOUT_S, "the rest of a line does not come")
                if "event" in message:
                    self._events.append(message)
        for queued in self._events:
            if queued["event"] == name:
                self._events.remove(queued)
                return queued
        return None

    def gone(self) -> bool:
        """Whether the program has ended; what it said before hides that until it is read. Never waits."""
        if not self._readable():
            return False
        try:
            return not self._connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def _readable(self) -> bool:
        return bool(select.select([self._connection], [], [], 0)[0])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> ControlClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _next(self, deadline_s: float, complaint: str) -> Answer:
        while not self._arrived:
            left_s = deadline_s - time.monotonic()
            try:
                if left_s <= 0:
                    raise TimeoutError  # noqa: TRY301 (one way out for both kinds of waiting too long)
                self._connection.settimeout(left_s)
                data = self._connection.recv(_CHUNK)
            except TimeoutError as error:
                raise ControlError(f"{self._name}: {complaint}") from error
            except OSError as error:
                raise self._gone() from error
            if not data:
                raise self._gone()
            try:
                self._arrived.extend(json.loads(line) for line in self._lines.feed(data))
            except ValueError as error:
                raise ControlError(f"{self._name}: sent a line that is not JSON") from error
        return self._arrived.popleft()

    def _gone(self) -> ControlError:
        return ControlError(f"{self._name}: the program is gone")
