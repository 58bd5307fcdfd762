"""Quantiles of what was measured, by nearest rank: always one of the values."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from hedgerow_node.units import NS_PER_US

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

T = TypeVar("T")


def nearest_rank(ordered: Sequence[T], per_mille: int) -> T:
    """The least of the `ordered` values, of which there is at least one, that `per_mille` of them do not exceed."""
    return ordered[max(0, -(-per_mille * len(ordered) // 1000) - 1)]


def lateness_us(late_ns: Iterable[int]) -> dict[str, float] | None:
    """Median, P99 and maximum in microseconds of latenesses in nanoseconds; None where there are none."""
    ordered = sorted(late_ns)
    if not ordered:
        return None
    return {
        name: nearest_rank(ordered, share) / NS_PER_US for name, share in (("p50", 500), ("p99", 990), ("max", 1000))
    }
