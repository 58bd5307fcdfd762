"""What holds for every layer: tests that need root say so, and where a proof is expected they may not be left out."""

from __future__ import annotations

import os

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test marked `root` without root fails in CI, where it would go unnoticed; elsewhere it is skipped, aloud."""
    if item.get_closest_marker("root") is None or os.geteuid() == 0:
        return
    if os.environ.get("CI", "") not in ("", "0", "false"):
        pytest.fail("needs root, and in CI every layer has to run", pytrace=False)
    pytest.skip("needs root: run `sudo make test`")
