"""app-native and proxy as strategies of the real client: the same outcomes as Python's, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hedgerow_client import programs
from hedgerow_node.control import ControlError
from hedgerow_node.records import FIRST_WARMUP_ID, NO_TIME, Outcome, Sample, read_rows
from hedgerow_node.workload import send_offsets_ns
from support.native_runs import Copy, Peer, answer
from support.node_programs import MS, PATIENCE_S, Client, running_client, running_server, wait_until_gone
from support.policy import cannot_run

if TYPE_CHECKING:
    from collections.abc import Iterator

CLOSED = {"mode": "closed", "users": 24, "think_ns": 0}
OPEN = {"mode": "open", "process": "poisson", "rate_per_s": 300.0, "seed": 5, "users": 3}
BLOCK: dict[str, Any] = {
    "requests": {"first_id": 0, "count": 24},
    "warmup": {"first_id": FIRST_WARMUP_ID, "count": 6},
    "timeout_ns": 1500 * MS,
    "hedge_delay_ns": 500 * MS,
    "drain_ns": 100 * MS,
}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    try:
        programs.locate("app-native")
    except ControlError as error:
        cannot_run(str(error))
    with running_client(tmp_path) as started:
        yield started


class Script:
    """A server that treats all clients alike: by the request's id, and by which copy of it has come."""

    def __init__(self) -> None:
        self._first: dict[int, Copy] = {}

    def __call__(self, peer: Peer, copy: Copy) -> None:
        first = self._first.setdefault(copy.request_id, copy)
        match copy.request_id % 6 if copy.request_id < FIRST_WARMUP_ID else 0, copy is first:
            case (0, _) | (1, False):  # 1: the first copy is lost
                peer.reply(copy)
            case (3, _):  # every response comes twice
                peer.reply(copy)
                peer.reply(copy)
            case (4, _):
                peer.reply(copy, b"x")
                peer.reply(copy, answer(9999))
                peer.reply(copy)
            case (5, False):  # the first copy stalls for as long as the hedge takes
                peer.reply(copy)
                peer.reply(first)
            # 2: everything is lost, without a word


#: Outcome, responses, and copies that the server sees, by the request's id modulo 6.
EXPECTED = {
    0: (Outcome.ANSWERED, 1, 1),
    1: (Outcome.ANSWERED, 1, 2),
    2: (Outcome.TIMEOUT, 0, 2),
    3: (Outcome.ANSWERED, 2, 1),
    4: (Outcome.ANSWERED, 1, 1),
    5: (Outcome.ANSWERED, 2, 2),
}
DELIVERED_BY_PROXY = {3: 1, 5: 1}  #: responses, where it lets fewer through


@pytest.mark.parametrize("arrivals", [CLOSED, OPEN], ids=["closed", "open"])
@pytest.mark.parametrize("strategy", ["app-deadline", "app-native", "proxy"])
def test_everybody_makes_the_same_of_the_same_server(client: Client, strategy: str, arrivals: dict[str, Any]) -> None:
    with Peer(Script()) as peer:
        block = client.run_block(peer.address, strategy, arrivals=arrivals, **BLOCK)
    event = block.event
    assert event["event"] == "block-done", event
    seen = Counter(copy.request_id for copy in peer.log if copy.request_id < FIRST_WARMUP_ID)
    expected = {request_id: EXPECTED[request_id % 6] for request_id in range(24)}
    if strategy == "proxy":
        expected = {
            request_id: (outcome, DELIVERED_BY_PROXY.get(request_id % 6, responses), copies)
            for request_id, (outcome, responses, copies) in expected.items()
        }
    assert {
        request_id: (sample.outcome, sample.copies_received, seen[request_id])
        for request_id, sample in block.samples.items()
    } == expected
    assert (event["rows"], event["answered"], event["timeouts"], event["errors"]) == (24, 20, 4, 0)
    for request_id, sample in block.samples.items():
        answered = sample.outcome == Outcome.ANSWERED
        assert (sample.received_ns == NO_TIME) != answered
        if answered and request_id % 6 in (1, 5):
            assert sample.received_ns - sample.sent_ns >= 500 * MS, "no hedge leaves early"
    if strategy == "proxy":
        assert event["proxy"] == {
            "requests": 30,
            "resent": 0,
            "refused": 0,
            "malformed": 0,
            "hedges_sent": 12,
            "responses": 6 + 4 + 4 + 8 + 12 + 8,
            "answered": 26,
            "late": 0,
            "unanswered": 4,
            "losers_dropped": 4,
            "duplicates_dropped": 4,
            "unmatched": 4,
            "responses_malformed": 4,
            "clients": arrivals["users"],
            "socket_errors": 0,
        }
        assert (event["hedges_sent"], event["stray_copies"]) == (0, 0)
    else:
        assert (event["hedges_sent"], event["duplicates_delivered"], event["stray_copies"]) == (12, 8, 8)
        assert "proxy" not in event


def test_the_compiled_client_reports_what_pythons_reports(client: Client) -> None:
    for arrivals in (CLOSED, OPEN):
        with Peer(lambda peer, copy: peer.reply(copy)) as peer:
            theirs, ours = (
                client.run_block(peer.address, strategy, block=3, arrivals=arrivals).event
                for strategy in ("app-deadline", "app-native")
            )
        assert set(theirs) == set(ours)
        alike = ("event", "block", "rows", "answered", "timeouts", "errors", "stray_copies", "collections")
        assert {key: theirs[key] for key in alike} == {key: ours[key] for key in alike}
        for key, value in theirs.items():
            assert type(value) is type(ours[key]), key


def test_both_keep_to_the_same_schedule(client: Client) -> None:
    offsets = list(send_offsets_ns("poisson", 300.0, 5, 100, 40))
    requests = {"first_id": 100, "count": 40}
    for strategy in ("app-deadline", "app-native"):
        with Peer(lambda peer, copy: peer.reply(copy)) as peer:
            block = client.run_block(peer.address, strategy, block=9, arrivals=OPEN, requests=requests, lead_ns=MS)
            measuring = client.program.control.wait_event("measuring", PATIENCE_S)
        assert (measuring["block"], measuring["strategy"]) == (9, strategy)
        rows = [block.samples[request_id] for request_id in range(100, 140)]
        assert [row.intended_ns - measuring["start_ns"] for row in rows] == offsets
        assert all(row.sent_ns >= row.intended_ns for row in rows)


def test_through_the_proxy_a_stalled_server_is_hedged_and_healed(client: Client, tmp_path: Path) -> None:
    stall = {"when": "id % 10 == 3", "duration_ns": 400 * MS, "heal_on_duplicate": True}
    with running_server(tmp_path) as server:
        server.start_block(stall=stall)
        block = client.run_block(server.address, "proxy", drain_ns=800 * MS)
        _, rows = server.end_block(tmp_path)
    assert (block.event["strategy"], block.event["answered"]) == ("proxy", 20)
    counters = block.event["proxy"]
    hedged = [row for row in rows if row.copy == 2]
    assert counters["hedges_sent"] == len(hedged) >= 2
    assert counters["losers_dropped"] == len(hedged), "the stalled answers come while the client drains"
    assert all(sample.copies_received == 1 for sample in block.samples.values())
    for request_id in (3, 13):
        sample = block.samples[request_id]
        assert sample.received_ns - sample.sent_ns >= 50 * MS


def start_endless(client: Client, silent: tuple[str, int], strategy: str) -> dict[str, Any]:
    """A block that does not end by itself; what the client says about its processes, once it measures."""
    none = {"first_id": FIRST_WARMUP_ID, "count": 0}
    client.start_block(silent, strategy, timeout_ns=3_600_000 * MS, warmup=none)
    client.program.control.wait_event("measuring", PATIENCE_S)
    return client.program.ping()


def test_a_worker_becomes_the_program_and_stays_the_same_process(client: Client, silent: tuple[str, int]) -> None:
    said = start_endless(client, silent, "app-native")
    assert Path(f"/proc/{said['worker_pid']}/exe").readlink().name == "app-native"
    inherited = {Path(link).readlink() for link in Path(f"/proc/{said['worker_pid']}/fd").iterdir()}
    assert not any("control" in str(target) for target in inherited)
    os.kill(said["worker_pid"], signal.SIGKILL)
    control = client.program.control
    assert control.wait_event("worker-died", PATIENCE_S)["status"] == "signal 9 (SIGKILL)"
    assert "has died" in control.wait_event("block-failed", PATIENCE_S)["error"]


@pytest.mark.parametrize("strategy", ["app-native", "proxy"])
@pytest.mark.parametrize("how", ["cancel-block", "stop", "SIGTERM", "SIGKILL"])
def test_nothing_outlives_the_block_or_the_supervisor(
    client: Client, silent: tuple[str, int], strategy: str, how: str
) -> None:
    said = start_endless(client, silent, strategy)
    assert (said["proxy_pid"] is None) == (strategy == "app-native")
    if how.startswith("SIG"):
        client.program.process.send_signal(signal.Signals[how])
    else:
        client.program.control.call(how)
    for pid in (said["worker_pid"], said["proxy_pid"]):
        if pid is not None:
            wait_until_gone(pid)
    if how == "cancel-block":
        again = client.program.ping()
        assert (again["worker_pid"], again["proxy_pid"]) == (None, None)
        assert client.run_block(silent, strategy, timeout_ns=60 * MS).event["timeouts"] == 20


def test_a_dead_proxy_fails_its_block_and_no_other(client: Client, silent: tuple[str, int]) -> None:
    said = start_endless(client, silent, "proxy")
    os.kill(said["proxy_pid"], signal.SIGKILL)
    control = client.program.control
    assert control.wait_event("worker-died", PATIENCE_S) == {
        "event": "worker-died",
        "role": "proxy",
        "pid": said["proxy_pid"],
        "status": "signal 9 (SIGKILL)",
    }
    assert control.wait_event("block-failed", PATIENCE_S) == {
        "event": "block-failed",
        "block": 0,
        "strategy": "proxy",
        "error": "the proxy has died (signal 9 (SIGKILL))",
    }
    wait_until_gone(said["worker_pid"])
    assert client.run_block(silent, "proxy", timeout_ns=60 * MS).event["timeouts"] == 20


def test_rows_are_those_of_the_other_clients(client: Client, tmp_path: Path) -> None:
    with Peer(lambda peer, copy: peer.reply(copy)) as peer:
        block = client.run_block(peer.address, "app-native")
    rows = read_rows(client.folder / "block.samples", Sample)
    assert [row.request_id for row in rows] == list(range(20)) == list(block.samples)


def test_what_cannot_be_hedged_by_a_compiled_program_is_refused(client: Client, silent: tuple[str, int]) -> None:
    for strategy in ("app-native", "proxy"):
        with pytest.raises(ControlError, match="must be shorter than the request's time-out"):
            client.start_block(silent, strategy, timeout_ns=MS, hedge_delay_ns=MS)
        with pytest.raises(ControlError, match="need at least two servers"):
            client.start_block(silent, strategy, target="other")
    with pytest.raises(ControlError, match="app-native is compiled and collects no garbage"):
        client.start_block(silent, "app-native", gc={"objects": 10, "offsets_ns": []})


@pytest.fixture
def unbuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The client's sources as a wheel installs them: no programs beside them, and an empty cache."""
    sources = tmp_path / "native"
    shutil.copytree(programs._SOURCES, sources, ignore=shutil.ignore_patterns("build"))
    monkeypatch.setattr(programs, "_SOURCES", sources)
    monkeypatch.setattr(programs, "_BUILD", sources / "build")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return sources


def test_programs_that_are_missing_or_stale_are_not_run(unbuilt: Path) -> None:
    built = unbuilt / "build"
    built.mkdir()
    with pytest.raises(ControlError, match=r"has not been compiled; run `make setup`"):
        programs.locate("proxy")
    (built / "proxy").touch()
    (built / "sources").write_text("0" * 64 + "\n")
    with pytest.raises(ControlError, match=r"compiled from other sources than these; run `make setup`"):
        programs.locate("proxy")


def test_without_a_folder_of_programs_they_are_compiled_once_into_the_cache(unbuilt: Path) -> None:
    if shutil.which("cc") is None or shutil.which("make") is None:
        cannot_run("needs a C compiler and make: run .ci/setup")
    proxy, app = programs.locate("proxy"), programs.locate("app-native")
    assert proxy.parent == app.parent
    assert proxy.parent.parent == unbuilt.parent / "cache" / "hedgerow"
    assert os.access(app, os.X_OK)
    made_ns = proxy.stat().st_mtime_ns
    assert programs.locate("proxy").stat().st_mtime_ns == made_ns
    assert [path.name for path in proxy.parent.parent.iterdir()] == [proxy.parent.name]
    proxy.parent.chmod(0o777)
    with pytest.raises(ControlError, match="can be written by others than this user; remove it"):
        programs.locate("proxy")


def test_without_a_compiler_the_error_says_what_to_install(
    unbuilt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(ControlError, match="there is no cc and no make; apt install gcc libc6-dev make"):
        programs.locate("proxy")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("cc", "make"):
        (tools / name).write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    with pytest.raises(ControlError, match="cannot be compiled: broken"):
        programs.locate("proxy")
