"""Quantities are read exactly, refused with a hint, and written back in the largest unit that keeps them exact."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgerow_node import ring
from hedgerow_node.lanes import capacity_per_s, class_rate_bytes_per_s
from hedgerow_node.units import (
    format_bit_rate,
    format_duration,
    format_rate,
    parse_bit_rate,
    parse_duration_ns,
    parse_rate_per_s,
    parse_ratio,
)


@given(st.integers(min_value=0, max_value=10**18))
def test_a_written_duration_reads_back_as_itself(value_ns: int) -> None:
    assert parse_duration_ns(format_duration(value_ns)) == value_ns


@pytest.mark.parametrize(
    ("text", "value_ns"),
    [
        ("0s", 0),
        ("1ns", 1),
        ("1.5us", 1_500),
        ("10ms", 10_000_000),
        ("10 ms", 10_000_000),
        ("0.1s", 100_000_000),  # would not be exact in floating point
        ("2m", 120_000_000_000),
        ("2min", 120_000_000_000),
    ],
)
def test_durations(text: str, value_ns: int) -> None:
    assert parse_duration_ns(text) == value_ns


@pytest.mark.parametrize("text", ["", "10", "ms", "-1ms", "1 h", "1e3ms", "10ms later", "1,5ms"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"e\.g\. 10ms"):
        parse_duration_ns(text)


def test_a_duration_is_whole_nanoseconds() -> None:
    with pytest.raises(ValueError, match="finer than one nanosecond"):
        parse_duration_ns("0.5ns")


def test_rates_and_percentages() -> None:
    assert parse_rate_per_s("500/s") == 500
    assert parse_rate_per_s("2 / ms") == 2000
    assert parse_rate_per_s("60/min") == 1
    assert parse_ratio("2.5%") == 0.025
    with pytest.raises(ValueError, match="500/s"):
        parse_rate_per_s("500")
    with pytest.raises(ValueError, match=r"2\.5%"):
        parse_ratio("2.5")


@given(st.floats(0.1, 1e6))
def test_a_written_rate_reads_back_as_itself(value_per_s: float) -> None:
    assert parse_rate_per_s(format_rate(value_per_s)) == value_per_s


@given(st.integers(1, 10**12))
def test_a_written_bandwidth_reads_back_as_itself(value: int) -> None:
    assert parse_bit_rate(format_bit_rate(value)) == value


def test_rates_and_bandwidths_are_written_as_people_write_them() -> None:
    assert (format_rate(500.0), format_rate(0.5), format_rate(1e6)) == ("500/s", "0.5/s", "1000000/s")
    assert (format_bit_rate(10_000_000), format_bit_rate(1_500)) == ("10mbit", "1500bit")
    assert parse_bit_rate("2.5 mbit") == 2_500_000
    with pytest.raises(ValueError, match=r"e\.g\. 10mbit"):
        parse_bit_rate("10mb")


def test_a_lane_carries_one_request_per_two_delays() -> None:
    assert capacity_per_s(10_000_000, lanes=256) == 12_800
    # At the class's rate one packet of the charged size takes the delay or a trifle longer, never less.
    assert 65_535 / class_rate_bytes_per_s(10_000_000) >= 0.010


@pytest.mark.parametrize(
    ("delay_ns", "rate_per_s", "cells"),
    [
        (10_000_000, 1_000, 1_024),  # never fewer
        (10_000_000, 60_000, 1_024),  # 900
        (10_000_000, 70_000, 2_048),  # 1,050
        (10_000_000, 204_800 / 1.5, 2_048),  # exactly
        (60_000_000_000, 60_000, 65_536),  # never more
    ],
)
def test_a_ring_holds_half_as_many_again_as_come_in_a_delay(delay_ns: int, rate_per_s: float, cells: int) -> None:
    assert ring.cells_for(delay_ns, rate_per_s) == cells


def test_a_ring_carries_as_many_requests_as_it_has_cells_in_each_delay() -> None:
    assert ring.capacity_per_s(10_000_000) == 102_400
    assert ring.capacity_per_s(1_000_000_000) == 65_536
