"""One block: nodes are told what comes, the client works through it, faults are injected, records are handed in."""

from __future__ import annotations

import errno
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hedgerow_node.control import ControlError
from hedgerow_node.protocol.hedger import CollectedHedges, CollectHedges, HedgerStatistics, SetMode
from hedgerow_node.protocol.limits import CLIENT, HEDGER, server_name
from hedgerow_node.protocol.server import CollectionTimes, EndBlock, ServerReport
from hedgerow_node.records import NO_TIME, Sample, read_rows, write_rows
from hedgerow_node.strategies import BARE, strategy_named
from hedgerow_node.units import NS_PER_MS, NS_PER_S
from orchestrator.errors import RunError
from orchestrator.host.observe.activity import pressed
from orchestrator.run.faults.session import FaultSession
from orchestrator.run.messages import client_settings, server_settings
from orchestrator.run.silence import REMEDY, Silence, asked_servers, finding, unreached
from orchestrator.runfolder.journal import NotUndone
from orchestrator.scenario.models import OpenArrivals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hedgerow_node.protocol import JsonObject
    from orchestrator.plan.blocks import Block
    from orchestrator.plan.faults import PlannedFault
    from orchestrator.run.faults.outcome import FaultResult
    from orchestrator.runfolder.folder import RunFolder
    from orchestrator.runfolder.journal import Journal
    from orchestrator.runfolder.observed import HostPressed
    from orchestrator.scenario.models import Scenario
    from orchestrator.topology.base import Topology

_CHECK_NS = NS_PER_S // 2
#: What the kernel says of a way that it knows to be closed.
_UNREACHABLE = (errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTUNREACH)
#: A block that takes this much longer than even its worst case is stuck.
_SPARE_NS = 30 * NS_PER_S
#: CLOCK_REALTIME moved by more than this while a block lasted: somebody set it. Slewing moves both clocks alike.
_CLOCK_SET_NS = NS_PER_MS


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
    """What a block gave, beside its records: client's and servers' reports, the kernel's counters, its faults.

    `start_ns` is the first measured send on CLOCK_MONOTONIC; `too_late` are faults that would have come when the
    block had no requests any more. `lost` says why the requests measured nothing, where that is so. `clock_set_ns` is
    by how much CLOCK_REALTIME was set meanwhile, `host` what the host's other work took.
    """

    client: JsonObject
    servers: list[JsonObject]
    start_ns: int
    counters: dict[str, int] = field(default_factory=dict)
    faults: list[FaultResult] = field(default_factory=list)
    too_late: tuple[PlannedFault, ...] = ()
    lost: str | None = None
    clock_set_ns: int | None = None
    host: HostPressed | None = None

    @property
    def unproven(self) -> list[FaultResult]:
        """The faults that may not have happened as planned."""
        return [result for result in self.faults if not result.proof.proven]

    def text(self) -> str:
        """In a few words."""
        hedges = self.counters.get("hedges_sent", 0)
        faults = f", {len(self.faults)} fault{'s' * (len(self.faults) != 1)}" if self.faults else ""
        return f"{self.client['rows']} requests, {hedges} hedges{faults}"


class _SilentError(Exception):
    """The client hears nothing, and nothing explains it."""

    def __init__(self, silence: Silence, warm_up: bool) -> None:
        super().__init__(silence)
        self.silence, self.warm_up = silence, warm_up


class BlockRun:
    """One attempt, on a topology that is up and a hedger that is configured for it."""

    def __init__(self, attempt: Attempt, topology: Topology, folder: RunFolder, journal: Journal) -> None:
        self._attempt, self._topology, self._folder, self._journal = attempt, topology, folder, journal
        self._scenario, self._block = attempt.scenario, attempt.block
        self._servers = [server_name(replica) for replica in range(self._scenario.topology.replicas)]
        self._faults = FaultSession(self._scenario, self._block, topology, folder)
        self._finished_ns = 0  #: when the client was done, on CLOCK_MONOTONIC
        self._host: HostPressed | None = None

    def run(self) -> BlockReport:
        """Runs it; raw records lie in the folder afterwards, and no fault is in force any more, however it ends.

        Raises RunError where a program refuses, fails or ends, or where a fault cannot be undone.
        """
        try:
            try:
                before = self._start()
                on_host = pressed()
                client = self._wait()
                self._host = pressed().since(on_host)
            except _SilentError as silent:
                return self._give_up(silent)
            except BaseException:
                # What failed before is what is reported; the topology's going takes back what is still on.
                for problem in self._faults.give_back():
                    self._journal.note(NotUndone(self._attempt.serial, problem))
                raise
            self._give_back()
            return self._finish(client, before)
        except ControlError as error:
            self._topology.check()
            raise RunError(f"{self._attempt.name}: {error}", "see the run's log.txt") from error

    def _give_back(self) -> None:
        problems = self._faults.give_back()
        if problems:
            raise RunError(f"{self._attempt.name}: {'; '.join(problems)}", "see the run's log.txt")

    def _start(self) -> dict[str, int]:
        """Tells every node; the kernel's counters before."""
        hedger, attempt = self._topology.control(HEDGER), self._attempt
        for replica, server in enumerate(self._servers):
            served = server_settings(self._scenario, self._block, attempt.serial, replica, self._faults)
            self._topology.control(server).call("start-block", **served.to_json())
        if strategy_named(self._block.strategy).hedges_in == "kernel":
            mode = SetMode("hedge", "flow", attempt.serial)
        else:
            mode = SetMode("tap", "block", attempt.serial)
        hedger.call("mode", **mode.to_json())
        before = HedgerStatistics.from_json(hedger.call("stats")).counters
        if self._block.strategy == BARE.name:
            hedger.call("detach")
        self._faults.prepare()
        addresses = self._topology.servers()[: len(self._servers)]
        settings = client_settings(self._scenario, self._block, attempt.serial, addresses, self._folder, self._faults)
        self._topology.control(CLIENT).call("start-block", **settings.to_json())
        return before

    def _wait(self) -> JsonObject:
        """The client's report; until it comes, faults are begun and ended and the other programs are checked."""
        client, faults = self._topology.control(CLIENT), self._faults
        deadline_ns = time.monotonic_ns() + self._worst_case_ns() + _SPARE_NS
        while time.monotonic_ns() < deadline_ns:
            faults.do_what_is_due()
            now_ns, due_ns = time.monotonic_ns(), faults.next_due_ns()
            wait_ns = _CHECK_NS if due_ns is None else max(0, min(_CHECK_NS, due_ns - now_ns))
            try:
                event = client.wait_event(("measuring", "silent", "block-done", "block-failed"), wait_ns / NS_PER_S)
            except ControlError:  # no event yet, or the client is gone
                self._topology.check()
                continue
            if event.get("block", self._attempt.serial) != self._attempt.serial:
                continue  # the last word of a block that was cancelled
            if event["event"] == "silent":
                self._judge_silence(Silence.of_event(event))
                continue
            if event["event"] == "block-failed":
                unreachable = any(f"[Errno {number}]" in str(event["error"]) for number in _UNREACHABLE)
                remedy = REMEDY if unreachable else "see the run's log.txt"
                raise RunError(f"{self._attempt.name}: the client: {event['error']}", remedy)
            if event["event"] == "block-done":
                self._finished_ns = time.monotonic_ns()
                return event
            faults.begin(event["start_ns"])
        raise RunError(f"{self._attempt.name} does not end", "see the run's log.txt")

    def _judge_silence(self, silence: Silence) -> None:
        warm_up = silence.first_id >= self._block.warmup_first_id
        if warm_up or not self._is_explained(silence):
            raise _SilentError(silence, warm_up)

    def _is_explained(self, silence: Silence) -> bool:
        block, scenario = self._block, self._scenario
        asked = asked_servers(scenario, range(block.first_id, block.first_id + block.count))
        return silence.is_explained(self._faults.planned, self._faults.start_ns, asked, scenario.patience_ns)

    def _give_up(self, silent: _SilentError) -> BlockReport:
        """Ends the block at once; its records lie in the folder as those of any other."""
        self._give_back()
        self._topology.control(CLIENT).call("cancel-block")
        servers, _ = self._collect()
        received = {server: ServerReport.from_json(report).rows for server, report in servers.items()}
        lost = finding(silent.silence, silent.warm_up, received)
        return BlockReport(client={}, servers=[], start_ns=self._faults.start_ns, lost=lost)

    def _collect(self) -> tuple[dict[str, JsonObject], dict[str, int]]:
        """Servers and hedger hand their records in: the servers' reports, the kernel's counters."""
        hedger = self._topology.control(HEDGER)
        if self._block.strategy == BARE.name:
            hedger.call("attach")
        servers: dict[str, JsonObject] = {}
        for replica, server in enumerate(self._servers):
            end = EndBlock(str(self._folder.raw_copies(self._block, replica)))
            servers[server] = self._topology.control(server).call("end-block", **end.to_json())
        collect = CollectHedges(str(self._folder.raw_hedges(self._block)))
        return servers, CollectedHedges.from_json(hedger.call("collect", **collect.to_json())).counters

    def _finish(self, client: JsonObject, before: dict[str, int]) -> BlockReport:
        """Records are handed in, proofs are looked at."""
        reports, after = self._collect()
        servers = {server: ServerReport.from_json(report) for server, report in reports.items()}
        runs = client.get("collections")
        return BlockReport(
            client=client,
            servers=list(reports.values()),
            start_ns=self._faults.start_ns,
            counters={name: value - before[name] for name, value in after.items() if value != before[name]},
            faults=self._faults.prove(
                servers,
                [CollectionTimes.from_json(run) for run in runs] if isinstance(runs, list) else (),
                self._finished_ns,
            ),
            too_late=self._faults.too_late,
            lost=self._lost(client, servers),
            clock_set_ns=self._clock_set_ns(client),
            host=self._host,
        )

    def _lost(self, client: JsonObject, servers: Mapping[str, ServerReport]) -> str | None:
        """Why all requests were lost, or all to one server; None where they were not, or a fault explains it."""
        if client["rows"] and not client["answered"]:
            silence = Silence.of_block(read_rows(self._folder.raw_samples(self._block), Sample))
            if silence is not None and not self._is_explained(silence):
                return finding(silence, False, {server: report.rows for server, report in servers.items()})
        return unreached(self._scenario, self._block, servers, self._faults.planned)

    def _clock_set_ns(self, client: JsonObject) -> int | None:
        """By how much CLOCK_REALTIME was set while the block lasted, None where it was not.

        Where it was, the kernel's receive timestamps, which are that clock's, are taken out of the samples.
        """
        drift_ns = client.get("realtime_offset_drift_ns")
        if not isinstance(drift_ns, int) or abs(drift_ns) <= _CLOCK_SET_NS:
            return None
        path = self._folder.raw_samples(self._block)
        write_rows(path, [row._replace(kernel_rx_ns=NO_TIME) for row in read_rows(path, Sample)], Sample)
        return drift_ns

    def _worst_case_ns(self) -> int:
        """Every request running into its time-out, after all that faults hold up."""
        workload = self._scenario.workload
        requests = self._block.count + self._block.warmup_count
        held_ns = sum((planned.until_ns or planned.at_ns) - planned.at_ns for planned in self._faults.planned)
        if isinstance(workload.arrivals, OpenArrivals):
            # Twice the mean, since the gaps of a schedule are drawn.
            busy_ns = 2 * workload.arrivals.nominal_ns(requests) + workload.timeout_ns
        else:
            think_ns, users = workload.arrivals.think_ns, workload.arrivals.users
            busy_ns = requests * (workload.timeout_ns + think_ns) // users
        return busy_ns + held_ns + self._faults.lead_ns + self._scenario.drain_ns
