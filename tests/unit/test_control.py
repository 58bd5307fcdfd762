"""The control socket: every request is answered, refusals carry their reason, and the end of a program is noticed."""

from __future__ import annotations

import os
import socket
import stat
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from hedgerow_node.control import MAX_LINE, ControlClient, ControlError, ControlServer, JsonObject
from hedgerow_node.poller import Poller
from hedgerow_node.protocol import Message
from support.node_programs import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Telling(Message):
    what: str


class Program:
    """A program with a control socket, on a thread: `tell` echoes, `announce` pushes two events before it answers."""

    def __init__(self, path: Path) -> None:
        self.server = ControlServer(path)
        self.server.operation("tell", lambda request: {"heard": Telling.from_json(request).what})
        self.server.operation("announce", self._announce)
        self.server.operation("fail", self._fail)
        self.poller = Poller()
        self.server.join(self.poller)
        self._stopped, self._stop = os.pipe()
        self.poller.register(self._stopped)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _announce(self, _: JsonObject) -> None:
        self.server.emit("dawn", number=1)
        self.server.emit("dusk", number=2)

    def _fail(self, _: JsonObject) -> JsonObject:
        raise OSError("the disk is full")

    def _run(self) -> None:
        while True:
            for fd in self.poller.wait(None):
                if fd == self._stopped:
                    self.server.close()
                    return
                assert self.server.handle(fd)

    def stop(self) -> None:
        if self.thread.is_alive():
            os.write(self._stop, b"x")
            self.thread.join()
            os.close(self._stop)
            os.close(self._stopped)


@contextmanager
def started(path: Path) -> Iterator[Program]:
    program = Program(path)
    try:
        yield program
    finally:
        program.stop()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "program.sock"


@pytest.fixture
def program(path: Path) -> Iterator[Program]:
    with started(path) as running:
        yield running


@pytest.fixture
def client(program: Program, path: Path) -> Iterator[ControlClient]:
    with ControlClient(path, PATIENCE_S) as connected:
        yield connected


def raw(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(PATIENCE_S)
    connection.connect(str(path))
    return connection


def test_an_operation_is_answered_with_its_fields(client: ControlClient) -> None:
    assert client.call("tell", what="a line\nand another, naïve") == {"heard": "a line\nand another, naïve"}
    assert client.call("announce") == {}


def test_refusals_carry_the_programs_own_words(client: ControlClient) -> None:
    with pytest.raises(ControlError, match="the disk is full"):
        client.call("fail")
    with pytest.raises(ControlError, match="field 'what' is missing"):
        client.call("tell")
    with pytest.raises(ControlError, match="unknown operation 'sing'; there are: announce, fail, tell"):
        client.call("sing")
    assert client.call("tell", what="still there") == {"heard": "still there"}


def test_a_notification_is_carried_out_and_its_answer_dropped(client: ControlClient) -> None:
    client.notify("tell", what="never heard")
    client.notify("fail")
    client.notify("announce")
    assert client.call("tell", what="heard") == {"heard": "heard"}
    assert client.wait_event("dawn", PATIENCE_S)["event"] == "dawn"


def test_events_that_arrive_during_a_call_wait_in_their_order(client: ControlClient) -> None:
    client.call("announce")
    client.call("announce")
    assert client.wait_event("dusk", PATIENCE_S) == {"event": "dusk", "number": 2}
    assert client.wait_event(("dawn", "dusk"), PATIENCE_S)["event"] == "dawn"
    assert [client.wait_event(("dawn", "dusk"), PATIENCE_S)["event"] for _ in range(2)] == ["dawn", "dusk"]
    with pytest.raises(ControlError, match="no event dawn or dusk within 0 s"):
        client.wait_event(("dusk", "dawn"), 0)


def test_events_reach_everyone_connected(program: Program, path: Path, client: ControlClient) -> None:
    with ControlClient(path, PATIENCE_S) as other:
        other.call("tell", what="I am connected")
        client.call("announce")
        assert other.wait_event("dusk", PATIENCE_S)["number"] == 2


def test_a_program_that_ends_is_named_as_gone(program: Program, path: Path, client: ControlClient) -> None:
    client.call("announce")
    program.stop()
    assert client.wait_event("dawn", PATIENCE_S)["number"] == 1
    with pytest.raises(ControlError, match=r"program\.sock: the program is gone"):
        client.wait_event("noon", PATIENCE_S)
    with pytest.raises(ControlError, match=r"program\.sock: the program is gone"):
        client.call("tell", what="anyone?")
    with pytest.raises(ControlError, match=r"program\.sock: no program answers there"):
        ControlClient(path, PATIENCE_S)
    assert not path.exists()


def test_a_program_that_does_not_answer_is_not_waited_for() -> None:
    ours, theirs = socket.socketpair()
    with theirs, ControlClient.over(ours, "the worker", 0.01) as client:
        with pytest.raises(ControlError, match=r"the worker: no answer to 'tell' within 0\.01 s"):
            client.call("tell", what="hello?")
        # The late answer to the first call is not taken for the second one's.
        theirs.sendall(b'{"id": 1, "ok": true, "late": 1}\n{"id": 2, "ok": true, "late": 0}\n')
        assert client.call("tell", what="hello again") == {"late": 0}


def test_an_event_by_now_is_not_waited_for_and_late_answers_are_none() -> None:
    ours, theirs = socket.socketpair()
    with theirs, ControlClient.over(ours, "the worker", PATIENCE_S) as client:
        assert client.event_by_now("dusk") is None
        theirs.sendall(b'{"id": 1, "ok": true}\n{"event": "dawn"}\n{"event": "dusk", "number": 1}\n')
        assert client.event_by_now("dusk") == {"event": "dusk", "number": 1}
        assert client.event_by_now("dusk") is None
        assert client.wait_event("dawn", PATIENCE_S) == {"event": "dawn"}


def test_a_program_that_ended_after_its_last_words_is_gone_once_they_are_read() -> None:
    ours, theirs = socket.socketpair()
    with ControlClient.over(ours, "the worker", PATIENCE_S) as client:
        with theirs:
            theirs.sendall(b'{"id": 1, "ok": true}\n{"event": "dusk"}\n')
        assert not client.gone()
        assert client.event_by_now("dusk") == {"event": "dusk"}
        assert client.gone()


@pytest.mark.parametrize("line", [b"no json\n", b"[1, 2]\n", b'{"id": 1}\n', b'{"do": ["tell"]}\n'])
def test_a_line_that_is_no_request_is_refused_and_the_connection_lives(
    program: Program, path: Path, line: bytes
) -> None:
    with raw(path) as connection:
        connection.sendall(line)
        assert b'"ok":false' in connection.recv(4096)
        connection.sendall(b'{"id": 7, "do": "tell", "what": "x"}\n')
        assert connection.recv(4096) == b'{"id":7,"ok":true,"heard":"x"}\n'


def test_requests_may_come_in_pieces_and_in_bunches(program: Program, path: Path) -> None:
    with raw(path) as connection, connection.makefile("rb") as answers:
        for byte in b'\n{"id": 1, "do": "announce"}':
            connection.sendall(bytes([byte]))
        connection.sendall(b'\n{"id": 2, "do": "announce"}\n{"id": 3, "do": "announce"}\n')
        lines = [answers.readline() for _ in range(9)]
    assert [line for line in lines if b'"id"' in line] == [b'{"id":%d,"ok":true}\n' % n for n in (1, 2, 3)]


def test_an_endless_line_ends_the_connection_and_no_other(
    program: Program, path: Path, client: ControlClient
) -> None:
    with raw(path) as connection:
        with pytest.raises(ConnectionError):
            connection.sendall(b"x" * (4 * MAX_LINE))
            connection.recv(1)
            raise ConnectionResetError("closed in order")
        assert client.call("tell", what="x") == {"heard": "x"}


def test_the_socket_belongs_to_its_folders_group_alone(program: Program, path: Path) -> None:
    status = path.stat()
    assert stat.S_IMODE(status.st_mode) == 0o660
    assert status.st_gid == path.parent.stat().st_gid


def test_a_dead_programs_socket_is_replaced_a_living_ones_is_not(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
        dead.listen()
    with started(path), ControlClient(path, PATIENCE_S) as client:
        assert client.call("tell", what="x") == {"heard": "x"}
        with pytest.raises(ControlError, match="another program answers on"):
            ControlServer(path)
        assert client.call("tell", what="y") == {"heard": "y"}


def test_a_path_that_cannot_be_listened_on_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=f"cannot listen on {tmp_path}/missing/x"):
        ControlServer(tmp_path / "missing" / "x")
    file = tmp_path / "file"
    file.write_text("precious")
    with pytest.raises(OSError, match=f"cannot listen on {file}"):
        ControlServer(file)
    assert file.read_text() == "precious"
