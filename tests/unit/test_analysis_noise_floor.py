"""How late this host lets a wake-up be, by the quantile asked for."""

from __future__ import annotations

import pytest

from orchestrator.analysis.noise_floor import HostNoise

MANIFEST = {"noise": {"lateness_us": {"p50": 60.0, "p99": 250.0, "max": 4000.0}}}


def host_noise() -> HostNoise:
    noise = HostNoise.of(MANIFEST)
    assert noise is not None
    return noise


@pytest.mark.parametrize(
    ("quantile", "floor_ns"),
    [(0.25, 60e3), (0.5, 60e3), (0.75, 250e3), (0.99, 250e3), (0.999, 4e6), (1.0, 4e6), (None, 250e3)],
)
def test_a_quantile_is_measured_against_the_next_figure_above_it(quantile: float | None, floor_ns: float) -> None:
    assert host_noise().floor_ns(quantile) == floor_ns


def test_a_mean_is_measured_against_the_mean_where_the_probe_told_it() -> None:
    told = HostNoise.of({"noise": {"lateness_us": {**MANIFEST["noise"]["lateness_us"], "mean": 75.0}}})
    assert told is not None
    assert (told.floor_ns(None), told.told(None)) == (75e3, "75 µs late (on average)")
    assert told.floor_ns(0.5) == 60e3


def test_in_words() -> None:
    assert host_noise().told(0.99) == "250 µs late (P99)"


@pytest.mark.parametrize("manifest", [{}, {"noise": None}])
def test_runs_without_a_probe_have_no_floor(manifest: dict[str, None]) -> None:
    assert HostNoise.of(manifest) is None
