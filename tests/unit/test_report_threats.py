"""Each threat to validity is stated where it applies, and only there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from orchestrator.report.threats import threats
from orchestrator.runfolder.manifest import Manifest
from orchestrator.runfolder.observed import GitState, Lateness, NoiseProbe
from support.run_folder_factory import finished_run, scenario_from, summarised
from support.summaries import arm, claim, summary_of

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.runfolder.summary import Summary

QUIET = Manifest(backend="netns", host={"hypervisor": False}, git=GitState(commit="c0ffee", dirty=False))
NOISY = NoiseProbe(
    duration_s=2.0,
    length="in full",
    cpus=2,
    wakeups=4000,
    lateness_us=Lateness(p50=60.0, p99=4093.0, max=9000.0),
    late_1ms=0.08,
    steal_ms=0,
)
SUMMARY = summary_of(arm(None))
ALWAYS = {"One host, no network", "One run on one machine"}


def headings(*overrides: str, manifest: Manifest = QUIET, summary: Summary = SUMMARY) -> set[str]:
    scenario = scenario_from("paper", *overrides)
    found = threats([scenario], manifest, summary)
    assert all(threat.text.endswith(".") for threat in found)
    return {threat.heading for threat in found}


def test_the_published_experiment_has_its_own_two() -> None:
    assert headings() == ALWAYS | {"Closed arrivals", "The rescue is certain by construction"}


@pytest.mark.parametrize(
    ("manifest", "heading"),
    [
        (replace(QUIET, host={"hypervisor": True}), "A virtual machine"),
        (replace(QUIET, git=GitState(commit="c0ffee", dirty=True)), "Sources not pinned"),
        (replace(QUIET, git=None), "Sources not pinned"),
        (replace(QUIET, noise=NOISY), "A noisy host"),
    ],
)
def test_what_the_host_adds(manifest: Manifest, heading: str) -> None:
    assert heading in headings(manifest=manifest)
    assert heading not in headings()


@pytest.mark.parametrize(
    ("expect", "stalled", "words"),
    [
        ("p99(baseline) <= 1s", 100, "The P99 of 5000 requests of which 100 stall is the median of those that stall"),
        ("p999(baseline) <= 1s", 100, "The P99.9 of 5000 requests of which 100 stall is the P95 of those"),
        ("p95(baseline) <= 1s", 100, ""),
        ("p99(baseline) <= 1s", 25, ""),
        ("p99(baseline) <= 1s", None, ""),
        ("lateness_p99(baseline) <= 1s", 100, ""),
        ("p99(baseline@elsewhere) <= 1s", 100, ""),
    ],
)
def test_a_claimed_quantile_among_the_stalls_is_said(
    tmp_path: Path, expect: str, stalled: int | None, words: str
) -> None:
    measured = summarised(finished_run(tmp_path, scenario_from("smoke"))).arms[0]
    baseline = replace(measured.strategies["baseline"], requests=5000, stalled=stalled)
    claims = (replace(claim("tail", "supported"), expect=expect),)
    summary = summary_of(replace(measured, strategies={"baseline": baseline}, claims=claims))
    texts = [found.text for found in threats([scenario_from("smoke")], QUIET, summary)]
    assert any("those that stall" in text for text in texts) is bool(words)
    assert any(text.startswith(words) for text in texts)


def test_another_delay_line_than_the_published_one_is_said() -> None:
    heading = {"Another delay line than published"}
    assert headings(summary=replace(SUMMARY, delay_line="htb")) - headings() == heading
    assert headings(summary=replace(SUMMARY, delay_line="htb+netem")) - headings() == heading


def test_another_engine_than_the_published_one_is_said() -> None:
    heading = {"Another engine than published"}
    assert headings(summary=replace(SUMMARY, engine="queue", delay_line="htb")) - headings() == heading
    assert headings(summary=replace(SUMMARY, engine="clone+queue")) - headings() == heading


def test_a_quiet_host_is_not_called_noisy() -> None:
    quiet = replace(QUIET, noise=replace(NOISY, late_1ms=0.001))
    assert "A noisy host" not in headings(manifest=quiet)


@pytest.mark.parametrize(
    ("override", "heading", "there"),
    [
        ("service.stall.heal_on_duplicate=false", "The rescue is certain by construction", False),
    ],
)
def test_what_the_scenario_adds(override: str, heading: str, there: bool) -> None:
    assert (heading in headings(override)) is there


@pytest.mark.parametrize(("blocks", "words"), [(4, "With 4 blocks of"), (1, "With 1 block of"), (5, None)])
def test_blocks_are_counted_as_they_were_measured(blocks: int, words: str | None) -> None:
    """Not as they were planned: discarded ones may be missing."""
    found = threats([scenario_from("paper")], QUIET, replace(SUMMARY, blocks=blocks))
    texts = [threat.text for threat in found if threat.heading == "Too few blocks"]
    assert [words in text for text in texts if words] == ([True] if words else [])
    assert len(texts) == (words is not None)


def test_a_bridge_of_containers_is_called_so() -> None:
    (found,) = [
        threat
        for threat in threats([scenario_from("paper")], replace(QUIET, backend="docker"), SUMMARY)
        if threat.heading == "One host, no network"
    ]
    assert "Docker bridge" in found.text
