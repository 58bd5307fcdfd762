"""What holds for every layer: a test's marks say what it needs of the host; policy.py says what if it is missing."""

from __future__ import annotations

import os

import pytest

from support.node_programs import has_ipv6_loopback
from support.policy import cannot_run


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Looks at the marks `root` and `ipv6` before anything is set up."""
    if item.get_closest_marker("root") is not None and os.geteuid() != 0:
        cannot_run("needs root: run `sudo make test`")
    if item.get_closest_marker("ipv6") is not None and not has_ipv6_loopback():
        cannot_run("needs IPv6 on the loopback interface: sysctl net.ipv6.conf.lo.disable_ipv6=0")
