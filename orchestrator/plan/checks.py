"""Whether a plan can be carried out: what depends on when faults come, and not only on what the scenario says.

A scenario is loaded with these checks wherever it may be run, so that `validate` and `plan` refuse what `run` does.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING

from hedgerow_node.protocol.limits import MAX_RULES
from hedgerow_node.protocol.server import MAX_SERVICE_FAULTS
from hedgerow_node.units import format_duration
from orchestrator.errors import Finding
from orchestrator.plan.blocks import Plan, make_plan
from orchestrator.plan.faults import PlannedFault, plan_faults
from orchestrator.scenario.experiment import Experiment
from orchestrator.scenario.load import load_experiment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from orchestrator.scenario.models import Scenario


def load_plan(path: Path, overrides: Sequence[str] = (), smoke: bool = False) -> tuple[Experiment, Plan]:
    """The experiment in the YAML file `path`, as `load_experiment` reads it, and its blocks.

    Raises ScenarioError with every finding, those of this module included.
    """
    experiment = load_experiment(path, overrides, smoke, plan_findings)
    return experiment, make_plan(experiment)


def plan_findings(scenario: Scenario) -> Iterator[Finding]:
    """What keeps the faults of `scenario`, which is valid by itself, from being injected as planned."""
    if not scenario.faults:
        return
    blocks = [
        plan_faults(scenario, block).planned
        for block in make_plan(Experiment.of(scenario)).of(scenario.strategies[0])
    ]
    yield from _room_for_rules(blocks)
    yield from _room_for_hits(blocks)
    yield from _netem_options(blocks[0])


def _room_for_rules(blocks: Sequence[Sequence[PlannedFault]]) -> Iterator[Finding]:
    def rules(planned: PlannedFault) -> int:
        return len(planned.fault.directions) if planned.carrier == "hedger" and planned.affected_ids else 0

    needed, most = _most(blocks, rules)
    if needed > MAX_RULES:
        yield Finding(
            ("faults", most),
            f"faults of the network need {needed} rules in a block, there is room for {MAX_RULES}",
            "let them come more rarely, choose fewer servers, or use more blocks",
        )


def _room_for_hits(blocks: Sequence[Sequence[PlannedFault]]) -> Iterator[Finding]:
    nodes = sorted({planned.node for block in blocks for planned in block if planned.carrier == "server"})
    for node in nodes:
        own = [[each for each in block if (each.carrier, each.node) == ("server", node)] for block in blocks]
        needed, most = _most(own, lambda planned: bool(planned.affected_ids))
        if needed > MAX_SERVICE_FAULTS:
            yield Finding(
                ("faults", most),
                f"{node} has {needed} faults of its service in a block, {MAX_SERVICE_FAULTS} can be counted",
                "let them come more rarely, or use more blocks",
            )


def _most(blocks: Sequence[Sequence[PlannedFault]], needs: Callable[[PlannedFault], int]) -> tuple[int, int]:
    """What the faults need of the block in which they need most, and which fault of the scenario needs most of it."""
    counts = [Counter[int]() for _ in blocks]
    for count, block in zip(counts, blocks, strict=True):
        for planned in block:
            count[planned.occurrence.fault] += needs(planned)
    largest = max(counts, key=Counter.total)
    return largest.total(), max(largest, key=largest.__getitem__, default=0)


def _netem_options(block: Sequence[PlannedFault]) -> Iterator[Finding]:
    """Two faults that set the same option of one netem: times are drawn from the seed, the same in every block."""
    found: set[tuple[int, int]] = set()
    by_netem = [planned for planned in block if planned.carrier == "netem"]
    for one, other in combinations(by_netem, 2):
        first, second = sorted((one, other), key=lambda planned: planned.occurrence.fault)
        pair = (first.occurrence.fault, second.occurrence.fault)
        shared = first.fault.netem_options & second.fault.netem_options
        if one.node != other.node or not shared or pair in found or not one.overlaps(other):
            continue
        found.add(pair)
        at = format_duration(max(one.at_ns, other.at_ns))
        yield Finding(
            ("faults", pair[1]),
            f"sets netem's {min(shared)} for {one.node} at {at}, while faults[{pair[0]}] does",
            "move one of them, or use model: ebpf",
        )
