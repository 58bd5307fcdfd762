"""A run's blocks, one after the other: the hedger set for each arm, faults proven, what is not proven run again.

A block in which a fault was not proven to happen is discarded, since it cannot be said what it measured, and so is
one whose requests were lost without a fault: this is reported and recorded, and the block is run again, twice at
most.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from hedgerow_node.control import ControlError
from hedgerow_node.protocol.hedger import HedgerStatus
from hedgerow_node.protocol.limits import HEDGER
from hedgerow_node.records import LAYOUTS, Hedge
from hedgerow_node.units import NS_PER_MS
from orchestrator.errors import RunError
from orchestrator.run.block import Attempt, BlockReport, BlockRun
from orchestrator.run.silence import REMEDY
from orchestrator.runfolder.journal import (
    AttemptRecord,
    BlockBegun,
    BlockDiscarded,
    ClockSet,
    FaultRecord,
    FaultTooLate,
)
from orchestrator.runfolder.manifest import BlockEntry, DelayLineStatistics, DiscardedEntry
from orchestrator.scenario.capacity import check_capacity
from orchestrator.scenario.engines import engine_for, engines_of
from orchestrator.topology.programs import hedger_assignment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hedgerow_node.control import Answer
    from hedgerow_node.protocol.hedger import Assignment
    from orchestrator.plan.blocks import Block, Plan
    from orchestrator.run.faults.outcome import FaultResult
    from orchestrator.run.progress import Watcher
    from orchestrator.runfolder.folder import RunFolder
    from orchestrator.runfolder.journal import Journal
    from orchestrator.runfolder.manifest import ManifestFile
    from orchestrator.scenario.experiment import Arm, Experiment
    from orchestrator.topology.base import Topology

MAX_ATTEMPTS = 3


class Series:
    """The blocks of `plan` on a topology that is up; manifest, journal and watcher learn how each went."""

    def __init__(
        self,
        experiment: Experiment,
        topology: Topology,
        folder: RunFolder,
        manifest: ManifestFile,
        journal: Journal,
        watcher: Watcher,
    ) -> None:
        self._experiment, self._topology, self._folder = experiment, topology, folder
        self._manifest, self._journal, self._watcher = manifest, journal, watcher
        self._serials = itertools.count()
        self._assignment: Assignment | None = None
        self._status = HedgerStatus()
        self._known: set[tuple[str | None, HedgerStatus]] = set()
        self._statistics: list[DelayLineStatistics] = []

    def run(self, plan: Plan, run_id: str) -> None:
        """Runs them all. Raises RunError where a program fails or a fault cannot be proven."""
        self._try_engines(plan, run_id)
        for block in plan:
            arm = self._experiment.arm(block.arm)
            self._set_hedger(arm, block.strategy, run_id)
            if (arm.name, self._status) not in self._known:
                self._note_engine(arm)
            self._run_until_proven(block, arm)
        self._delay_line_used()
        self._manifest.write(replace(self._manifest.content, delay_line_statistics=tuple(self._statistics)))

    def _try_engines(self, plan: Plan, run_id: str) -> None:
        """Sets the hedger once to each engine and delay line of the plan, so that none is missed halfway."""
        firsts: dict[tuple[str, str], Block] = {}
        for block in plan:
            scenario = self._experiment.arm(block.arm).scenario
            engine = engine_for(scenario, block.strategy)
            if engine is not None:
                firsts.setdefault((engine, scenario.hedging.delay_line), block)
        if len(firsts) > 1:
            for block in reversed(firsts.values()):
                arm = self._experiment.arm(block.arm)
                self._set_hedger(arm, block.strategy, run_id)
                self._check_capacity(arm)

    def _set_hedger(self, arm: Arm, strategy: str, run_id: str) -> None:
        """Only where the settings for the block differ from those in force."""
        assignment = self._assignment_for(arm, strategy, run_id)
        if assignment != self._assignment:
            if self._assignment is not None:
                self._delay_line_used()
            self._status = HedgerStatus.from_json(self._ask_hedger("configure", **assignment.to_json()))
            self._assignment = assignment
            before = self._read_delay_line()
            self._statistics.append(DelayLineStatistics(arm.name, self._status.engine, before=before))

    def _assignment_for(self, arm: Arm, strategy: str, run_id: str) -> Assignment:
        """Where the kernel only watches, whichever of the arm's engines stands will do."""
        scenario, standing = arm.scenario, self._assignment
        servers, engines = self._topology.servers()[: scenario.topology.replicas], engines_of(scenario)
        engine = engine_for(scenario, strategy)
        if engine is None:
            engine = standing.engine if standing is not None and standing.engine in engines else engines[0]
        return hedger_assignment(scenario, engine, servers, run_id)

    def _note_engine(self, arm: Arm) -> None:
        engine, delay_line = self._status.engine or "", self._status.delay_line or ""
        self._check_capacity(arm)
        if self._status not in {status for _, status in self._known}:
            self._watcher.say(f"engine {engine}, delay line {delay_line}")
        self._known.add((arm.name, self._status))
        self._manifest.write(self._manifest.content.with_engine(arm.name, engine, delay_line))

    def _check_capacity(self, arm: Arm) -> None:
        check_capacity(arm.scenario, self._status.engine or "", self._status.delay_line or "")

    def _delay_line_used(self) -> None:
        self._statistics[-1] = replace(self._statistics[-1], after=self._read_delay_line())

    def _read_delay_line(self) -> str:
        statistics: str = self._ask_hedger("delay-line")["statistics"]
        return statistics

    def _ask_hedger(self, do: str, **fields: object) -> Answer:
        try:
            return self._topology.control(HEDGER).call(do, **fields)
        except ControlError as error:
            self._topology.check()
            raise RunError(f"hedger: {error}", "orchestrator doctor says what is missing") from error

    def _run_until_proven(self, block: Block, arm: Arm) -> None:
        for number in range(1, MAX_ATTEMPTS + 1):
            attempt = Attempt(block, arm.scenario, next(self._serials), number)
            self._watcher.begin(block)
            self._journal.note(BlockBegun(**vars(_record_of(attempt)), attempt=number))
            report = BlockRun(attempt, self._topology, self._folder, self._journal).run()
            self._note_faults(attempt, report)
            self._note_clock(attempt, report)
            if not (report.lost or report.unproven):
                self._manifest.keep(self._manifest.content.with_block(self._entry(attempt, report), report.counters))
                self._watcher.end(report.text())
                return
            self._discard(attempt, report)
        if report.lost:
            raise RunError(f"{attempt.name}: {report.lost}, in {MAX_ATTEMPTS} attempts", REMEDY)
        result = report.unproven[0]
        raise RunError(
            f"{attempt.name}: {_unproven(result)}, in {MAX_ATTEMPTS} attempts; {result.proof.outcome.evidence}",
            "docs/scenarios.md says what proves each fault; see journal.jsonl for every attempt",
        )

    def _note_faults(self, attempt: Attempt, report: BlockReport) -> None:
        for planned, proof in report.faults:
            span = planned.span_from(report.start_ns)
            self._journal.note(
                FaultRecord(
                    **vars(_record_of(attempt)),
                    key=planned.key,
                    fault=planned.fault.fault,
                    target=planned.node,
                    planned_ns=span.from_ns,
                    applied_ns=proof.outcome.applied_ns,
                    planned_until_ns=span.until_ns,
                    undone_ns=proof.outcome.undone_ns,
                    start_ns=report.start_ns,
                    proven=proof.proven,
                    proof=proof.as_record(),
                )
            )
        for planned in report.too_late:
            self._journal.note(
                FaultTooLate(
                    **vars(_record_of(attempt)),
                    key=planned.key,
                    fault=planned.fault.fault,
                    target=planned.node,
                )
            )

    def _entry(self, attempt: Attempt, report: BlockReport) -> BlockEntry:
        hedges = self._folder.raw_hedges(attempt.block)
        return BlockEntry(
            **vars(_record_of(attempt)),
            attempt=attempt.number,
            start_ns=report.start_ns,
            client={key: value for key, value in report.client.items() if key not in ("event", "strategy", "block")},
            servers=tuple(report.servers),
            hedges=hedges.stat().st_size // LAYOUTS[Hedge].size if hedges.exists() else None,
            clock_set_ns=report.clock_set_ns,
            engine=self._status.engine,
            delay_line=self._status.delay_line,
            **({} if report.host is None else vars(report.host)),
        )

    def _note_clock(self, attempt: Attempt, report: BlockReport) -> None:
        if report.clock_set_ns is not None:
            self._journal.note(ClockSet(**vars(_record_of(attempt)), by_ns=report.clock_set_ns))
            self._watcher.say(
                f"{attempt.name}: the clock was set by {report.clock_set_ns / NS_PER_MS:.1f} ms meanwhile: "
                "its samples have no kernel_rx_ns"
            )

    def _discard(self, attempt: Attempt, report: BlockReport) -> None:
        reasons = [*([report.lost] if report.lost else []), *(_unproven(result) for result in report.unproven)]
        self._journal.note(
            BlockDiscarded(**vars(_record_of(attempt)), attempt=attempt.number, reasons=tuple(reasons))
        )
        entry = DiscardedEntry(**vars(_record_of(attempt)), attempt=attempt.number, reasons=tuple(reasons))
        discarded = (*self._manifest.content.discarded, entry)
        self._manifest.write(replace(self._manifest.content, discarded=discarded))
        self._folder.set_aside(attempt.block, attempt.serial)
        self._watcher.say(f"{attempt.name}: attempt {attempt.number} of {MAX_ATTEMPTS} discarded: {_few(reasons)}")


def _record_of(attempt: Attempt) -> AttemptRecord:
    """What every record of an attempt says of it."""
    block = attempt.block
    return AttemptRecord(
        serial=attempt.serial, order=block.order, arm=block.arm, strategy=block.strategy, block=block.number
    )


def _unproven(result: FaultResult) -> str:
    planned = result.planned
    return f"{planned.fault.fault} of {planned.node} ({planned.key}) is not proven: {result.proof.finding}"


def _few(reasons: Sequence[str]) -> str:
    more = f"; and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return f"{reasons[0]}{more}"
