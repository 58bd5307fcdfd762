"""What servers and client are told at the start of a block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hedgerow_node.protocol.client import BlockSettings, ClosedArrivals, GcSettings, IdRange, OpenArrivals
from hedgerow_node.protocol.limits import CLIENT, server_name
from hedgerow_node.strategies import strategy_named
from hedgerow_node.wire import IdPlace, RequestIdPlaces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.plan.blocks import Block
    from orchestrator.run.faults.scene import Scene
    from orchestrator.runfolder.folder import RunFolder
    from orchestrator.scenario.models import RequestId, Scenario


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


def client_settings(
    block: Block, serial: int, servers: Sequence[tuple[str, int]], folder: RunFolder, scene: Scene
) -> BlockSettings:
    """For the client, who may use `servers`: which requests it sends when, how it hedges, where its samples go."""
    scenario = scene.scenario
    workload, garbage = scenario.workload, scene.garbage(CLIENT)
    return BlockSettings(
        strategy=strategy_named(block.strategy).client_name,
        servers=tuple(servers),
        spread=workload.spread,
        target=scenario.hedging.target,
        requests=IdRange(block.first_id, block.count),
        warmup=IdRange(block.warmup_first_id, block.warmup_count),
        payload=workload.payload,
        timeout_ns=workload.timeout_ns,
        arrivals=_arrivals(scenario),
        hedge_delay_ns=scenario.hedging.delay_ns,
        places=_places(scenario.hedging.request_id),
        drain_ns=scenario.drain_ns,
        lead_ns=scene.lead_ns,
        gc=None if garbage is None else GcSettings(garbage["objects"], tuple(garbage["offsets_ns"])),
        block=serial,
        samples=str(folder.raw_samples(block)),
    )


def _arrivals(scenario: Scenario) -> ClosedArrivals | OpenArrivals:
    workload = scenario.workload
    if workload.arrivals.mode == "open":
        process, rate_per_s = workload.arrivals.process, workload.arrivals.rate_per_s
        return OpenArrivals(process, rate_per_s, workload.seed, workload.arrivals.users)
    return ClosedArrivals(workload.arrivals.users, workload.arrivals.think_ns)


def _places(request_id: RequestId) -> RequestIdPlaces:
    request, response = request_id.request, request_id.response
    return RequestIdPlaces(IdPlace(request.offset, request.length), IdPlace(response.offset, response.length))
