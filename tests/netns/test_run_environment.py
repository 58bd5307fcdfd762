"""What a run's manifest says of the host: what it is, how noisy it was before, and what it did during the run."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from orchestrator.host.locks import ROOT
from support.scenario_files import finish, start_run, wait_for, write_scenario

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root


def test_host_noise_and_environment_are_in_the_manifest(tmp_path: Path) -> None:
    scenario = write_scenario(tmp_path, strategies="baseline, kernel", blocks=1)
    run = finish(start_run(scenario, tmp_path / "results", "--json", "--no-report"))
    manifest = run.manifest
    assert manifest["container_engine"] is None
    assert manifest["host"]["kernel_version"]
    assert manifest["host"]["clocksource"] in manifest["host"]["clocksources"]

    noise = manifest["noise"]
    assert (noise["duration_s"], noise["length"]) == (0.3, "short: a run of less than 30 s")
    assert noise["wakeups"] == 300 * noise["cpus"]
    assert noise["lateness_us"]["p50"] <= noise["lateness_us"]["p99"] <= noise["lateness_us"]["max"]
    assert "host noise: wake-ups late by" in run.errors

    before, after, found = (manifest["environment"][name] for name in ("before", "after", "differences"))
    assert before.keys() == after.keys()
    assert found["duration_s"] > 0
    assert found["context_switches"] > 400
    assert found["cpu_time_ms"]["user"] == after["cpu_time_ms"]["user"] - before["cpu_time_ms"]["user"] > 0
    assert found["settings_changed"] == {}

    assert before["interface"]["name"] == after["interface"]["name"] == "eth0"
    assert before["interface"]["offloads"]["tx-checksum-ip-generic"]
    copies = 2 * (200 + 10) + 2  # both strategies' requests with their warm-up, and the hedges of two stalls at least
    assert found["interface"]["statistics"]["transmitted_packets"] >= copies
    assert found["interface"]["qdiscs"]["clsact ffff:"]["packets"] >= copies
    assert found["interface"]["udp"]["OutDatagrams"] >= copies - 2
    assert found["interface"]["udp"]["RcvbufErrors"] == 0


def journal_of(results: Path) -> str:
    """What the only run in the folder has written so far."""
    return "".join(path.read_text() for path in results.glob("*/journal.jsonl"))


def test_an_interrupted_run_keeps_what_was_known_before(tmp_path: Path) -> None:
    """It is long enough for a probe in full."""
    results = tmp_path / "results"
    process = start_run(write_scenario(tmp_path, requests=20_000), results)
    wait_for(lambda: '"event":"block"' in journal_of(results), "the first block")
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 130
    (folder,) = results.iterdir()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["noise"]["duration_s"], manifest["noise"]["length"]) == (2.0, "in full")
    assert manifest["environment"]["before"]["interface"]["name"] == "eth0"
    assert (manifest["environment"]["after"], manifest["environment"]["differences"]) == (None, None)


def test_interrupted_before_or_while_the_noise_is_probed(tmp_path: Path) -> None:
    results = tmp_path / "results"
    process = start_run(write_scenario(tmp_path, requests=20_000), results)
    wait_for(lambda: any((ROOT / path.name[-6:]).exists() for path in results.glob("*")), "the run's live directory")
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 130
    assert '"leftovers":[]' in journal_of(results)
