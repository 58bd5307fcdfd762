"""Under which conditions the bench has measured: the host, and everything that was fixed."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from hedgerow_node.units import NS_PER_MS
from orchestrator.bench import dns_load, lateness, stalls
from orchestrator.bench.hedgers import DELAY_NS
from orchestrator.host.observe.provenance import provenance

if TYPE_CHECKING:
    from orchestrator.bench.extent import Extent


def conditions(extent: Extent) -> dict[str, object]:
    """For the results as JSON."""
    made_by = provenance()
    return {
        **asdict(extent),
        "delay_ms": DELAY_NS / NS_PER_MS,
        "dnsperf": {"sockets": dns_load.SOCKETS, "outstanding": dns_load.OUTSTANDING},
        "lateness_requests_per_s": lateness.RATE,
        "stalls_requests_per_s": stalls.RATE,
        "host": asdict(made_by.host),
        "versions": made_by.versions,
        "git": asdict(made_by.git),
    }
