"""The host's own noise, as the probe before the run found it: how late a plain wake-up is when nothing else runs.

The main noise floor of a run is its A/A control: baseline against baseline, under the very load of the run. The
probe is the second one, and sees what no comparison inside a run can. Every latency ends with a wake-up, so each may
be longer than it would be on a quiet host by what a wake-up is late at that quantile, and never shorter (`floors`
asks what that can do to a claim). That P50 overheads of 20 µs lie below the noise of most set-ups is the reason to
ask at all.

A probe knows its P50, its P99, its maximum and its mean. A quantile takes the next one above it, and a mean the mean,
or the P99 of probes that did not tell it: where in doubt the host is taken to be the noisier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_NS_PER_US = 1_000
#: The largest share of requests that each figure of the probe answers for.
_UP_TO = ((0.5, "p50"), (0.99, "p99"), (1.0, "max"))
_NAMES = {"p50": "P50", "p99": "P99", "max": "the latest", "mean": "on average"}


@dataclass(frozen=True)
class HostNoise:
    """The lateness of wake-ups before the run, ns by the figures' names in the manifest."""

    lateness_ns: Mapping[str, float]

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> HostNoise | None:
        """What the run's manifest tells; None where it has no probe."""
        noise = manifest.get("noise")
        if noise is None:
            return None
        return cls({name: lateness_us * _NS_PER_US for name, lateness_us in noise["lateness_us"].items()})

    def floor_ns(self, quantile: float | None) -> float:
        """By how much a latency at `quantile` (0.99; None: the mean) may be too long, ns."""
        return self.lateness_ns[self._figure(quantile)]

    def told(self, quantile: float | None) -> str:
        """The same in words."""
        name = self._figure(quantile)
        return f"{self.lateness_ns[name] / _NS_PER_US:.0f} µs late ({_NAMES[name]})"

    def _figure(self, quantile: float | None) -> str:
        if quantile is None:
            return "mean" if "mean" in self.lateness_ns else "p99"
        return next(name for share, name in _UP_TO if quantile <= share)
