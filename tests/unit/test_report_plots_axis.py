"""Swept values on an axis: by size where they have one, as written, and never over each other."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from matplotlib.figure import Figure

from orchestrator.report.plots.sweep import sweep_axis


@pytest.mark.parametrize(
    ("values", "labels", "logarithmic"),
    [
        (["10ms", "200us", "1ms"], ("200us", "1ms", "10ms"), True),
        (["430/s", "200/s"], ("200/s", "430/s"), False),
        ([1, 2, 16], ("1", "2", "16"), True),
        ([0, 1, 20], ("0", "1", "20"), False),
        (["1%", "20%"], ("1%", "20%"), True),
        (["10mbit", "1gbit"], ("10mbit", "1gbit"), True),
        (["same", "other"], ("same", "other"), False),
        ([4, "unlimited"], ("4", "unlimited"), False),
        ([True, False], ("True", "False"), False),
        (["10ms"], ("10ms",), False),
    ],
)
def test_values_stand_in_order_of_size_or_as_given(
    values: list[Any], labels: tuple[str, ...], logarithmic: bool
) -> None:
    axis = sweep_axis(values)
    assert (axis.labels, axis.logarithmic) == (labels, logarithmic)
    assert list(axis.places) == sorted(axis.places)


@pytest.mark.parametrize("values", [["5ms", "5.1ms", "5.2ms", "100ms"], [1, 2, 3], ["same", "other"], ["1ms"]])
def test_labels_keep_apart_and_the_last_is_always_there(values: list[Any]) -> None:
    figure = Figure(figsize=(4, 3), dpi=100)
    axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    axis = sweep_axis(values)
    axis.apply_to(axes, 3.2)
    figure.draw_without_rendering()
    ticks = [tick for tick in axes.get_xticklabels() if tick.get_text()]
    assert ticks[-1].get_text() == str(axis.labels[-1])
    boxes = [tick.get_window_extent() for tick in ticks]
    for left, right in itertools.pairwise(boxes):
        assert left.x1 < right.x0


def test_dodging_moves_as_far_everywhere_on_the_axis() -> None:
    axis = sweep_axis(["1ms", "10ms", "100ms"])
    ratios = [axis.dodged(place, 1) / place for place in axis.places]
    assert ratios == pytest.approx([100**0.01] * 3)
    assert sweep_axis([1, 3]).dodged(3, -1) == pytest.approx(2.98)
    assert sweep_axis([7]).dodged(7, 0) == 7
