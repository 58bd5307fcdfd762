"""One block: every node is told what comes, the client works through it, and everybody hands in its records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hedgerow_node.control import ControlError
from hedgerow_node.units import NS_PER_S
from orchestrator.collect.folder import RunFolder
from orchestrator.errors import RunError
from orchestrator.plan.blocks import Block
from orchestrator.scenario.models import Scenario
from orchestrator.topology.base import CLIENT, HEDGER, Topology, server_name

#: The strategy of a block with nothing attached to the client's interface; for `bench`, not for scenarios.
BARE = "bare"
_CHECK_S = 0.5
#: A block that takes this much longer than even its worst case is stuck.
_SPARE_S = 30.0


@dataclass
class BlockReport:
    """What a block gave, beside its records: the client's words, the server's, and the kernel's counters."""

    client: dict[str, Any]
    server: dict[str, Any]
    counters: dict[str, int] = field(default_factory=dict)

    def text(self) -> str:
        """In a few words."""
        hedges = self.counters.get("hedges_sent", 0)
        return f"{self.client['rows']} requests, {hedges} hedges"


def _client_strategy(strategy: str) -> str:
    """The client of a kernel strategy does what the baseline's does, whichever engine is beside it, or none."""
    if in_kernel(strategy):
        return "kernel"
    return "baseline" if strategy == BARE else strategy


def in_kernel(strategy: str) -> bool:
    """Whether the kernel hedges in this strategy."""
    return strategy.startswith("kernel")


def run_block(scenario: Scenario, block: Block, topology: Topology, folder: RunFolder) -> BlockReport:
    """Runs `block` on a topology that is up; its raw records lie in `folder` afterwards.

    Raises RunError where a program refuses, fails or ends.
    """
    hedger, server, client = topology.control(HEDGER), topology.control(server_name(0)), topology.control(CLIENT)
    try:
        server.call("start-block", **_server_fields(scenario, block))
        mode = ("hedge", "flow") if in_kernel(block.strategy) else ("tap", "block")
        hedger.call("mode", mode=mode[0], identity=mode[1], block=block.order)
        before = hedger.call("stats")["counters"]
        if block.strategy == BARE:
            hedger.call("detach")
        client.call("start-block", **_client_fields(scenario, block, topology, folder))
        finished = _wait(scenario, block, topology)
        if block.strategy == BARE:
            hedger.call("attach")
        served = server.call("end-block", log=str(folder.raw_copies(block)))
        collected = hedger.call("collect", hedges=str(folder.raw_hedges(block)))
    except ControlError as error:
        topology.check()
        raise RunError(f"block {block.order} ({block.strategy}): {error}", "see the run's log.txt") from error
    counters = {name: value - before[name] for name, value in collected["counters"].items() if value != before[name]}
    return BlockReport(finished, served, counters)


def _wait(scenario: Scenario, block: Block, topology: Topology) -> dict[str, Any]:
    """The client's report, while an eye is kept on the other programs."""
    client = topology.control(CLIENT)
    left_s = _worst_case_ns(scenario, block) / NS_PER_S + _SPARE_S
    while left_s > 0:
        try:
            event = client.wait_event(("block-done", "block-failed"), _CHECK_S)
        except ControlError:  # no event yet, or the client is gone
            topology.check()
            left_s -= _CHECK_S
            continue
        if event["event"] == "block-failed":
            raise RunError(f"block {block.order} ({block.strategy}): the client: {event['error']}")
        return event
    raise RunError(f"block {block.order} ({block.strategy}) does not end", "see the run's log.txt")


def _worst_case_ns(scenario: Scenario, block: Block) -> int:
    """Every request running into its time-out."""
    arrivals, workload = scenario.workload.arrivals, scenario.workload
    requests = block.count + block.warmup_count
    return requests * (workload.timeout_ns + arrivals.think_ns) // arrivals.users + scenario.drain_ns


def _places(scenario: Scenario) -> dict[str, dict[str, int]]:
    return scenario.hedging.request_id.model_dump()


def _server_fields(scenario: Scenario, block: Block) -> dict[str, Any]:
    service, stall = scenario.service, scenario.service.stall
    return {
        "block": block.order,
        "strategy": block.strategy,
        "replica": 0,
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
            "when": stall.when,
            "duration_ns": stall.duration_ns,
            "heal_on_duplicate": stall.heal_on_duplicate,
        },
        "request_id": _places(scenario),
    }


def _client_fields(scenario: Scenario, block: Block, topology: Topology, folder: RunFolder) -> dict[str, Any]:
    workload = scenario.workload
    return {
        "block": block.order,
        "strategy": _client_strategy(block.strategy),
        "servers": [list(server) for server in topology.servers()],
        "requests": {"first_id": block.first_id, "count": block.count},
        "warmup": {"first_id": block.warmup_first_id, "count": block.warmup_count},
        "payload": workload.payload,
        "timeout_ns": workload.timeout_ns,
        "arrivals": {"mode": "closed", "users": workload.arrivals.users, "think_ns": workload.arrivals.think_ns},
        "hedge_delay_ns": scenario.hedging.delay_ns,
        "request_id": _places(scenario),
        "drain_ns": scenario.drain_ns,
        "samples": str(folder.raw_samples(block)),
    }
