"""Reads quantiles off the kernel's log-linear latency histogram (bpf/tap.h: eight buckets a power of two)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SUB_BITS = 3


def bucket_bounds_ns(bucket: int) -> tuple[int, int]:
    """The least latency in `bucket`, and the least above it, in ns."""
    power, sub = bucket >> SUB_BITS, bucket & ((1 << SUB_BITS) - 1)
    if power < SUB_BITS:
        return 1 << power, 1 << (power + 1)
    width = 1 << (power - SUB_BITS)
    low = (1 << power) + sub * width
    return low, low + width


def quantile_ns(histogram: Sequence[int], q: float) -> int | None:
    """An upper bound, at most 12.5 % too high, of the `q` quantile in ns; None where nothing was recorded."""
    total = sum(histogram)
    seen = 0
    for bucket, count in enumerate(histogram):
        seen += count
        if total and seen >= q * total and count:
            return bucket_bounds_ns(bucket)[1]
    return None
