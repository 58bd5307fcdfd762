"""What changes while a run measures, and what the differences say."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pytest

from hedgerow_node.protocol.hedger import InterfaceState
from orchestrator.host.observe.activity import activity, cpu_time_ms, differences
from orchestrator.host.observe.facts import Tree
from orchestrator.runfolder.observed import changes
from support.fake_host import guest, laptop, plant

if TYPE_CHECKING:
    from pathlib import Path


INTERFACE = InterfaceState(
    "eth0", {"tx-gso": True}, {"noqueue 0:": {"bytes": 5}}, {"received_bytes": 7}, {"NoPorts": 1}
)


@pytest.fixture(autouse=True)
def ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 10 ms, as they are almost everywhere."""
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_CLK_TCK": 100}[name])


def test_a_laptop(tmp_path: Path) -> None:
    found = asdict(activity(INTERFACE, plant(tmp_path, laptop())))
    assert found["load_average"] == (0.25, 0.5, 0.75)
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
    assert found["frequencies_mhz"] == (500.0, 1000.0, 1500.0, 2000.0)
    assert found["thermal_throttles"] == {"core": 6, "package": 40}
    assert found["throttled_periods"] == 4
    assert found["governors"] == ("performance", "powersave")


def test_sysctls_are_numbers_where_they_are_and_null_where_the_kernel_has_none(tmp_path: Path) -> None:
    found = activity(INTERFACE, plant(tmp_path, laptop())).sysctls
    assert found["net.core.rmem_max"] == 212992
    assert found["net.core.default_qdisc"] == "fq_codel"
    assert found["net.ipv4.udp_mem"] == "190000 253000 380000"
    assert found["kernel.sched_rt_runtime_us"] == 950000
    assert found["net.bridge.bridge-nf-call-iptables"] is None
    assert found["kernel.timer_migration"] is None


def test_frequencies_are_the_processors_own_words_where_nothing_scales_them(tmp_path: Path) -> None:
    assert activity(INTERFACE, plant(tmp_path, guest())).frequencies_mhz == (2445.428,)


def test_differences_of_two_observations(tmp_path: Path) -> None:
    files = laptop()
    before = activity(INTERFACE, plant(tmp_path, files))
    files["proc/stat"] = (
        "cpu  1100 20 350 41000 50 0 6 77 8 9\nintr 5500 1\nctxt 9900\nprocesses 401\nsoftirq 650 1\n"
    )
    files["proc/pressure/cpu"] = "some avg10=9.00 avg60=0.25 avg300=0.00 total=123999\n"
    files["proc/vmstat"] = "pgmajfault 78\npswpin 5\n"
    files["proc/sys/net/core/rmem_max"] = "425984\n"
    files["sys/devices/system/cpu/cpu3/thermal_throttle/core_throttle_count"] = "8\n"
    files["sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"] = "performance\n"
    later = activity(INTERFACE, plant(tmp_path, files))
    after = replace(later, monotonic_ns=before.monotonic_ns + 12_345_000_000)
    found = differences(before, after)
    assert found.duration_s == 12.345
    assert found.cpu_time_ms is not None
    spent = {name: ms for name, ms in found.cpu_time_ms.items() if ms}
    assert spent == {"user": 1000, "system": 500, "idle": 10_000, "steal": 70}
    assert (found.context_switches, found.interrupts, found.softirqs, found.forks) == (900, 500, 50, 1)
    assert found.pressure_us == {"cpu": {"some": 543}, "io": {"some": 0, "full": 0}, "memory": None}
    assert (found.major_faults, found.swapped_in_pages, found.swapped_out_pages) == (1, 0, None)
    assert found.thermal_throttles == {"core": 5, "package": 0}
    assert found.settings_changed == {
        "sysctls.net.core.rmem_max": (212992, 425984),
        "governors": (("performance", "powersave"), ("performance",)),
    }


def test_differences_of_the_interface(tmp_path: Path) -> None:
    before = activity(INTERFACE, plant(tmp_path, laptop()))
    clsact = {"bytes": 40, "packets": 2}
    later = InterfaceState(
        "eth0",
        {"tx-gso": False},
        {"noqueue 0:": {"bytes": 8, "drops": 1}, "clsact ffff:": clsact},
        {"received_bytes": 10, "transmitted_bytes": 3},
        {"NoPorts": 1},
    )
    found = differences(before, replace(before, interface=later))
    assert found.interface.qdiscs == {"noqueue 0:": {"bytes": 3}, "clsact ffff:": clsact}
    assert found.interface.statistics == {"received_bytes": 3}
    assert found.interface.udp == {"NoPorts": 0}
    assert found.settings_changed == {"interface.offloads.tx-gso": (True, False)}


@pytest.mark.parametrize("missing", ["before", "after"])
def test_qdiscs_that_are_missing_once_have_no_differences(tmp_path: Path, missing: str) -> None:
    ends = dict.fromkeys(("before", "after"), activity(INTERFACE, plant(tmp_path, laptop())))
    ends[missing] = replace(ends[missing], interface=replace(INTERFACE, qdiscs=None))
    assert differences(ends["before"], ends["after"]).interface.qdiscs is None


def test_changes_name_what_came_and_what_went() -> None:
    assert changes({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 4, "e": 5}}) == {
        "a.c": (2, 4),
        "a.e": (None, 5),
        "d": (3, None),
    }
    assert changes({"a": 1}, {"a": 1}) == {}


def test_what_a_host_does_not_tell_is_none_and_so_are_its_differences(tmp_path: Path) -> None:
    empty = activity(INTERFACE, plant(tmp_path, {}))
    assert cpu_time_ms(Tree(tmp_path)) is None
    found = differences(empty, empty)
    assert (found.cpu_time_ms, found.context_switches, found.thermal_throttles) == (None, None, None)
    assert found.pressure_us == {"cpu": None, "io": None, "memory": None}


def test_this_host_counts_on() -> None:
    before, after = activity(INTERFACE), activity(INTERFACE)
    found = differences(before, after)
    json.dumps([asdict(before), asdict(found)])
    assert found.duration_s >= 0
    assert found.context_switches is not None
    assert found.context_switches >= 0
    assert found.cpu_time_ms is not None
    assert sum(found.cpu_time_ms.values()) >= 0
    buffer = before.sysctls["net.core.rmem_max"]
    assert isinstance(buffer, int)
    assert buffer > 0
