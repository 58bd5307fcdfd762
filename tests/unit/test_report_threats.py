"""Each threat to validity is told where it applies, and only there."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.report.threats import threats
from support.run_folder_factory import scenario_from

QUIET: dict[str, Any] = {
    "backend": "netns",
    "host": {"hypervisor": False},
    "git": {"commit": "c0ffee", "dirty": False},
}
SUMMARY: dict[str, Any] = {"delay_line": "netem", "blocks": 10}
ALWAYS = {"One host, no network", "One run on one machine"}


def headings(
    *overrides: str, manifest: dict[str, Any] | None = None, summary: dict[str, Any] | None = None
) -> set[str]:
    scenario = scenario_from("paper", *overrides)
    found = threats([scenario], manifest or QUIET, summary or SUMMARY)
    assert all(threat.text.endswith(".") for threat in found)
    return {threat.heading for threat in found}


def test_the_published_experiment_has_its_own_two() -> None:
    assert headings() == ALWAYS | {"Closed arrivals", "The rescue is certain by construction"}


@pytest.mark.parametrize(
    ("changes", "heading"),
    [
        ({"manifest": {**QUIET, "host": {"hypervisor": True}}}, "A virtual machine"),
        ({"manifest": {**QUIET, "git": {"commit": "c0ffee", "dirty": True}}}, "Sources not pinned"),
        ({"manifest": {**QUIET, "git": None}}, "Sources not pinned"),
        ({"manifest": {**QUIET, "noise": {"late_1ms": 0.08, "lateness_us": {"p99": 4093.0}}}}, "A noisy host"),
        ({"summary": {**SUMMARY, "delay_line": "htb"}}, "Another delay line than published"),
    ],
)
def test_what_the_host_adds(changes: dict[str, Any], heading: str) -> None:
    assert heading in headings(**changes)
    assert heading not in headings()


def test_a_quiet_host_is_no_noisy_one() -> None:
    quiet = {**QUIET, "noise": {"late_1ms": 0.001, "lateness_us": {"p99": 200.0}}}
    assert "A noisy host" not in headings(manifest=quiet)


@pytest.mark.parametrize(
    ("override", "heading", "there"),
    [
        ("service.stall.heal_on_duplicate=false", "The rescue is certain by construction", False),
    ],
)
def test_what_the_scenario_adds(override: str, heading: str, there: bool) -> None:
    assert (heading in headings(override)) is there


@pytest.mark.parametrize(("blocks", "words"), [(4, "from 4 blocks of"), (1, "from 1 block of"), (5, None)])
def test_blocks_are_counted_as_they_were_measured(blocks: int, words: str | None) -> None:
    """Not as they were planned: discarded ones may be missing."""
    found = threats([scenario_from("paper")], QUIET, {**SUMMARY, "blocks": blocks})
    texts = [threat.text for threat in found if threat.heading == "Too few blocks"]
    assert [words in text for text in texts if words] == ([True] if words else [])
    assert len(texts) == (words is not None)


def test_a_bridge_of_containers_is_called_so() -> None:
    (found,) = [
        threat
        for threat in threats([scenario_from("paper")], {**QUIET, "backend": "docker"}, SUMMARY)
        if threat.heading == "One host, no network"
    ]
    assert "Docker bridge" in found.text
