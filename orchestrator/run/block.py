"""One block: every node is told what comes, the client works through it, faults strike, all hand in their records."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from hedgerow_node.control import ControlError
from hedgerow_node.protocol.limits import CLIENT, HEDGER, server_name
from hedgerow_node.strategies import BARE, strategy_named
from hedgerow_node.units import NS_PER_S
from orchestrator.errors import RunError
from orchestrator.run.faults.acts import Act, Proof, acts_of
from orchestrator.run.faults.registry import handler
from orchestrator.run.faults.scene import Scene, carefully
from orchestrator.run.messages import client_settings, server_fields
from orchestrator.runfolder.journal import NotUndone
from orchestrator.scenario.models import OpenArrivals

if TYPE_CHECKING:
    from orchestrator.plan.blocks import Block
    from orchestrator.runfolder.folder import RunFolder
    from orchestrator.runfolder.journal import Journal
    from orchestrator.scenario.models import Scenario
    from orchestrator.topology.base import Topology

_CHECK_NS = NS_PER_S // 2
#: A block that takes this much longer than even its worst case is stuck.
_SPARE_NS = 30 * NS_PER_S


@dataclass(frozen=True)
class Attempt:
    """One attempt at a block of the plan: `serial` tells it from all others of the run, `number` counts from 1."""

    block: Block
    scenario: Scenario
    serial: int
    number: int = 1

    @property
    def name(self) -> str:
        """For messages."""
        arm = "" if self.block.arm is None else f"{self.block.arm}, "
        return f"block {self.block.order} ({arm}{self.block.strategy})"


@dataclass
class BlockReport:
    """What a block gave, beside its records: client's and servers' words, the kernel's counters, its faults.

    `start_ns` is the first measured send on CLOCK_MONOTONIC; `too_late` are faults that would have come when the
    block had no requests any more.
    """

    client: dict[str, Any]
    servers: list[dict[str, Any]]
    start_ns: int
    counters: dict[str, int] = field(default_factory=dict)
    acts: list[tuple[Act, Proof]] = field(default_factory=list)
    too_late: list[Act] = field(default_factory=list)

    @property
    def unproven(self) -> list[tuple[Act, Proof]]:
        """The faults of which nobody can say that they happened."""
        return [(act, proof) for act, proof in self.acts if not proof.proven]

    def text(self) -> str:
        """In a few words."""
        hedges = self.counters.get("hedges_sent", 0)
        faults = f", {len(self.acts)} fault{'s' * (len(self.acts) != 1)}" if self.acts else ""
        return f"{self.client['rows']} requests, {hedges} hedges{faults}"


class BlockRun:
    """One attempt, on a topology that is up and a hedger that is configured for it."""

    def __init__(self, attempt: Attempt, topology: Topology, folder: RunFolder, journal: Journal) -> None:
        self._attempt, self._topology, self._folder, self._journal = attempt, topology, folder, journal
        self._scenario, self._block = attempt.scenario, attempt.block
        self._servers = [server_name(replica) for replica in range(self._scenario.topology.replicas)]
        self._scene = Scene(self._scenario, self._block, topology, folder)
        self._acts, self._too_late = acts_of(self._scenario, self._block)
        self._scene.acts = self._acts
        for act in self._acts:
            handler(act.fault).apply(act, self._scene)

    def run(self) -> BlockReport:
        """Runs it; raw records lie in the folder afterwards, and no fault is in force any more, however it ends.

        Raises RunError where a program refuses, fails or ends, or where a fault cannot be undone.
        """
        try:
            try:
                before = self._start()
                client = self._wait()
            except BaseException:
                # What failed before is what is told; the topology's going takes back what is still on.
                for problem in self._undo():
                    self._journal.note(NotUndone(self._attempt.serial, problem))
                raise
            problems = self._undo()
            if problems:
                raise RunError(f"{self._attempt.name}: {'; '.join(problems)}", "see the run's log.txt")
            return self._finish(client, before)
        except ControlError as error:
            self._topology.check()
            raise RunError(f"{self._attempt.name}: {error}", "see the run's log.txt") from error

    def _start(self) -> dict[str, int]:
        """Tells everybody; the kernel's counters before."""
        hedger, attempt = self._topology.control(HEDGER), self._attempt
        for replica, server in enumerate(self._servers):
            fields = server_fields(self._scenario, self._block, attempt.serial, replica, self._scene)
            self._topology.control(server).call("start-block", **fields)
        mode = ("hedge", "flow") if strategy_named(self._block.strategy).hedges_in == "kernel" else ("tap", "block")
        hedger.call("mode", mode=mode[0], identity=mode[1], block=attempt.serial)
        before: dict[str, int] = hedger.call("stats")["counters"]
        if self._block.strategy == BARE.name:
            hedger.call("detach")
        self._scene.prepare()
        addresses = self._topology.servers()[: len(self._servers)]
        settings = client_settings(self._block, attempt.serial, addresses, self._folder, self._scene)
        self._topology.control(CLIENT).call("start-block", **settings.to_json())
        return before

    def _wait(self) -> dict[str, Any]:
        """The client's report; what falls due meanwhile is done, and an eye is kept on the other programs."""
        client, scene = self._topology.control(CLIENT), self._scene
        deadline_ns = time.monotonic_ns() + self._worst_case_ns() + _SPARE_NS
        while time.monotonic_ns() < deadline_ns:
            scene.act()
            now_ns, due_ns = time.monotonic_ns(), scene.next_due_ns()
            wait_ns = _CHECK_NS if due_ns is None else max(0, min(_CHECK_NS, due_ns - now_ns))
            try:
                event = client.wait_event(("measuring", "block-done", "block-failed"), wait_ns / NS_PER_S)
            except ControlError:  # no event yet, or the client is gone
                self._topology.check()
                continue
            if event["event"] == "block-failed":
                raise RunError(f"{self._attempt.name}: the client: {event['error']}")
            if event["event"] == "block-done":
                scene.finished_ns = time.monotonic_ns()
                return event
            scene.begin(event["start_ns"])
        raise RunError(f"{self._attempt.name} does not end", "see the run's log.txt")

    def _undo(self) -> list[str]:
        """Takes back every fault, the orchestrator's own first: frozen nodes do not answer. What went wrong."""
        self._scene.stop()
        acts = sorted(self._acts, key=lambda act: not act.is_on)
        return carefully(
            (f"{act.fault.fault} of {act.node} cannot be undone", partial(handler(act.fault).undo, act, self._scene))
            for act in acts
        )

    def _finish(self, client: dict[str, Any], before: dict[str, int]) -> BlockReport:
        """Records are handed in, proofs are looked at."""
        hedger = self._topology.control(HEDGER)
        if self._block.strategy == BARE.name:
            hedger.call("attach")
        for replica, server in enumerate(self._servers):
            log = str(self._folder.raw_copies(self._block, replica))
            self._scene.served[server] = self._topology.control(server).call("end-block", log=log)
        collected = hedger.call("collect", hedges=str(self._folder.raw_hedges(self._block)))
        counters = {
            name: value - before[name] for name, value in collected["counters"].items() if value != before[name]
        }
        self._scene.collections = client.get("collections") or []
        return BlockReport(
            client=client,
            servers=[self._scene.served[server] for server in self._servers],
            start_ns=self._scene.start_ns,
            counters=counters,
            acts=[(act, handler(act.fault).proof(act, self._scene)) for act in self._acts],
            too_late=self._too_late,
        )

    def _worst_case_ns(self) -> int:
        """Every request running into its time-out, after all that faults hold up."""
        workload = self._scenario.workload
        requests = self._block.count + self._block.warmup_count
        held_ns = sum(
            (act.occurrence.until_ns or act.occurrence.offset_ns) - act.occurrence.offset_ns for act in self._acts
        )
        if isinstance(workload.arrivals, OpenArrivals):
            # Twice the mean, since the gaps of a schedule are drawn.
            busy_ns = 2 * workload.arrivals.nominal_ns(requests) + workload.timeout_ns
        else:
            think_ns, users = workload.arrivals.think_ns, workload.arrivals.users
            busy_ns = requests * (workload.timeout_ns + think_ns) // users
        return busy_ns + held_ns + self._scene.lead_ns + self._scenario.drain_ns
