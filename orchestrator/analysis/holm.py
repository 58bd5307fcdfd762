"""Several p-values judged together: of twenty true hypotheses one is rejected at 0.05 by chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted so that the chance of any error among all of them is what each is compared with.

    Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979: the smallest is multiplied by the number
    of them, the next one by one less, and so on, none becoming smaller than the one before.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted
