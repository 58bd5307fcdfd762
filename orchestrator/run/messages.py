"""What servers and client are told at the start of a block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hedgerow_node.protocol.limits import CLIENT, server_name
from hedgerow_node.strategies import strategy_named
from orchestrator.scenario.models import OpenArrivals

if TYPE_CHECKING:
    from orchestrator.plan.blocks import Block
    from orchestrator.run.faults.scene import Scene
    from orchestrator.runfolder.folder import RunFolder
    from orchestrator.scenario.models import Scenario


def server_fields(scenario: Scenario, block: Block, serial: int, replica: int, scene: Scene) -> dict[str, Any]:
    """For the server `replica`: how it serves, and what its faults do to which requests."""
    service, stall, node = scenario.service, scenario.service.stall, server_name(replica)
    return {
        "block": serial,
        "strategy": block.strategy,
        "replica": replica,
        "seed": scenario.workload.seed,
        "service_time": {
            "distribution": service.service_time.distribution,
            "median_ns": service.service_time.median_ns,
            "sigma": service.service_time.sigma,
        },
        "concurrency": service.concurrency,
        "stall": None
        if stall is None
        else {
            "when": stall.when.text,
            "duration_ns": stall.duration_ns,
            "heal_on_duplicate": stall.heal_on_duplicate,
        },
        "request_id": scenario.hedging.request_id.model_dump(),
        "faults": scene.served_faults(node),
        "gc": scene.garbage(node),
    }


def client_fields(
    block: Block, serial: int, servers: list[tuple[str, int]], folder: RunFolder, scene: Scene
) -> dict[str, Any]:
    """For the client, who may use `servers`: which requests it sends when, how it hedges, where its samples go."""
    scenario = scene.scenario
    workload = scenario.workload
    return {
        "block": serial,
        "strategy": strategy_named(block.strategy).client_name,
        "servers": [list(server) for server in servers],
        "spread": workload.spread,
        "target": scenario.hedging.target,
        "requests": {"first_id": block.first_id, "count": block.count},
        "warmup": {"first_id": block.warmup_first_id, "count": block.warmup_count},
        "payload": workload.payload,
        "timeout_ns": workload.timeout_ns,
        "arrivals": _arrivals(scenario),
        "hedge_delay_ns": scenario.hedging.delay_ns,
        "request_id": scenario.hedging.request_id.model_dump(),
        "drain_ns": scenario.drain_ns,
        "samples": str(folder.raw_samples(block)),
        "lead_ns": scene.lead_ns,
        "gc": scene.garbage(CLIENT),
    }


def _arrivals(scenario: Scenario) -> dict[str, Any]:
    arrivals = scenario.workload.arrivals
    if isinstance(arrivals, OpenArrivals):
        return {
            "mode": "open",
            "process": arrivals.process,
            "rate_per_s": arrivals.rate_per_s,
            "seed": scenario.workload.seed,
            "users": arrivals.users,
        }
    return {"mode": "closed", "users": arrivals.users, "think_ns": arrivals.think_ns}
