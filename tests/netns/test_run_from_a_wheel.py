"""A run by a wheel that is installed away from any checkout, by strategies of every kind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.installed_wheel import install_wheel
from support.scenario_files import NEVER_TOO_LATE, write_scenario

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root


def test_it_runs_a_scenario(tmp_path: Path) -> None:
    wheel = install_wheel(tmp_path)
    strategies = "baseline, app-deadline, app-native, proxy, kernel"
    scenario = write_scenario(wheel.outside, strategies=strategies, timeout=NEVER_TOO_LATE, claims="  []")
    done = wheel.run("orchestrator", "run", str(scenario), "--results", "results", "--backend", "netns", "--json")
    assert done.returncode in (0, 1, 3), done.stderr
    (folder,) = (wheel.outside / "results").iterdir()
    assert json.loads((folder / "manifest.json").read_text())["status"] == "complete"
    assert (folder / "report.html").exists()
    (cached,) = (wheel.outside / "cache" / "hedgerow").iterdir()
    assert {path.name for path in cached.iterdir()} == {"app-native", "proxy", "sources"}
