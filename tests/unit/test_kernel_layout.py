"""The numbers that Python and C both name stay the same numbers, and the C sources carry what bcc needs."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import pytest

from hedgerow_hedger.programs import (
    BPF_SOURCES,
    TOKEN,
    DelayLineKind,
    Direction,
    EventType,
    Fault,
    Identity,
    Mode,
    Target,
    counter_names,
    inline_sources,
)
from hedgerow_hedger.statistics import bucket_bounds_ns, quantile_ns
from hedgerow_node.protocol.limits import MAX_REPLICAS, MAX_RULES, MAX_SERVICES
from hedgerow_node.records import Winner
from support.native_runs import SOURCES as NATIVE_SOURCES

if TYPE_CHECKING:
    from enum import IntEnum

TYPES = (BPF_SOURCES / "types.h").read_text()


@pytest.mark.parametrize(
    ("name", "prefix", "mirror"),
    [
        ("mode", "MODE_", Mode),
        ("identity", "IDENTITY_", Identity),
        ("target", "TARGET_", Target),
        ("delay_line", "LINE_", DelayLineKind),
        ("fault", "FAULT_", Fault),
        ("direction", "DIRECTION_", Direction),
        ("event_type", "EVENT_", EventType),
        ("winner", "WINNER_", Winner),
    ],
)
def test_enumerations_agree(name: str, prefix: str, mirror: type[IntEnum]) -> None:
    body = re.search(rf"enum {name} {{([^}}]*)}}", TYPES)
    assert body is not None
    in_c = {key.removeprefix(prefix): int(value) for key, value in re.findall(r"(\w+) = (\d+)", body[1])}
    assert in_c == {member.name: member.value for member in mirror}


@pytest.mark.parametrize(
    ("name", "value"),
    [("MAX_SERVICES", MAX_SERVICES), ("MAX_REPLICAS", MAX_REPLICAS), ("MAX_FAULT_RULES", MAX_RULES)],
)
def test_limits_agree(name: str, value: int) -> None:
    assert re.search(rf"#define {name} {value}\b", TYPES)


def test_the_client_s_programs_have_room_for_as_many_replicas() -> None:
    assert f"#define MAX_REPLICAS {MAX_REPLICAS}\n" in (NATIVE_SOURCES / "replicas.h").read_text()


def test_a_token_is_the_same_in_the_kernel() -> None:
    assert f"#define TOKEN {TOKEN}ULL" in (BPF_SOURCES / "budget.h").read_text()


def test_counters_come_in_the_kernels_order_without_repetition() -> None:
    names = counter_names()
    assert names[:4] == ("out_seen", "out_not_service", "out_no_id", "out_struck")
    assert names[-1] == "in_gso"
    assert len(set(names)) == len(names)


def test_inlined_sources_include_no_header_of_ours() -> None:
    text = inline_sources(BPF_SOURCES / "hedger.c")
    assert '#include "' not in text
    assert text.count("#ifndef HEDGEROW_") == len(list(BPF_SOURCES.glob("*.h")))


def test_every_source_bears_the_licence_that_the_kernel_asks_for() -> None:
    for path in BPF_SOURCES.glob("*.[ch]"):
        assert "SPDX-License-Identifier: GPL-2.0 OR MIT" in path.read_text().splitlines()[0], path.name


def test_histogram_buckets_adjoin() -> None:
    """From 8 ns up, where a power of two has its eight buckets; below, each has one."""
    bounds = [bucket_bounds_ns(bucket) for bucket in range(3 << 3, 64 << 3)]
    assert bounds[0][0] == 8
    assert all(low < high == following for (low, high), (following, _) in itertools.pairwise(bounds))


def test_histogram_quantiles_bound_the_value_from_above() -> None:
    histogram = [0] * 512
    histogram[(20 << 3) + 2] = 99
    histogram[(25 << 3) + 0] = 1
    assert quantile_ns(histogram, 0.99) == bucket_bounds_ns((20 << 3) + 2)[1]
    assert quantile_ns(histogram, 1.0) == bucket_bounds_ns(25 << 3)[1]
    assert quantile_ns([0] * 512, 0.5) is None
