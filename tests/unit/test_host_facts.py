"""What a host tells about itself: read from trees of files like other machines', and from this one."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from orchestrator.host.observe.activity import throttled_periods
from orchestrator.host.observe.facts import host_facts, hypervisor
from orchestrator.host.observe.provenance import git_state, provenance
from orchestrator.runfolder.observed import GitState
from support.fake_host import guest, laptop, plant

if TYPE_CHECKING:
    from pathlib import Path


def test_a_laptop(tmp_path: Path) -> None:
    host = asdict(host_facts(plant(tmp_path, laptop())))
    expected = {
        "system": "Debian GNU/Linux 13 (trixie)",
        "cpu": "Intel(R) Core(TM) i5-7200U CPU @ 2.50GHz",
        "microcode": "0xf6",
        "sockets": 1,
        "cores": 2,
        "smt": True,
        "numa_nodes": 1,
        "isolated_cpus": "2-3",
        "governor": "powersave",
        "frequency_driver": "intel_pstate",
        "frequency_limits_mhz": (400.0, 3100.0),
        "turbo": True,
        "idle": {"driver": "intel_idle", "governor": "menu", "exit_latency_us": 10},
        "mitigations": {"l1tf": "Mitigation: PTE Inversion; VMX: vulnerable", "meltdown": "Vulnerable"},
        "kernel_version": "#1 SMP PREEMPT_DYNAMIC Debian 6.12.38-1 (2025-07-16)",
        "preemption": "voluntary",
        "scheduler": {"base_slice_ns": 3_000_000},
        "transparent_hugepages": "madvise",
        "clocksource": "tsc",
        "clocksources": ("tsc", "hpet", "acpi_pm"),
        "hypervisor": False,
        "virtualisation": {"vendor": "LENOVO", "product": "20HN", "type": None, "container_marks": ()},
        "cgroup": {"version": 2, "cpu_quota_percent": 150.0},
    }
    assert {name: host[name] for name in expected} == expected


def test_only_boot_flags_that_timing_depends_on_are_kept(tmp_path: Path) -> None:
    assert host_facts(plant(tmp_path, laptop())).kernel_flags == (
        "isolcpus=2,3",
        "nohz_full=2,3",
        "mitigations=off",
        "intel_idle.max_cstate=1",
        "rcu-nocbs=2,3",
    )


def test_a_container_in_a_virtual_machine(tmp_path: Path) -> None:
    tree = plant(tmp_path, guest())
    host = asdict(host_facts(tree))
    expected = {
        "cpu": "AMD EPYC",
        "governor": None,
        "frequency_limits_mhz": None,
        "turbo": False,
        "smt": False,
        "isolated_cpus": "none",
        "mitigations": None,
        "hypervisor": True,
        "cgroup": {"version": 1, "cpu_quota_percent": 50.0},
    }
    assert {name: host[name] for name in expected} == expected
    assert host["virtualisation"]["container_marks"] == ("/.dockerenv", "cgroup: docker", "environment: podman")
    assert throttled_periods(tree) == 3


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, None),
        ({"proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd\n"}, None),
        ({"proc/cpuinfo": "flags\t\t: fpu hypervisors\n"}, False),
        ({"proc/cpuinfo": "Features\t: fp\n", "proc/device-tree/hypervisor/compatible": "linux,kvm"}, True),
        ({"sys/hypervisor/type": "xen\n", "proc/cpuinfo": "flags\t\t: fpu\n"}, True),
    ],
)
def test_a_hypervisor_is_only_denied_by_a_processor_that_would_know(
    tmp_path: Path, files: dict[str, str], found: bool | None
) -> None:
    assert hypervisor(plant(tmp_path, files)) is found


def test_what_a_host_does_not_tell_is_none(tmp_path: Path) -> None:
    empty = asdict(host_facts(plant(tmp_path, {})))
    absent = {name for name, value in empty.items() if value is None}
    assert {"cpu", "governor", "turbo", "clocksource", "mitigations", "kernel_flags", "hypervisor"} <= absent
    assert empty["cgroup"] == {"version": None, "cpu_quota_percent": None}


def test_the_provenance_of_this_host_has_the_keys_of_the_manifest() -> None:
    found = asdict(provenance())
    assert list(json.loads(json.dumps(found))) == ["host", "versions", "git", "command"]
    assert {"kernel", "machine", "system", "cpu", "cpus", "memory_mib", "governor"} <= set(found["host"])
    assert {"clocksource", "hypervisor", "load_average"} <= set(found["host"])
    assert found["host"]["cpus_allowed"] >= 1
    assert found["host"]["kernel_version"]


def git(checkout: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "-C", str(checkout), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one committed file, source.py."""
    git(tmp_path, "init", "--quiet")
    (tmp_path / "source.py").write_text("")
    git(tmp_path, "add", "source.py")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    return tmp_path


def test_a_checkout_tells_its_commit_and_whether_it_was_changed(checkout: Path) -> None:
    source = checkout / "source.py"
    clean = git_state(source)
    assert clean.commit is not None
    assert (len(clean.commit), clean.dirty) == (40, False)
    source.write_text("# changed")
    assert git_state(source) == GitState(clean.commit, dirty=True)


def test_a_repository_around_an_installed_wheel_is_not_its_own(checkout: Path) -> None:
    installed = checkout / ".venv" / "site-packages" / "orchestrator"
    installed.mkdir(parents=True)
    (installed / "source.py").write_text("")
    assert git_state(installed / "source.py") == GitState(None, None)


def test_outside_of_any_repository_there_is_no_commit(tmp_path: Path) -> None:
    (tmp_path / "source.py").write_text("")
    assert git_state(tmp_path / "source.py") == GitState(None, None)
