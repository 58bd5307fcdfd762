"""Every scenario of the project runs, in its quick variant, and what it says goes wrong does go wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.host_state import assert_as_before, host_state
from support.quick_variant import SCENARIOS, run_quick_variant

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root


@pytest.mark.parametrize(
    "scenario",
    [path for path in sorted(SCENARIOS.glob("*.yaml")) if path.stem != "smoke"],
    ids=lambda path: path.stem,
)
def test_its_quick_variant_runs_and_proves_its_faults(scenario: Path, tmp_path: Path) -> None:
    before = host_state()
    run_quick_variant(scenario, tmp_path)
    assert_as_before(before)
