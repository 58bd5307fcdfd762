"""When an effect is no larger than the host's own noise."""

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


@pytest.mark.parametrize(
    ("margin_ns", "quantile", "exceeds"),
    [(20e3, 0.5, True), (60e3, 0.5, True), (60e3 + 1, 0.5, False), (-384e6, 0.99, False), (-200e3, 0.99, True)],
)
def test_the_noise_exceeds_what_is_not_larger(margin_ns: float, quantile: float, exceeds: bool) -> None:
    assert host_noise().exceeds(margin_ns, quantile) is exceeds
    assert bool(host_noise().reason(margin_ns, quantile)) is exceeds


def test_the_reason_names_both() -> None:
    assert host_noise().reason(-20e3, 0.5) == (
        "20 µs are not more than this host's own noise: before the run, wake-ups were 60 µs late (P50)"
    )


@pytest.mark.parametrize("manifest", [{}, {"noise": None}])
def test_runs_without_a_probe_have_no_floor(manifest: dict[str, None]) -> None:
    assert HostNoise.of(manifest) is None
