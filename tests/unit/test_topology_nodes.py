"""Checking the nodes: one that ended is named, and the check never waits."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from hedgerow_node.control import ControlClient
from orchestrator.errors import RunError
from orchestrator.topology import nodes as nodes_module
from orchestrator.topology.nodes import Nodes

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S = 600.0  #: longer than any test may take: nothing here may wait for an answer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Nodes, socket.socket]]:
    """The nodes of a run with one server, and that server's end of the control channel."""
    monkeypatch.setattr(nodes_module, "_END_TIMEOUT_S", 0.0)
    ours, theirs = socket.socketpair()
    nodes = Nodes(lambda _: None, lambda _: "")
    nodes._controls["server-0"] = ControlClient.over(ours, "server-0", PATIENCE_S)
    yield nodes, theirs
    nodes.close()
    theirs.close()


@pytest.mark.timeout(60)
def test_a_late_answer_is_not_an_end(server: tuple[Nodes, socket.socket]) -> None:
    nodes, theirs = server
    theirs.sendall(b'{"id": 1, "ok": true}\n')
    nodes.check()
    nodes.check()


def test_a_worker_that_died_is_reported_also_behind_a_late_answer(server: tuple[Nodes, socket.socket]) -> None:
    nodes, theirs = server
    theirs.sendall(b'{"id": 1, "ok": true}\n{"event": "worker-died", "status": "SIGKILL"}\n')
    with pytest.raises(RunError, match=r"server-0: its worker died in the middle of the run \(SIGKILL\)"):
        nodes.check()


def test_a_program_that_ended_is_reported_also_behind_a_late_answer(server: tuple[Nodes, socket.socket]) -> None:
    nodes, theirs = server
    theirs.sendall(b'{"id": 1, "ok": true}\n')
    theirs.close()
    with pytest.raises(RunError, match="server-0 ended in the middle of the run"):
        nodes.check()
