"""What else went on while a run measured, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hedgerow_node.protocol.hedger import InterfaceState
from orchestrator.report.page import host_activity
from orchestrator.runfolder.manifest import Environment, Manifest
from orchestrator.runfolder.observed import Activity, ActivityDifferences, InterfaceDifferences

BEFORE = Activity(monotonic_ns=1, load_average=(0.5, 0, 0), interface=InterfaceState(name="eth0"))
CHANGES = ActivityDifferences(
    duration_s=20.0,
    cpu_time_ms={
        **dict.fromkeys(("user", "nice", "system", "iowait", "irq", "softirq"), 0),
        "idle": 30_000,
        "steal": 10_000,
    },
    pressure_us={"cpu": {"some": 5_000_000, "full": 0}, "io": None, "memory": None},
    thermal_throttles={"core": 2, "package": 1},
    throttled_periods=None,
    interface=InterfaceDifferences(
        statistics=dict.fromkeys(
            ("received_dropped", "transmitted_dropped", "received_errors", "transmitted_errors"), 0
        ),
        udp={"RcvbufErrors": 7, "InCsumErrors": 0, "InErrors": 0},
    ),
)


def said(changes: ActivityDifferences) -> dict[str, str]:
    """What is said of a run on whose host that changed."""
    environment = Environment(BEFORE, replace(BEFORE, load_average=None), changes)
    return dict(host_activity(Manifest(environment=environment)))


def test_what_disturbed_is_said_and_what_is_unknown_is_left_out() -> None:
    assert said(CHANGES) == {
        "measured for": "20 s",
        "load average": "0.50 before, unknown after",
        "CPUs idle": "75% of the time",
        "CPU time taken by the hypervisor": "25.0%",
        "something waited for a CPU": "25.0% of the time (PSI)",
        "slowed down by heat": "3 times",
        "packets lost at the client's interface": "none",
        "datagrams lost in the client's namespace": "7 socket buffer full",
        "settings that changed": "none, of sysctls, CPU governors and offloads",
    }


def test_a_setting_that_changed_under_the_run_is_named_with_both_values() -> None:
    changed = said(replace(CHANGES, settings_changed={"sysctls.net.core.rmem_max": (1, 2)}))
    assert changed["settings that changed"] == "sysctls.net.core.rmem_max: 1 before, 2 after"


@pytest.mark.parametrize("environment", [Environment(), Environment(before=BEFORE)])
def test_of_a_run_that_did_not_end_nothing_is_said(environment: Environment) -> None:
    assert host_activity(Manifest(environment=environment)) == []


def test_of_hosts_that_record_little_little_is_said() -> None:
    quiet = said(replace(CHANGES, cpu_time_ms=None, pressure_us={"cpu": None}, thermal_throttles=None))
    assert "CPUs idle" not in quiet
    assert "something waited for a CPU" not in quiet
