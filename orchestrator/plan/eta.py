"""How long a run will take, estimated from its scenario, so that a two-hour run is not started by accident.

Service times, stalls, hedges, thinking and draining are computed. The cost of a request's round trip, of a change of
block and of setting a topology up are as measured on a small virtual machine.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hedgerow_node.protocol.limits import LEAD_NS
from hedgerow_node.strategies import strategy_named
from hedgerow_node.units import NS_PER_MS, NS_PER_S, NS_PER_US
from orchestrator.scenario.faults import has_times
from orchestrator.scenario.models import OpenArrivals

if TYPE_CHECKING:
    from orchestrator.plan.blocks import Block, Plan
    from orchestrator.scenario.experiment import Experiment
    from orchestrator.scenario.models import Scenario

REQUEST_OVERHEAD_NS = 500 * NS_PER_US  #: client and server in Python, two context switches each way
BLOCK_OVERHEAD_NS = 40 * NS_PER_MS  #: a fresh client worker, the server's and the hedger's change of block
RUN_OVERHEAD_NS = 4 * NS_PER_S  #: topology up and down, tables, statistics, plots


def run_eta_ns(experiment: Experiment, plan: Plan) -> int:
    """Expected duration of a whole run, ns."""
    return RUN_OVERHEAD_NS + sum(block_etas_ns(experiment, plan))


def block_etas_ns(experiment: Experiment, plan: Plan) -> list[int]:
    """Expected duration of each block of `plan`, ns, in its order; draining and change of block included."""
    scenarios = {arm.name: arm.scenario for arm in experiment.arms}
    stalled = {(block.arm, block.number): stalled_requests(scenarios[block.arm], block) for block in plan}
    return [_block_ns(scenarios[block.arm], block, stalled[block.arm, block.number]) for block in plan]


def stalled_requests(scenario: Scenario, block: Block) -> int:
    """How many of the block's measured requests the server stalls."""
    if scenario.service.stall is None:
        return 0
    condition = scenario.service.stall.when
    return sum(condition.evaluate(request_id) for request_id in range(block.first_id, block.first_id + block.count))


def _block_ns(scenario: Scenario, block: Block, stalled: int) -> int:
    arrivals, service = scenario.workload.arrivals, scenario.service
    median_ns, sigma = service.service_time.median_ns, service.service_time.sigma
    service_ns = round(median_ns * math.exp(sigma**2 / 2))
    requests = block.count + block.warmup_count
    if isinstance(arrivals, OpenArrivals):
        lead_ns = LEAD_NS if any(has_times(fault) for fault in scenario.faults) else 0
        return arrivals.nominal_ns(requests) + lead_ns + scenario.drain_ns + BLOCK_OVERHEAD_NS
    busy_ns = requests * (service_ns + arrivals.think_ns + REQUEST_OVERHEAD_NS)
    busy_ns += stalled * _stall_ns(scenario, block.strategy)
    users_ns = busy_ns // min(arrivals.users, max(1, requests))
    workers_ns = requests * service_ns // service.concurrency if service.concurrency else 0
    return max(users_ns, workers_ns) + scenario.drain_ns + BLOCK_OVERHEAD_NS


def _stall_ns(scenario: Scenario, strategy: str) -> int:
    """What a stall adds to a request's latency."""
    stall = scenario.service.stall
    if stall is None:
        return 0
    waited_ns = min(stall.duration_ns, scenario.workload.timeout_ns)
    rescued = strategy_named(strategy).hedges and stall.heal_on_duplicate
    return min(scenario.hedging.delay_ns, waited_ns) if rescued else waited_ns


def format_rough_duration(duration_ns: int) -> str:
    """`duration_ns` as people say it: "28 s", "3 min 5 s", "1 h 2 min"."""
    seconds = round(duration_ns / NS_PER_S)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"
