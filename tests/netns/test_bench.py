"""`orchestrator bench` compares three conditions side by side and keeps nothing."""

from __future__ import annotations

import json

import pytest

from support.scenario_files import orchestrate

pytestmark = pytest.mark.root


def test_every_condition_is_measured_and_compared_with_the_bare_one() -> None:
    done = orchestrate("bench", "--requests", "500", "--blocks", "5", "--json")
    assert done.returncode == 0, done.stderr
    costs = json.loads(done.stdout)["overhead"]
    assert [cost["condition"] for cost in costs] == ["bare", "baseline", "kernel"]
    for cost in costs:
        for figure in (cost["p50_us"], cost["p99_us"]):
            value, low, high = figure
            assert 0 < low <= value <= high
    assert costs[0]["over_us"] is None
    for cost in costs[1:]:
        assert cost["over_us"][0] == pytest.approx(cost["p50_us"][0] - costs[0]["p50_us"][0], abs=0.01)


def test_too_few_blocks_for_an_interval_are_refused() -> None:
    done = orchestrate("bench", "--blocks", "4")
    assert done.returncode == 2
    assert "--blocks" in done.stderr
