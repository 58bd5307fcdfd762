"""The hedger configured over its control socket, as by the testbed: it finds the interface by itself."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING, Any

import pytest

from hedgerow_node.control import ControlClient, ControlError
from orchestrator.topology.programs import HEDGER
from support.bpf_objects import Kind, held
from support.conversation import Conversation
from support.pair import Pair, ipv4
from support.scenario_files import wait_for

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root

SERVER, PORT = ipv4(2), 9000
ASSIGNMENT: dict[str, Any] = {
    "services": [[[SERVER, PORT]]],
    "request_id": {"request": {"offset": 0, "length": 4}, "response": {"offset": 0, "length": 4}},
    "target": "same",
    "copy_id": None,
    "delay_ns": 10_000_000,
    "expiry_ns": 2_000_000_000,
    "delay_line": "auto",
    "budget_ratio": 1.0,
    "budget_burst": 100,
    "run_id": "abc123",
}


def answers(path: Path) -> bool:
    """Whether a program listens there: a socket has its name a moment before."""
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(path)) == 0


def idle_hedger(pair: Pair, path: Path) -> tuple[Any, ControlClient]:
    process = pair.start(pair.client, HEDGER, f"--control={path}")
    wait_for(lambda: answers(path), "the control socket")
    return process, ControlClient(path, 60)


def test_configured_twice_then_released(pair: Pair, tmp_path: Path) -> None:
    pair.serve("--service-time=1ms", "--stall-when=id % 5 == 0", "--stall-duration=300ms", "--heal-on-duplicate")
    process, control = idle_hedger(pair, tmp_path / "hedger.sock")
    assert control.call("ping")["engine"] is None
    with pytest.raises(ControlError, match="configure comes first"):
        control.call("mode", mode="hedge", identity="flow", block=0)
    assert "clsact ffff:" not in control.call("interface", towards=SERVER)["state"]["qdiscs"]
    links = pair.links()
    loaded = []
    for _ in range(2):
        assert control.call("configure", **ASSIGNMENT)["interface"] == "eth0"
        loaded.append(held(Kind.PROGRAM, process.pid))
        assert pair.hooks() == ["hedgerow:responder", "hedgerow:splitter"]
        assert "hrabc123d0" in pair.links()
    assert len(loaded[0]) >= 3
    assert loaded[1] == loaded[0], "compiled again"
    assert set(control.call("stats")["counters"].values()) == {0}
    control.call("mode", mode="hedge", identity="flow", block=0)
    with pair.socket(socket.AF_INET) as client:
        talk = Conversation(client, (SERVER, PORT))
        talk.ask(range(50))
    assert control.call("stats")["counters"]["hedges_sent"] >= 10
    state = control.call("interface", towards=SERVER)["state"]
    assert state["name"] == "eth0"
    assert state["qdiscs"]["clsact ffff:"]["packets"] >= 60
    assert state["offloads"]["tx-checksum-ip-generic"]
    assert state["statistics"]["transmitted_packets"] >= 60
    assert state["udp"]["OutDatagrams"] == 50
    control.call("release")
    assert (pair.hooks(), pair.links()) == ([], links)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def test_another_engine_is_compiled_once_and_kept(pair: Pair, tmp_path: Path) -> None:
    process, control = idle_hedger(pair, tmp_path / "hedger.sock")
    links, loaded = pair.links(), []
    for engine in ("clone", "queue", "clone", "queue"):
        assert control.call("configure", **ASSIGNMENT, engine=engine)["engine"] == engine
        assert pair.hooks() == ["hedgerow:responder", "hedgerow:splitter"]
        loaded.append(held(Kind.PROGRAM, process.pid))
    assert loaded[3] == loaded[2] == loaded[1], "compiled again"
    assert set(loaded[1]) > set(loaded[0])
    control.call("release")
    assert (pair.hooks(), pair.links()) == ([], links)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"delay_ns": 5}, "field 'delay_ns' is 5, expected at least"),
        ({"expiry_ns": 5}, "field 'expiry_ns' is 5, expected at least 10000001"),
        ({"services": []}, "from 1 to 16 services"),
        ({"copy_id": {"offset": 4, "length": 2}}, "field 'copy_id.length' is 2"),
        ({"target": "nearest"}, "field 'target' is 'nearest', expected one of same, other"),
        ({"run_id": "../../"}, "a run id is six digits or lower-case letters"),
        ({"delay_line": "tbf"}, "field 'delay_line' is 'tbf', expected one of auto, netem, fq, htb"),
        ({"engine": "queue", "delay_line": "netem"}, "field 'delay_line' is 'netem', which the engine 'queue'"),
        ({"services": [[["203.0.113.1", PORT]]]}, "203.0.113.1"),
    ],
)
def test_a_wrong_assignment_is_refused_by_name(pair: Pair, tmp_path: Path, change: dict[str, Any], said: str) -> None:
    process, control = idle_hedger(pair, tmp_path / "hedger.sock")
    with pytest.raises(ControlError) as refused:
        control.call("configure", **{**ASSIGNMENT, **change})
    assert said in str(refused.value)
    assert control.call("ping")["engine"] is None
    assert pair.hooks() == []
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
