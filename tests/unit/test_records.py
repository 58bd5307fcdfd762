"""The programs' binary records come back from a file as they went in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgerow_node.records import NO_TIME, Action, Hedge, Outcome, Sample, ServedCopy, Winner, read_rows, write_rows

if TYPE_CHECKING:
    from pathlib import Path

TIMES = st.integers(min_value=NO_TIME, max_value=2**63 - 1)
IDS = st.integers(min_value=0, max_value=2**64 - 1)
BYTES = st.integers(min_value=0, max_value=255)
SHORTS = st.integers(min_value=0, max_value=0xFFFF)

SAMPLES = st.builds(
    Sample, IDS, st.integers(0, 2**32 - 1), TIMES, TIMES, TIMES, TIMES, st.sampled_from(Outcome), BYTES
)
COPIES = st.builds(ServedCopy, IDS, SHORTS, SHORTS, BYTES, TIMES, TIMES, TIMES, st.sampled_from(Action))
HEDGES = st.builds(Hedge, IDS, SHORTS, BYTES, st.sampled_from(Winner), TIMES, TIMES, TIMES, TIMES)


@given(samples=st.lists(SAMPLES), copies=st.lists(COPIES), hedges=st.lists(HEDGES))
def test_rows_come_back_as_they_went_in(
    tmp_path_factory: pytest.TempPathFactory, samples: list[Sample], copies: list[ServedCopy], hedges: list[Hedge]
) -> None:
    folder = tmp_path_factory.mktemp("records")
    assert write_rows(folder / "samples", samples, Sample) == len(samples)
    assert write_rows(folder / "copies", copies, ServedCopy) == len(copies)
    assert write_rows(folder / "hedges", hedges, Hedge) == len(hedges)
    assert read_rows(folder / "samples", Sample) == samples
    assert read_rows(folder / "copies", ServedCopy) == copies
    assert read_rows(folder / "hedges", Hedge) == hedges


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut"
    write_rows(path, [Hedge(1, 2, 0, Winner.HEDGE, 1, 2, 3, 4)], Hedge)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="no whole number of Hedge rows"):
        read_rows(path, Hedge)
