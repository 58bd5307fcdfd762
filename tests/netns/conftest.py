"""Every test here leaves the host as it found it, or fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.host_state import assert_as_before, host_state
from support.pair import Pair, linked_pair

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def host_left_as_found() -> Iterator[None]:
    before = host_state()
    yield
    assert_as_before(before)


@pytest.fixture
def pair(host_left_as_found: None) -> Iterator[Pair]:
    with linked_pair() as made:
        yield made
