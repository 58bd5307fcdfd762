"""The send schedule: the same for everybody who computes it, and the arrivals that it claims to be."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgerow_node.units import NS_PER_MS, NS_PER_S
from hedgerow_node.workload import send_offsets_ns

processes = st.sampled_from(["poisson", "constant"])
rates = st.floats(0.1, 1e6)


@given(process=processes, rate=rates, seed=st.integers(0, 2**63 - 1), first_id=st.integers(0, 10**7))
def test_a_schedule_begins_at_once_ascends_and_is_always_the_same(
    process: str, rate: float, seed: int, first_id: int
) -> None:
    offsets = send_offsets_ns(process, rate, seed, first_id, 50)
    assert len(offsets) == 50
    assert offsets[0] == 0
    assert list(offsets) == sorted(offsets)
    assert offsets == send_offsets_ns(process, rate, seed, first_id, 50)


@given(process=processes, rate=rates, count=st.integers(0, 60))
def test_fewer_requests_are_the_beginning_of_more(process: str, rate: float, count: int) -> None:
    assert send_offsets_ns(process, rate, 42, 0, 60)[:count] == send_offsets_ns(process, rate, 42, 0, count)


def test_constant_arrivals_do_not_drift() -> None:
    offsets = send_offsets_ns("constant", 3.0, 42, 0, 3_000_001)
    assert list(offsets[:4]) == [0, 333_333_333, 666_666_667, NS_PER_S]
    assert offsets[-1] == 1_000_000 * NS_PER_S


def test_poisson_gaps_have_the_mean_and_the_spread_of_exponential_ones() -> None:
    offsets = send_offsets_ns("poisson", 500.0, 42, 0, 20_000)
    gaps = [after - before for before, after in pairwise(offsets)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert mean == pytest.approx(2 * NS_PER_MS, rel=0.03)
    assert deviation == pytest.approx(mean, rel=0.03)


def test_blocks_and_seeds_have_schedules_of_their_own() -> None:
    schedules = {tuple(send_offsets_ns("poisson", 500.0, seed, first, 10)) for seed in (1, 2) for first in (0, 100)}
    assert len(schedules) == 4


def test_the_schedule_is_what_it_was_when_results_were_published() -> None:
    # A change of these numbers would change which requests every recorded fault affected.
    assert list(send_offsets_ns("poisson", 1000.0, 42, 0, 5)) == [0, 103426, 616223, 2450760, 3556874]


@pytest.mark.parametrize(("process", "rate"), [("uniform", 1.0), ("poisson", 0.0), ("constant", float("inf"))])
def test_what_makes_no_schedule_is_refused(process: str, rate: float) -> None:
    with pytest.raises(ValueError, match=r"is not a process of arrivals|is not possible"):
        send_offsets_ns(process, rate, 42, 0, 10)
