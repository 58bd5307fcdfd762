"""An engine and images for every test here, and nothing left in it afterwards.

Without an engine these tests are left out, aloud; in CI, where `.ci/test` has started one, that is a failure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.engine_state import docker, engine_state
from support.host_state import assert_as_before, host_state
from support.policy import cannot_run
from support.scenario_files import orchestrate

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def images() -> None:
    """Built, from the layers that are there already."""
    if docker("version").returncode != 0:
        cannot_run("the docker backend was NOT tested: no Docker engine answers (.ci/engine says more)")
    done = orchestrate("images", "build", patience_s=900)
    assert done.returncode == 0, done.stderr


@pytest.fixture(autouse=True)
def left_as_found(images: None) -> Iterator[None]:
    host, engine = host_state(), engine_state()
    yield
    assert engine_state().difference(engine) == {}
    assert_as_before(host)
