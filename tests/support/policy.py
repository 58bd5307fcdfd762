"""What becomes of a test that this host cannot run: where a proof is expected it may not be left out."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def cannot_run(reason: str) -> NoReturn:
    """Fails the test in CI, where it would go unnoticed; elsewhere leaves it out, aloud."""
    if os.environ.get("CI", "") not in ("", "0", "false"):
        pytest.fail(f"{reason}; in CI every layer has to run", pytrace=False)
    pytest.skip(reason)
