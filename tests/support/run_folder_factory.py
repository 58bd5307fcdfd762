"""Run folders made up from a scenario, so that tables, analysis and reports can be tested without running anything.

Times are drawn from a seeded generator around what a quiet host shows; a `ScenarioOverride` says where a strategy
departs from that.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hedgerow_node.records import (
    NO_TIME,
    Action,
    Hedge,
    Outcome,
    Sample,
    ServedCopy,
    Winner,
    write_rows,
)
from hedgerow_node.units import NS_PER_MS, NS_PER_US
from orchestrator.analysis.run_data import RunData
from orchestrator.analysis.summarise import summarise
from orchestrator.plan.blocks import Block, Plan, make_plan
from orchestrator.runfolder.folder import RunFolder
from orchestrator.runfolder.journal import Journal
from orchestrator.runfolder.run import Run
from orchestrator.runfolder.tables import write_tables
from orchestrator.scenario.experiment import Experiment
from orchestrator.scenario.load import load_experiment
from orchestrator.scenario.models import ClosedArrivals
from support.open_block_factory import OpenBlockModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.runfolder.summary import Summary
    from orchestrator.scenario.models import Scenario

ROOT = Path(__file__).parents[2]
START_NS = 1_000_000_000_000
#: Median lateness of each hedging strategy, ns.
KERNEL_LATENESS_NS = 60 * NS_PER_US
LATENESS_NS = {"app-seed": 900 * NS_PER_US, "app-deadline": 250 * NS_PER_US}
WAY_NS = 600 * NS_PER_US  #: there and back


@dataclass(frozen=True)
class ScenarioOverride:
    """What happens to some ids of one strategy: no answer, a late one, a duplicate, a stall without a hedge."""

    unanswered: frozenset[int] = frozenset()
    too_late: frozenset[int] = frozenset()
    duplicates: frozenset[int] = frozenset()
    unhedged: frozenset[int] = frozenset()
    lateness_ns: int | None = None


@dataclass
class Records:
    """The rows of one block, and the generator that they are drawn from."""

    draws: random.Random
    samples: list[Sample] = field(default_factory=list)
    copies: list[ServedCopy] = field(default_factory=list)
    hedges: list[Hedge] = field(default_factory=list)


def scenario_from(name: str, *overrides: str) -> Scenario:
    """The project's own scenario `name` with `--set` overrides."""
    return load_experiment(ROOT / "scenarios" / f"{name}.yaml", overrides).scenario


def plan_of(scenario: Scenario) -> Plan:
    """The plan of a run of `scenario` alone."""
    return make_plan(Experiment.of(scenario))


def experiment_from(folder: Path, text: str, *overrides: str, smoke: bool = False) -> Experiment:
    """The experiment that a scenario file in `folder` with the content `text` describes."""
    path = folder / "scenario-under-test.yaml"
    path.write_text(text)
    return load_experiment(path, overrides, smoke)


def raw_run(
    results: Path, subject: Scenario | Experiment, by_strategy: Mapping[str, ScenarioOverride] | None = None
) -> RunFolder:
    """A folder as a run leaves it once its last block is over: manifest, scenario, raw rows, journal.

    Overrides apply to closed arrivals only; in open ones what happens follows from the faults.
    """
    experiment = subject if isinstance(subject, Experiment) else Experiment.of(subject)
    folder = RunFolder.create(results, experiment.name)
    manifest = {"run": folder.name, "scenario": experiment.name}
    folder.manifest.write_text(json.dumps({**manifest, "backend": "netns", "engine": "clone", "delay_line": "htb"}))
    folder.scenario.write_text(experiment.dump())
    journal = Journal(folder.journal)
    for block in make_plan(experiment):
        scenario = experiment.arm(block.arm).scenario
        if scenario.is_open:
            made = OpenBlockModel(scenario, block, START_NS + block.order * 10_000 * NS_PER_MS).made
            write_rows(folder.raw_samples(block), made.samples, Sample)
            write_rows(folder.raw_hedges(block), made.hedges, Hedge)
            for replica, copies in made.copies.items():
                write_rows(folder.raw_copies(block, replica), copies, ServedCopy)
            for record in made.faults:
                journal.note(record)
            continue
        records = _block_records(scenario, block, (by_strategy or {}).get(block.strategy, ScenarioOverride()))
        write_rows(folder.raw_samples(block), records.samples, Sample)
        write_rows(folder.raw_copies(block), records.copies, ServedCopy)
        write_rows(folder.raw_hedges(block), records.hedges, Hedge)
    journal.close()
    return folder


def finished_run(
    results: Path, subject: Scenario | Experiment, by_strategy: Mapping[str, ScenarioOverride] | None = None
) -> RunFolder:
    """A folder as a finished run leaves it, tables and summary.json included."""
    folder = raw_run(results, subject, by_strategy)
    make_tables(folder, subject)
    summarised(folder).write(folder)
    return folder


def data_of(folder: RunFolder) -> RunData:
    """The run in `folder` as analysis and plots see it."""
    return RunData.of(Run(folder))


def summarised(folder: RunFolder) -> Summary:
    """What the analysis makes of the run in `folder`."""
    return summarise(data_of(folder))


def make_tables(folder: RunFolder, subject: Scenario | Experiment) -> None:
    """The tables of a raw run of `subject`."""
    experiment = subject if isinstance(subject, Experiment) else Experiment.of(subject)
    replicas = {arm.name: arm.scenario.topology.replicas for arm in experiment.arms}
    write_tables(folder, make_plan(experiment), replicas)


def _block_records(scenario: Scenario, block: Block, override: ScenarioOverride) -> Records:
    records = Records(random.Random(f"{block.strategy} {block.number}"))
    now_ns = START_NS + block.order * 10_000 * NS_PER_MS
    for warmup in range(block.warmup_count):
        served = ServedCopy(block.warmup_first_id + warmup, 1, 40_000, 0, now_ns, now_ns, now_ns, Action.SERVED)
        records.copies.append(served)
    for seq in range(block.count):
        sample = _request(scenario, block, seq, now_ns, override=override, records=records)
        records.samples.append(sample)
        ended_ns = sample.received_ns if sample.outcome == Outcome.ANSWERED else now_ns + scenario.workload.timeout_ns
        now_ns = ended_ns + _think_ns(scenario)
    return records


def _think_ns(scenario: Scenario) -> int:
    arrivals = scenario.workload.arrivals
    assert isinstance(arrivals, ClosedArrivals), "run folders are made up for closed arrivals only"
    return arrivals.think_ns


def _request(
    scenario: Scenario, block: Block, seq: int, sent_ns: int, *, override: ScenarioOverride, records: Records
) -> Sample:
    request_id = block.first_id + seq
    service_ns = scenario.service.service_time.median_ns + round(records.draws.lognormvariate(0, 0.4) * WAY_NS)
    stall = scenario.service.stall
    stalled = stall is not None and stall.when.evaluate(request_id)
    hedged = stalled and block.strategy != "baseline" and request_id not in override.unhedged
    took_ns = service_ns
    arrived_ns = sent_ns + WAY_NS // 2
    action = Action.STALLED if stalled else Action.SERVED
    records.copies.append(ServedCopy(request_id, 1, 40_000, 0, arrived_ns, arrived_ns, arrived_ns, action))
    if hedged:
        usual_ns = (
            LATENESS_NS.get(block.strategy, 60 * NS_PER_US) if override.lateness_ns is None else override.lateness_ns
        )
        late_ns = round(records.draws.lognormvariate(0, 0.3) * usual_ns)
        deadline_ns = sent_ns + scenario.hedging.delay_ns
        left_ns = deadline_ns + late_ns
        took_ns = left_ns - sent_ns + service_ns
        answer_ns = sent_ns + took_ns
        records.hedges.append(Hedge(request_id, 2, 0, Winner.UNKNOWN, sent_ns, deadline_ns, left_ns, answer_ns))
        records.copies.append(ServedCopy(request_id, 2, 40_000, 0, left_ns, left_ns, left_ns, Action.HEALED))
    elif stalled and stall is not None:
        took_ns += stall.duration_ns
    too_late = request_id in override.too_late
    if too_late or request_id in override.unanswered or took_ns > scenario.workload.timeout_ns:
        return Sample(request_id, seq, sent_ns, sent_ns, NO_TIME, NO_TIME, Outcome.TIMEOUT, int(too_late))
    received_ns = sent_ns + took_ns
    copies = 2 if request_id in override.duplicates else 1
    kernel_rx_ns = received_ns - 20 * NS_PER_US
    return Sample(request_id, seq, sent_ns, sent_ns, kernel_rx_ns, received_ns, Outcome.ANSWERED, copies)
