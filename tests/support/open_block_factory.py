"""The records of a block with open arrivals, replicas and paused nodes: a small model of what really happens there.

Whoever is paused does nothing until the pause is over: a server answers then, a client sends and reads then, and a
hedger that is part of the client hedges then. The kernel is never paused.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hedgerow_node.records import NO_TIME, Action, Hedge, Outcome, Sample, ServedCopy, Winner
from hedgerow_node.units import NS_PER_MS, NS_PER_US
from hedgerow_node.workload import hedge_replica, primary_replica, send_offsets_ns
from orchestrator.plan.faults import timeline
from orchestrator.runfolder.journal import FaultRecord
from orchestrator.scenario.faults import targets_of
from orchestrator.scenario.models import OpenArrivals

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.plan.blocks import Block
    from orchestrator.scenario.models import Scenario

WAY_NS = 200 * NS_PER_US  #: one way
#: How much later than asked for the supervisor applies and undoes a fault.
TARDY_NS = 30 * NS_PER_US
#: Median lateness of a hedger that is not paused, ns; the kernel's if not named.
LATENESS_NS = {"app-seed": 900 * NS_PER_US, "app-deadline": 250 * NS_PER_US, "app-asyncio": 600 * NS_PER_US}

Spans = list[tuple[int, int]]


@dataclass
class OpenBlock:
    """The rows of one block (of server copies, by replica) and the journal's records of its faults."""

    samples: list[Sample] = field(default_factory=list)
    hedges: list[Hedge] = field(default_factory=list)
    copies: dict[int, list[ServedCopy]] = field(default_factory=dict)
    faults: list[FaultRecord] = field(default_factory=list)


class OpenBlockModel:
    """Makes up what one block of `scenario` leaves, its first measured send at `start_ns`."""

    def __init__(self, scenario: Scenario, block: Block, start_ns: int) -> None:
        self._scenario, self._block, self._start_ns = scenario, block, start_ns
        self._draws = random.Random(f"{block.arm} {block.strategy} {block.number}")
        self._paused: dict[str, Spans] = {}
        self.made = OpenBlock(copies={replica: [] for replica in range(scenario.topology.replicas)})
        self.made.faults = list(self._faults())
        self._requests()

    def _faults(self) -> Iterator[FaultRecord]:
        block, start_ns = self._block, self._start_ns
        for occurrence in timeline(self._scenario):
            fault = self._scenario.faults[occurrence.fault]
            for target in targets_of(fault, self._scenario.topology.replicas):
                planned_ns = start_ns + occurrence.offset_ns
                until_ns = None if occurrence.until_ns is None else start_ns + occurrence.until_ns
                # what is over at once by plan takes 80 ms
                undone_ns = 80 * NS_PER_MS + planned_ns if until_ns == planned_ns else until_ns
                if fault.fault in ("pause", "gc") and undone_ns is not None:
                    self._paused.setdefault(target, []).append((planned_ns, undone_ns + TARDY_NS))
                yield FaultRecord(
                    serial=block.order + 1,
                    order=block.order,
                    arm=block.arm,
                    strategy=block.strategy,
                    block=block.number,
                    key=occurrence.key,
                    fault=fault.fault,
                    target=target,
                    planned_ns=planned_ns,
                    applied_ns=planned_ns + TARDY_NS,
                    planned_until_ns=until_ns,
                    undone_ns=None if undone_ns is None else undone_ns + TARDY_NS,
                    start_ns=start_ns,
                    proven=True,
                    proof={"made": "up"},
                )

    def _requests(self) -> None:
        arrivals, block = self._scenario.workload.arrivals, self._block
        assert isinstance(arrivals, OpenArrivals)
        seed = self._scenario.workload.seed
        offsets = send_offsets_ns(arrivals.process, arrivals.rate_per_s, seed, block.first_id, block.count)
        for seq, offset_ns in enumerate(offsets):
            self._request(block.first_id + seq, seq, self._start_ns + offset_ns)

    def _request(self, request_id: int, seq: int, intended_ns: int) -> None:
        workload, hedging = self._scenario.workload, self._scenario.hedging
        replicas = self._scenario.topology.replicas
        asked = primary_replica(workload.spread, request_id, replicas)
        sent_ns = self._awake("client", intended_ns + round(self._draws.expovariate(1 / (20 * NS_PER_US))))
        answers = [self._answered(request_id, 1, asked, sent_ns)]
        deadline_ns = sent_ns + hedging.delay_ns
        if self._block.strategy != "baseline" and answers[0] > deadline_ns:
            strategy = self._block.strategy
            late_ns = self._draws.lognormvariate(0, 0.3) * LATENESS_NS.get(strategy, 60 * NS_PER_US)
            left_ns = deadline_ns + round(late_ns)
            if strategy.startswith("app"):
                left_ns = self._awake("client", left_ns)
            other = hedge_replica(hedging.target, asked, request_id, replicas)
            answers.append(self._answered(request_id, 2, other, left_ns))
            winner = Winner.HEDGE if answers[1] < answers[0] else Winner.PRIMARY
            row = Hedge(request_id, 2, other, winner, sent_ns, deadline_ns, left_ns, min(answers))
            self.made.hedges.append(row)
        arrived_ns = min(answers)
        read_ns = self._awake("client", arrived_ns + 15 * NS_PER_US)
        if arrived_ns > intended_ns + workload.timeout_ns:
            self.made.samples.append(
                Sample(request_id, seq, intended_ns, sent_ns, NO_TIME, NO_TIME, Outcome.TIMEOUT, 0)
            )
            return
        self.made.samples.append(
            Sample(request_id, seq, intended_ns, sent_ns, arrived_ns, read_ns, Outcome.ANSWERED, 1)
        )

    def _answered(self, request_id: int, copy: int, replica: int, left_ns: int) -> int:
        """When the answer to a copy that left at `left_ns` is back at the client."""
        service = self._scenario.service
        came_ns = left_ns + WAY_NS
        jitter = self._draws.lognormvariate(0, 0.3 + service.service_time.sigma)
        done_ns = self._awake(f"server-{replica}", came_ns) + round(service.service_time.median_ns * jitter)
        action = Action.SERVED
        if service.stall is not None and service.stall.when.evaluate(request_id):
            action = Action.STALLED if copy == 1 else Action.HEALED
            done_ns += service.stall.duration_ns if copy == 1 else 0
        row = ServedCopy(request_id, copy, 40_000, replica, came_ns, done_ns, done_ns, action)
        self.made.copies[replica].append(row)
        return done_ns + WAY_NS

    def _awake(self, node: str, moment_ns: int) -> int:
        """`moment_ns`, or the end of the pause that `node` is in then."""
        return _after(self._paused.get(node, []), moment_ns)


def _after(spans: Sequence[tuple[int, int]], moment_ns: int) -> int:
    return next((end_ns for start_ns, end_ns in spans if start_ns <= moment_ns < end_ns), moment_ns)
