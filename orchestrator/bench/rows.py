"""The results that parts have: one dataclass a condition or engine."""

from __future__ import annotations

from orchestrator.bench.dns import Throughput
from orchestrator.bench.hooks import HookCosts
from orchestrator.bench.lateness import Lateness
from orchestrator.bench.stalls import Stalls

Row = HookCosts | Throughput | Lateness | Stalls
