"""Loads the programs once a test session and hands every test a bench with the counters at zero."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bpf.kernel_bench import KernelBench, kernel_bench
from kernel_programs import DelayLineKind


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "bpf":
            item.add_marker("root")


@pytest.fixture(scope="module")
def loaded_bench() -> Iterator[KernelBench]:
    with kernel_bench(DelayLineKind.HTB) as bench:
        yield bench


@pytest.fixture
def bench(loaded_bench: KernelBench) -> KernelBench:
    loaded_bench.configure()
    loaded_bench.counted()
    loaded_bench.hedges()
    return loaded_bench
