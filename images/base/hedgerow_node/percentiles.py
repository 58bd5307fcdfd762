"""Percentiles by nearest rank: always one of the values, and exact whatever their number."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from hedgerow_node.units import NS_PER_US

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

T = TypeVar("T")


def nearest_rank(ordered: Sequence[T], percent: int) -> T:
    """The least of the `ordered` values, of which there is at least one, that `percent` % do not exceed."""
    return ordered[-(-percent * len(ordered) // 100) - 1]


def lateness_us(late_ns: Iterable[int]) -> dict[str, float] | None:
    """P50, P99 and the maximum of `late_ns`, in µs; None where there are none."""
    ordered = sorted(late_ns)
    if not ordered:
        return None
    percents = {"p50": 50, "p99": 99, "max": 100}
    return {name: nearest_rank(ordered, percent) / NS_PER_US for name, percent in percents.items()}
