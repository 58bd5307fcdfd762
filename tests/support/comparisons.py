"""Manifests of made-up runs, as this host would leave them and another one, for what compares runs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from orchestrator.host.observe.provenance import provenance

if TYPE_CHECKING:
    from orchestrator.runfolder.folder import RunFolder

HERE = asdict(provenance())
NOISE = {
    "duration_s": 2.0,
    "length": "in full",
    "cpus": 2,
    "wakeups": 4000,
    "lateness_us": {"p50": 60.0, "p99": 400.0, "max": 900.0},
    "late_1ms": 0.0,
    "steal_ms": 0,
}
BEFORE = {
    "monotonic_ns": 1,
    "load_average": [1.0],
    "governors": None,
    "interrupts": 1,
    "sysctls": {"net.core.rmem_max": 212992},
    "interface": {"name": "eth0"},
}
ELSEWHERE: dict[str, Any] = {
    "host": {**HERE["host"], "kernel": "6.1.0", "load_average": [9.0, 9.0, 9.0]},
    "versions": {**HERE["versions"], "numpy": "1.0"},
    "git": {"commit": "0123abc", "dirty": False},
    "delay_line": "netem",
    "noise": {**NOISE, "lateness_us": {"p50": 70.0, "p99": 1400.0, "max": 9000.0}},
    "environment": {"before": {**BEFORE, "interrupts": 999, "sysctls": {"net.core.rmem_max": 4194304}}},
    "started_at": "2026-11-26T03:00:00+00:00",
}


def described(folder: RunFolder, **changed: Any) -> RunFolder:
    """`folder` with a manifest as a run on this host leaves it, but for what is `changed`."""
    manifest = {**json.loads(folder.manifest.read_text()), **HERE, "noise": NOISE, "environment": {"before": BEFORE}}
    manifest["started_at"] = "2026-11-25T22:00:00+00:00"
    folder.manifest.write_text(json.dumps({**manifest, **changed}))
    return folder
