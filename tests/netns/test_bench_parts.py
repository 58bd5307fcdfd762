"""The parts of `orchestrator bench` with nsd and dnsperf, each shortly: what they report, and that nothing stays.

How much is answered, and how late, is the bench's to find out: nothing here depends on it.
"""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from orchestrator.bench.services import fetch
from orchestrator.errors import PrerequisiteError
from orchestrator.host.namespaces import DIRECTORY
from support.policy import cannot_run
from support.scenario_files import ORCHESTRATOR, orchestrate, wait_for

pytestmark = pytest.mark.root
SHORT = ("--rounds", "1", "--seconds", "1", "--warmup", "1000")
STATISTICS = Path("/proc/sys/kernel/bpf_stats_enabled")


@pytest.fixture(autouse=True)
def services() -> None:
    try:
        fetch()
    except PrerequisiteError as error:
        cannot_run(error.message)


def measured(part: str) -> dict[str, Any]:
    done = orchestrate("bench", "--part", part, *SHORT, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["schema"] == 1
    assert (found["conditions"]["rounds"], found["conditions"]["seconds"]) == (1, 1.0)
    for name, reason in found["left_out"].items():
        assert name.startswith("engine "), f"{name}: {reason}"
    return found


def test_hooks_have_the_cost_of_every_program_and_of_an_empty_one() -> None:
    before = STATISTICS.read_text()
    for costs in measured("hooks")["hooks"]:
        assert costs["warmup_requests"] >= 1000
        assert {"splitter", "responder", "empty"} <= set(costs["ns_a_run"])
        assert costs["armed"]["requests"] >= costs["warmup_requests"]
        assert 0 < costs["net_ns_a_request"] < costs["ns_a_request"]
        # every query leaves once at least, and no splitter runs for what is no packet
        assert costs["runs_a_request"]["splitter"] == pytest.approx(1, abs=0.1)
    assert STATISTICS.read_text() == before


def test_dns_compares_every_engine_with_bare_and_counts_what_was_not_armed() -> None:
    found = measured("dns")
    bare, *engines = found["dns"]
    assert bare["condition"] == "bare"
    assert bare["to_bare"] is None
    assert engines, found["left_out"]
    for engine in engines:
        assert engine["per_second"] > 0
        ratio, low, high = engine["to_bare"]
        assert ratio == pytest.approx(engine["per_second"] / bare["per_second"], abs=0.001)
        assert low is high is None  # one round
        armed = engine["armed"]
        assert armed["requests"] == armed["armed"] + sum(armed["not_armed"].values())
        assert armed["requests"] == engine["sent"]


def test_lateness_stands_beside_that_of_the_host_itself() -> None:
    engines = measured("lateness")["lateness"]
    assert engines
    for engine in engines:
        (once,) = engine["rounds"]
        assert once["sent"] == 1000
        assert once["hedges_sent"] > 0
        assert once["hedges_us"]["p50"] <= once["hedges_us"]["p99"] <= once["hedges_us"]["max"]
        assert once["wakeups_us"] is not None or once["wakeups_refused"]


def test_stalls_are_proven_and_nothing_hedged_is_answered_twice() -> None:
    bare, *engines = measured("stalls")["stalls"]
    assert bare["condition"] == "bare"
    assert engines
    for condition in (bare, *engines):
        (once,) = condition["rounds"]
        assert once["sent"] == 3000
        assert once["stalls"] >= 1
        assert once["sent_late_ms"]["p50"] >= 0
        assert (condition["twice"], condition["elsewhere"]) == (0, 0)


def test_an_interrupted_bench_leaves_nothing() -> None:
    process = subprocess.Popen(
        ["env", "--default-signal=INT", str(ORCHESTRATOR), "bench", "--part", "dns", "--seconds", "20"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for(lambda: any(DIRECTORY.glob("hr-*-server1")), "namespaces of the bench", process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors


def test_an_unknown_part_is_refused_by_name() -> None:
    done = orchestrate("bench", "--part", "hooks,soup")
    assert done.returncode == 2
    assert "soup" in done.stderr
