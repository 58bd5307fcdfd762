"""What a client says where nothing comes back: once its patience is over, unless anything comes, however late."""

from __future__ import annotations

import shutil
import subprocess
import threading
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hedgerow_client.arrivals import make_arrivals
from hedgerow_client.ledger import Ledger
from hedgerow_client.worker import make_loop
from hedgerow_node.clock import now_ns
from hedgerow_node.protocol.client import IdRange, OpenArrivals, SilentEvent
from hedgerow_node.records import FIRST_WARMUP_ID
from support.client_peers import SETTINGS, answer, asked, peers
from support.native_runs import Copy, Peer, app_native, silence
from support.node_programs import MS, PATIENCE_S, Client, Server, running_client
from support.policy import cannot_run

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

    from hedgerow_node.protocol.client import BlockSettings

IDS = IdRange(100, 12)
SILENT = replace(
    SETTINGS, requests=IDS, timeout_ns=20 * MS, hedge_delay_ns=10 * MS, patience_ns=100 * MS, drain_ns=1 * MS
)
BOTH_LOOPS = pytest.mark.parametrize(
    "settings", [SILENT, replace(SILENT, strategy="app-asyncio")], ids=["baseline", "app-asyncio"]
)


def heard(settings: BlockSettings, answering: bool = False) -> list[SilentEvent]:
    """What is said of a block whose peer answers nothing, or everything a time-out and a half late."""

    def answer_late(end: socket.socket) -> None:
        late = []
        while True:
            id_ = asked(end)
            late.append(threading.Timer(settings.timeout_ns * 1.5 / 1e9, end.send, (answer(id_),)))
            late[-1].start()

    said: list[SilentEvent] = []
    with peers() as made, closing(make_loop(settings, made.connections, 0)) as loop:
        if answering:
            made.play(answer_late, made.ends[0, 0])
        loop.silent = said.append
        ledger, arrivals = Ledger(settings.requests), make_arrivals(settings, settings.requests)
        arrivals.begin(now_ns())
        loop.run(ledger, arrivals)
        loop.drain(now_ns() + settings.drain_ns)
        loop.report_silence(now_ns())
        if answering:
            loop.drain(now_ns() + 2 * settings.timeout_ns)  # for the timers to end
    return said


@BOTH_LOOPS
def test_silence_is_reported_once_patience_is_over_and_again_after_as_long(settings: BlockSettings) -> None:
    first, *more = heard(settings)
    assert first.until_ns - first.since_ns >= settings.patience_ns
    assert first.first_id == IDS.first_id
    assert 4 <= first.requests <= 6
    assert first.last_id == IDS.first_id + first.requests - 1
    assert len(more) == 1, "twelve time-outs are two patiences"
    assert (more[0].since_ns, more[0].first_id) == (first.since_ns, IDS.first_id)
    assert more[0].until_ns - first.until_ns >= settings.patience_ns


@BOTH_LOOPS
def test_late_answers_show_that_the_path_is_open(settings: BlockSettings) -> None:
    assert heard(replace(settings, patience_ns=50 * MS), answering=True) == []


@BOTH_LOOPS
def test_without_patience_nothing_is_said(settings: BlockSettings) -> None:
    assert heard(replace(settings, patience_ns=0)) == []


@BOTH_LOOPS
def test_three_requests_are_too_few(settings: BlockSettings) -> None:
    assert heard(replace(settings, requests=IdRange(100, 3), patience_ns=1)) == []


@BOTH_LOOPS
def test_silence_to_the_end_counts_with_the_drain(settings: BlockSettings) -> None:
    """All are sent at once and given up at once; only the waiting afterwards makes it long enough."""
    at_once = OpenArrivals(process="constant", rate_per_s=100_000, seed=1, users=1)
    (said,) = heard(replace(settings, arrivals=at_once, drain_ns=90 * MS))
    assert (said.first_id, said.requests, said.last_id) == (100, 12, 111)


def test_the_compiled_client_says_the_same(native: Path, tmp_path: Path) -> None:
    with (
        Peer(silence) as peer,
        app_native(
            native,
            tmp_path,
            [peer.address],
            first_id=100,
            count=12,
            timeout_ns=20 * MS,
            hedge_delay_ns=10 * MS,
            patience_ns=100 * MS,
        ) as run,
    ):
        run.event("measuring")
        first = SilentEvent.from_json(_fields(run.event("silent")))
        again = SilentEvent.from_json(_fields(run.event("silent")))
        report, _ = run.finish()
    assert report["timeouts"] == 12
    assert first.until_ns - first.since_ns >= 100 * MS
    assert (first.first_id, first.last_id) == (100, 99 + first.requests)
    assert (again.since_ns, again.first_id) == (first.since_ns, 100)


def test_the_compiled_client_hears_late_answers(native: Path, tmp_path: Path) -> None:
    held: list[Copy] = []

    def one_behind(peer: Peer, copy: Copy) -> None:
        held.append(copy)
        if len(held) > 2:
            peer.reply(held[-3])

    with (
        Peer(one_behind) as peer,
        app_native(
            native,
            tmp_path,
            [peer.address],
            count=12,
            timeout_ns=20 * MS,
            hedge_delay_ns=10 * MS,
            patience_ns=50 * MS,
        ) as run,
    ):
        report, _ = run.finish()
    assert report["answered"] <= 12


def _fields(event: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in event.items() if key != "event"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with running_client(tmp_path) as started:
        yield started


@pytest.mark.parametrize("strategy", ["baseline", "app-seed", "app-asyncio", "app-native", "proxy"])
def test_the_program_reports_a_silent_warm_up_and_ends_the_block_when_told(
    client: Client, silent: tuple[str, int], strategy: str
) -> None:
    control = client.program.control
    hundred = {"first_id": FIRST_WARMUP_ID, "count": 100}
    settings = {"timeout_ns": 60 * MS, "hedge_delay_ns": 20 * MS, "patience_ns": 200 * MS, "warmup": hundred}
    client.start_block(silent, strategy, block=5, **settings)
    event = control.wait_event(("silent", "measuring", "block-failed"), PATIENCE_S)
    assert (event["event"], event["block"], event["first_id"]) == ("silent", 5, FIRST_WARMUP_ID)
    assert event["until_ns"] - event["since_ns"] >= 200 * MS
    assert control.call("cancel-block") == {"cancelled": 5}
    assert client.program.ping()["worker_pid"] is None


SHIFTED = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
	int result = real(clock, now);

	if (clock == CLOCK_REALTIME && access(getenv("CLOCK_WAS_SET"), F_OK) == 0)
		now->tv_sec += 3;
	return result;
}
"""


@pytest.mark.parametrize("strategy", ["baseline", "app-native"])
def test_a_clock_that_is_set_during_the_block_is_reported(
    strategy: str, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The programs' own clock, in front of the C library's: the machine's is never set."""
    if shutil.which("cc") is None:
        cannot_run("needs a C compiler: run .ci/setup")
    source, library, was_set = tmp_path / "shifted.c", tmp_path / "shifted.so", tmp_path / "set"
    source.write_text(SHIFTED)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    monkeypatch.setenv("CLOCK_WAS_SET", str(was_set))
    monkeypatch.setenv("LD_PRELOAD", str(library))
    with running_client(tmp_path) as client:
        monkeypatch.delenv("LD_PRELOAD")
        before = client.run_block(server.address, strategy).event
        client.program.control.wait_event("measuring", PATIENCE_S)  # that block's
        client.start_block(server.address, strategy, lead_ns=300 * MS)
        client.program.control.wait_event("measuring", PATIENCE_S)
        was_set.touch()
        after = client.program.control.wait_event("block-done", PATIENCE_S)
    assert abs(before["realtime_offset_drift_ns"]) < MS
    assert abs(after["realtime_offset_drift_ns"] - 3_000 * MS) < MS
