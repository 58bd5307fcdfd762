"""What changes while a run measures, and what the differences say."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.host.observe.activity import activity, changes, cpu_time_ms, differences, minus
from orchestrator.host.observe.facts import Tree
from support.fake_host import guest, laptop, plant

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 10 ms, as they are almost everywhere."""
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_CLK_TCK": 100}[name])


def test_a_laptop(tmp_path: Path) -> None:
    found = activity(plant(tmp_path, laptop()))
    assert found["load_average"] == [0.25, 0.5, 0.75]
    assert found["running"] == 3
    assert found["pressure"]["cpu"]["some"] == {
        "avg10_percent": 1.5,
        "avg60_percent": 0.25,
        "avg300_percent": 0.0,
        "total_us": 123456,
    }
    assert found["pressure"]["memory"] is None
    assert (found["cpu_time_ms"]["user"], found["cpu_time_ms"]["steal"]) == (10_000, 700)
    assert [found[name] for name in ("context_switches", "interrupts", "softirqs", "forks")] == [9000, 5000, 600, 400]
    assert (found["memory_available_mib"], found["swap_free_mib"]) == (10240, 2048)
    assert [found[name] for name in ("major_faults", "swapped_in_pages", "swapped_out_pages")] == [77, 5, 6]
    assert found["frequencies_mhz"] == [500.0, 1000.0, 1500.0, 2000.0]
    assert found["thermal_throttles"] == {"core": 6, "package": 40}
    assert found["throttled_periods"] == 4
    assert found["governors"] == ["performance", "powersave"]


def test_sysctls_are_numbers_where_they_are_and_null_where_the_kernel_has_none(tmp_path: Path) -> None:
    found = activity(plant(tmp_path, laptop()))["sysctls"]
    assert found["net.core.rmem_max"] == 212992
    assert found["net.core.default_qdisc"] == "fq_codel"
    assert found["net.ipv4.udp_mem"] == "190000 253000 380000"
    assert found["kernel.sched_rt_runtime_us"] == 950000
    assert found["net.bridge.bridge-nf-call-iptables"] is None
    assert found["kernel.timer_migration"] is None


def test_frequencies_are_the_processors_own_words_where_nothing_scales_them(tmp_path: Path) -> None:
    assert activity(plant(tmp_path, guest()))["frequencies_mhz"] == [2445.428]


def test_differences_of_two_looks(tmp_path: Path) -> None:
    files = laptop()
    before = activity(plant(tmp_path, files))
    files["proc/stat"] = (
        "cpu  1100 20 350 41000 50 0 6 77 8 9\nintr 5500 1\nctxt 9900\nprocesses 401\nsoftirq 650 1\n"
    )
    files["proc/pressure/cpu"] = "some avg10=9.00 avg60=0.25 avg300=0.00 total=123999\n"
    files["proc/vmstat"] = "pgmajfault 78\npswpin 5\n"
    files["proc/sys/net/core/rmem_max"] = "425984\n"
    files["sys/devices/system/cpu/cpu3/thermal_throttle/core_throttle_count"] = "8\n"
    files["sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"] = "performance\n"
    after = activity(plant(tmp_path, files))
    after["monotonic_ns"] = before["monotonic_ns"] + 12_345_000_000
    found = differences(before, after)
    assert found["duration_s"] == 12.345
    spent = {name: ms for name, ms in found["cpu_time_ms"].items() if ms}
    assert spent == {"user": 1000, "system": 500, "idle": 10_000, "steal": 70}
    assert (found["context_switches"], found["interrupts"], found["softirqs"], found["forks"]) == (900, 500, 50, 1)
    assert found["pressure_us"] == {"cpu": {"some": 543}, "io": {"some": 0, "full": 0}, "memory": None}
    assert (found["major_faults"], found["swapped_in_pages"], found["swapped_out_pages"]) == (1, 0, None)
    assert found["thermal_throttles"] == {"core": 5, "package": 0}
    assert found["settings_changed"] == {
        "sysctls.net.core.rmem_max": [212992, 425984],
        "governors": [["performance", "powersave"], ["performance"]],
    }


@pytest.mark.parametrize(
    ("after", "before", "found"),
    [
        (5, 3, 2),
        (3, 5, -2),
        ({"a": 5, "b": 1}, {"a": 3}, {"a": 2}),
        ({"a": {"b": 2}}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        (None, 3, None),
        (3, None, None),
        ({"a": 1}, None, None),
    ],
)
def test_minus(after: Any, before: Any, found: Any) -> None:
    assert minus(after, before) == found


def test_changes_name_what_came_and_what_went() -> None:
    assert changes({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 4, "e": 5}}) == {
        "a.c": [2, 4],
        "a.e": [None, 5],
        "d": [3, None],
    }
    assert changes({"a": 1}, {"a": 1}) == {}


def test_a_host_that_tells_nothing_has_every_key_all_the_same(tmp_path: Path) -> None:
    empty, full = activity(plant(tmp_path, {})), activity(Tree())
    assert list(empty) == list(full)
    assert cpu_time_ms(Tree(tmp_path)) is None
    assert differences(empty, empty)["cpu_time_ms"] is None


def test_this_host_counts_on() -> None:
    before, after = activity(), activity()
    assert json.loads(json.dumps(before)) == before
    found = differences(before, after)
    assert json.loads(json.dumps(found)) == found
    assert found["duration_s"] >= 0
    assert found["context_switches"] >= 0
    assert sum(found["cpu_time_ms"].values()) >= 0
    assert before["sysctls"]["net.core.rmem_max"] > 0
