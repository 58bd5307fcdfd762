"""What holds for every layer: a test's marks say what it needs of the host; policy.py says what if it is missing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

import pytest

from support.node_programs import has_ipv6_loopback
from support.policy import cannot_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.faulty import FaultyHedger


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Looks at the marks `root` and `ipv6` before anything is set up."""
    if item.get_closest_marker("root") is not None and os.geteuid() != 0:
        cannot_run("needs root: run `sudo make test`")
    if item.get_closest_marker("ipv6") is not None and not has_ipv6_loopback():
        cannot_run("needs IPv6 on the loopback interface: sysctl net.ipv6.conf.lo.disable_ipv6=0")


def _for_how_long(fixture_name: str, config: pytest.Config) -> Literal["session", "module"]:
    """Tests of the host find nothing of each other's; in a virtual machine a hedger's start takes as long as many."""
    return "session" if "HEDGEROW_GUEST" in os.environ else "module"


@pytest.fixture(scope=_for_how_long)
def shared_hedger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyHedger]:
    """For all tests that leave it at work, and configured as it was."""
    from support.engines import VARIANTS, loaded  # noqa: PLC0415 -- bring much that most layers do without
    from support.faulty import faulty_hedger  # noqa: PLC0415

    if "HEDGEROW_GUEST" in os.environ:  # these stay until the end, so they must not look like this hedger's leftovers
        for variant in VARIANTS:
            loaded(variant)
    with faulty_hedger(tmp_path_factory.mktemp("shared") / "hedger.sock") as made:
        yield made
