"""The settings that servers and client get at the start of a block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hedgerow_node.protocol.client import BlockSettings, ClosedArrivals, IdRange, OpenArrivals
from hedgerow_node.protocol.limits import server_name
from hedgerow_node.protocol.server import ServiceSettings, ServiceTime, Stall
from hedgerow_node.strategies import strategy_named
from hedgerow_node.wire import IdPlace, RequestIdPlaces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.plan.blocks import Block
    from orchestrator.run.faults.session import FaultSession
    from orchestrator.runfolder.folder import RunFolder
    from orchestrator.scenario.models import RequestId, Scenario


def server_settings(
    scenario: Scenario, block: Block, serial: int, replica: int, faults: FaultSession
) -> ServiceSettings:
    """For the server `replica`: how it serves, and what its faults do to which requests."""
    service, stall, node = scenario.service, scenario.service.stall, server_name(replica)
    time = service.service_time
    return ServiceSettings(
        request_id=_places(scenario.hedging.request_id),
        service_time=ServiceTime(time.distribution, time.median_ns, time.sigma),
        seed=scenario.workload.seed,
        replica=replica,
        concurrency=service.concurrency,
        stall=None if stall is None else Stall(stall.when.text, stall.duration_ns, stall.heal_on_duplicate),
        faults=faults.service_faults(node),
        gc=faults.object_graph(node),
        block=serial,
        strategy=block.strategy,
    )


def client_settings(
    scenario: Scenario,
    block: Block,
    serial: int,
    servers: Sequence[tuple[str, int]],
    folder: RunFolder,
    faults: FaultSession,
) -> BlockSettings:
    """For the client, who may use `servers`: which requests it sends when, how it hedges, where its samples go."""
    workload = scenario.workload
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
        lead_ns=faults.lead_ns,
        patience_ns=scenario.patience_ns,
        gc=faults.client_gc(),
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
