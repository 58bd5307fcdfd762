"""Hands every test a bench with the counters at zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hedgerow_hedger.programs import DelayLineKind, KernelPrograms
from support.engines import loaded
from support.kernel_bench import KernelBench, kernel_bench

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "bpf":
            item.add_marker("root")


@pytest.fixture(scope="module", params=["clone-testbed", "queue-testbed"])
def programs(request: pytest.FixtureRequest) -> KernelPrograms:
    """Of every engine: what is decided about a request is the same."""
    return loaded(request.param)


@pytest.fixture(scope="module")
def loaded_bench(programs: KernelPrograms) -> Iterator[KernelBench]:
    with kernel_bench(programs, DelayLineKind.HTB) as bench:
        yield bench


@pytest.fixture
def bench(loaded_bench: KernelBench) -> KernelBench:
    loaded_bench.begin()
    return loaded_bench
