"""Starts the virtual machines as soon as it is known that their tests will be run, long before their turn.

Keeps the tests that run inside the machines out of the host's.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from kernels.fetch import NotPossibleHereError, host_suite
from kernels.fleet import Fleet

if TYPE_CHECKING:
    from kernels.guest import Guest

collect_ignore = [] if "HEDGEROW_GUEST" in os.environ else ["in_guest"]

_FLEET = pytest.StashKey[Fleet]()


def pytest_collection_finish(session: pytest.Session) -> None:
    wanted = any(item.path.parent.name == "kernels" for item in session.items)
    if not wanted or session.config.option.collectonly or os.geteuid() != 0:
        return
    try:
        host_suite()
    except NotPossibleHereError:
        return  # the fixture says so where it shows
    session.config.stash[_FLEET] = Fleet()


def pytest_unconfigure(config: pytest.Config) -> None:
    if _FLEET in config.stash:
        config.stash[_FLEET].stop()


@pytest.fixture(scope="session")
def guests(pytestconfig: pytest.Config) -> dict[str, Guest]:
    """What every machine left, by kernel series; waits for the last one."""
    try:
        host_suite()
    except NotPossibleHereError as reason:
        pytest.skip(f"stock kernels were NOT tested: {reason}")
    return pytestconfig.stash[_FLEET].guests()
