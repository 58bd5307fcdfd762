"""Where the values of a swept key stand on an axis: as numbers where they are such, else one beside the other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from hedgerow_node.units import parse_bit_rate, parse_duration_ns, parse_rate_per_s, parse_ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes

_DECADE = 10.0
_MARGIN = 0.08  #: of the range of values, left free at either end
_CHARACTER_INCHES = 0.085  #: about the width of a digit at the ticks' size, with some air


@dataclass(frozen=True)
class SweepAxis:
    """The places of values as written in the scenario, in ascending order of place."""

    labels: tuple[str, ...]
    places: tuple[float, ...]
    logarithmic: bool

    def dodged(self, place: float, steps: float) -> float:
        """`place`, moved sideways by `steps` hundredths of the axis, so that intervals do not cover each other."""
        if len(self.places) == 1:
            return place + steps * 0.01
        share = steps * 0.01
        if self.logarithmic:
            return float(place * (max(self.places) / min(self.places)) ** share)
        return place + share * (max(self.places) - min(self.places))

    def dress(self, axes: Axes, width_inches: float) -> None:
        """Scale, limits and ticks: each value as it was written, but for those that would touch their neighbours."""
        low, high = min(self.places), max(self.places)
        if self.logarithmic:
            axes.set_xscale("log")
            margin = (high / low) ** _MARGIN
            axes.set_xlim(low / margin, high * margin)
        else:
            margin = _MARGIN * (high - low) or 0.5
            axes.set_xlim(low - margin, high + margin)
        kept = self._that_fit(width_inches / (1 + 2 * _MARGIN))
        axes.xaxis.set_major_locator(FixedLocator([self.places[index] for index in kept]))
        axes.xaxis.set_major_formatter(FixedFormatter([self.labels[index] for index in kept]))
        axes.xaxis.set_minor_locator(NullLocator())

    def _that_fit(self, width_inches: float) -> list[int]:
        """Which labels can be written without overlap, beginning with the last: a sweep is about its far end."""
        measure: Callable[[float], float] = math.log if self.logarithmic else float
        low, high = measure(min(self.places)), measure(max(self.places))
        at = [(measure(place) - low) / ((high - low) or 1) * width_inches for place in self.places]
        kept: list[int] = []
        for index in reversed(range(len(self.places))):
            halves = (len(self.labels[index]) + len(self.labels[kept[-1]])) / 2 if kept else 0
            if not kept or at[kept[-1]] - at[index] >= halves * _CHARACTER_INCHES:
                kept.append(index)
        return sorted(kept)


def sweep_axis(values: Sequence[Any]) -> SweepAxis:
    """The axis of `values`: durations, rates, percentages and numbers by size, all else in the order given."""
    labels = [str(value) for value in values]
    sizes = _sizes(values)
    if sizes is None:
        return SweepAxis(tuple(labels), tuple(float(index) for index in range(len(values))), logarithmic=False)
    ordered = sorted(zip(sizes, labels, strict=True))
    low, high = ordered[0][0], ordered[-1][0]
    return SweepAxis(
        tuple(label for _, label in ordered), tuple(size for size, _ in ordered), low > 0 and high / low > _DECADE
    )


def _sizes(values: Sequence[Any]) -> list[float] | None:
    """`values` as numbers of one unit, None where they are no such."""
    for parse in (_number, parse_duration_ns, parse_rate_per_s, parse_ratio, parse_bit_rate):
        try:
            sizes = [float(parse(value)) for value in values]
        except (ValueError, TypeError, AttributeError):
            continue
        return sizes if len(set(sizes)) == len(sizes) else None
    return None


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is no number")
    return float(value)
