"""Hosts of files only: the parts of /proc and /sys that other machines show, written down for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.host.observe.facts import Tree

if TYPE_CHECKING:
    from pathlib import Path

_CPU = "sys/devices/system/cpu"


def plant(root: Path, files: dict[str, str]) -> Tree:
    """The tree of `files`, contents by path."""
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    return Tree(root)


def laptop() -> dict[str, str]:
    """Two cores of two threads each, scaled by intel_pstate; control groups of version 2."""
    files = {
        "etc/os-release": 'NAME="Debian GNU/Linux"\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\n',
        "proc/cmdline": "BOOT_IMAGE=/vmlinuz root=UUID=12-34 ro quiet isolcpus=2,3 nohz_full=2,3 mitigations=off "
        "intel_idle.max_cstate=1 token=secret rcu-nocbs=2,3\n",
        "proc/sys/kernel/version": "#1 SMP PREEMPT_DYNAMIC Debian 6.12.38-1 (2025-07-16)\n",
        "proc/cpuinfo": "".join(
            f"processor\t: {cpu}\nmodel name\t: Intel(R) Core(TM) i5-7200U CPU @ 2.50GHz\nmicrocode\t: 0xf6\n"
            f"cpu MHz\t\t: {700 + cpu}.5\nflags\t\t: fpu vme sse2 ht constant_tsc\n\n"
            for cpu in range(4)
        ),
        "proc/stat": "cpu  1000 20 300 40000 50 0 6 70 8 9\ncpu0 1000 20 300 40000 50 0 6 70 8 9\n"
        "intr 5000 1 2 3\nctxt 9000\nbtime 1700000000\nprocesses 400\nprocs_running 3\nprocs_blocked 0\n"
        "softirq 600 1 2 3\n",
        "proc/loadavg": "0.25 0.50 0.75 3/250 4242\n",
        "proc/meminfo": "MemTotal:       16307064 kB\nMemAvailable:   10485760 kB\nSwapFree:        2097152 kB\n",
        "proc/vmstat": "nr_free_pages 1000\npgmajfault 77\npswpin 5\npswpout 6\n",
        "proc/pressure/cpu": "some avg10=1.50 avg60=0.25 avg300=0.00 total=123456\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
        "proc/pressure/io": "some avg10=0.00 avg60=0.00 avg300=0.00 total=10\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=9\n",
        "proc/self/cgroup": "0::/user.slice/session-2.scope\n",
        "proc/1/cgroup": "0::/init.scope\n",
        "proc/sys/net/core/rmem_max": "212992\n",
        "proc/sys/net/core/default_qdisc": "fq_codel\n",
        "proc/sys/net/ipv4/udp_mem": "190000\t253000\t380000\n",
        "proc/sys/kernel/sched_rt_runtime_us": "950000\n",
        "sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n",
        "sys/fs/cgroup/user.slice/cpu.max": "150000 100000\n",
        "sys/fs/cgroup/user.slice/cpu.stat": "usage_usec 5\nnr_periods 9\nnr_throttled 4\nthrottled_usec 7\n",
        "sys/fs/cgroup/user.slice/session-2.scope/cpu.max": "max 100000\n",
        "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
        "sys/devices/system/clocksource/clocksource0/available_clocksource": "tsc hpet acpi_pm \n",
        "sys/devices/system/node/node0/cpulist": "0-3\n",
        "sys/class/dmi/id/sys_vendor": "LENOVO\n",
        "sys/class/dmi/id/product_name": "20HN\n",
        "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
        "sys/kernel/debug/sched/preempt": "none (voluntary) full lazy\n",
        "sys/kernel/debug/sched/base_slice_ns": "3000000\n",
        f"{_CPU}/isolated": "2-3\n",
        f"{_CPU}/smt/active": "1\n",
        f"{_CPU}/intel_pstate/no_turbo": "0\n",
        f"{_CPU}/cpuidle/current_driver": "intel_idle\n",
        f"{_CPU}/cpuidle/current_governor_ro": "menu\n",
        f"{_CPU}/vulnerabilities/meltdown": "Vulnerable\n",
        f"{_CPU}/vulnerabilities/l1tf": "Mitigation: PTE Inversion; VMX: vulnerable\n",
        f"{_CPU}/cpufreq/policy0/x": "",
    }
    for state, latency in enumerate((0, 2, 10, 890)):
        files[f"{_CPU}/cpu0/cpuidle/state{state}/latency"] = f"{latency}\n"
        files[f"{_CPU}/cpu0/cpuidle/state{state}/disable"] = "1\n" if latency > 100 else "0\n"
    for cpu in range(4):
        files |= {
            f"{_CPU}/cpu{cpu}/topology/physical_package_id": "0\n",
            f"{_CPU}/cpu{cpu}/topology/core_id": f"{cpu % 2}\n",
            f"{_CPU}/cpu{cpu}/cpufreq/scaling_governor": "performance\n" if cpu else "powersave\n",
            f"{_CPU}/cpu{cpu}/cpufreq/scaling_driver": "intel_pstate\n",
            f"{_CPU}/cpu{cpu}/cpufreq/scaling_min_freq": "400000\n",
            f"{_CPU}/cpu{cpu}/cpufreq/scaling_max_freq": "3100000\n",
            f"{_CPU}/cpu{cpu}/cpufreq/scaling_cur_freq": f"{(cpu + 1) * 500_000}\n",
            f"{_CPU}/cpu{cpu}/thermal_throttle/core_throttle_count": f"{cpu}\n",
            f"{_CPU}/cpu{cpu}/thermal_throttle/package_throttle_count": "10\n",
        }
    return files


def guest() -> dict[str, str]:
    """A virtual machine, or a container in one: control groups of version 1, a quota, nothing of frequencies."""
    return {
        "proc/cpuinfo": "processor\t: 0\nmodel name\t: AMD EPYC\ncpu MHz\t\t: 2445.428\nflags\t\t: fpu hypervisor\n",
        "proc/stat": "cpu  100 0 0 700 0 0 0 200 0 0\nctxt 5\n",
        "proc/self/cgroup": "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/\n",
        "proc/1/cgroup": "5:memory:/docker/abc\n",
        "proc/1/environ": "PATH=/bin\0container=podman\0TERM=xterm\0",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.stat": "nr_periods 4\nnr_throttled 3\nthrottled_time 1\n",
        ".dockerenv": "",
        f"{_CPU}/isolated": "\n",
        f"{_CPU}/cpufreq/boost": "0\n",
        f"{_CPU}/smt/active": "0\n",
    }
