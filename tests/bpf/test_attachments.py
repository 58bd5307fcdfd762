"""Filters of ours that go by themselves, with their interface or by another's hand, while they are being removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyroute2 import IPRoute

from hedgerow_hedger.attachments import EGRESS, INGRESS, PREFERENCE, Attachments
from support.kernel_bench import private_network

if TYPE_CHECKING:
    from collections.abc import Iterator

GONE = 9999  #: no interface has this number


@pytest.fixture
def ip() -> Iterator[IPRoute]:
    with private_network(), IPRoute() as ip:
        yield ip


@pytest.mark.parametrize("interface", ["lo", None], ids=["the filter is gone", "its interface is gone"])
def test_removing_what_has_vanished_is_not_an_error(
    ip: IPRoute, interface: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    attachments = Attachments(ip)
    ifindex = GONE
    if interface is not None:
        (ifindex,) = ip.link_lookup(ifname=interface)
        ip.tc("add", "clsact", ifindex)
    listed = {EGRESS: [(1, PREFERENCE, "hedgerow:splitter")], INGRESS: []}
    monkeypatch.setattr(attachments, "_ours", lambda _ifindex, hook: listed[hook])
    assert attachments.detach(ifindex) == []
