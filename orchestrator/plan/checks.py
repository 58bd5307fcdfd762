"""Whether a plan can be carried out: what depends on when faults come, and not only on what the scenario says.

A scenario is loaded with these checks wherever it may be run, so that `validate` and `plan` refuse what `run` does.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING

from hedgerow_node.protocol.limits import MAX_RULES, server_name
from hedgerow_node.protocol.server import MAX_SERVICE_FAULTS
from hedgerow_node.units import format_duration
from orchestrator.errors import Finding
from orchestrator.plan.blocks import Plan, make_plan
from orchestrator.plan.faults import affected_ids, timeline
from orchestrator.scenario.experiment import Experiment
from orchestrator.scenario.faults import targets_of
from orchestrator.scenario.load import load_experiment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from orchestrator.plan.faults import Occurrence
    from orchestrator.scenario.faults import Fault
    from orchestrator.scenario.models import Scenario

_REMEDY = "let them come more rarely, choose fewer servers, or use more blocks"


def load_plan(path: Path, overrides: Sequence[str] = (), smoke: bool = False) -> tuple[Experiment, Plan]:
    """The experiment in the YAML file `path`, as `load_experiment` reads it, and its blocks.

    Raises ScenarioError with every finding, those of this module included.
    """
    experiment = load_experiment(path, overrides, smoke, plan_findings)
    return experiment, make_plan(experiment)


def plan_findings(scenario: Scenario) -> Iterator[Finding]:
    """What keeps the faults of `scenario`, which is valid by itself, from being injected as planned."""
    occurrences = timeline(scenario)
    yield from _room_for_rules(scenario, occurrences)
    yield from _room_for_hits(scenario, occurrences)
    yield from _netem_options(scenario, occurrences)


def _room_for_rules(scenario: Scenario, occurrences: Sequence[Occurrence]) -> Iterator[Finding]:
    def rules(fault: Fault) -> int:
        nodes = targets_of(fault, scenario.topology.replicas)
        return len(fault.directions) * sum(fault.carrier_at(node) == "hedger" for node in nodes)

    for needed, fault in _more_than(MAX_RULES, scenario, occurrences, rules):
        words = f"faults of the network need {needed} rules in a block, there is room for {MAX_RULES}"
        yield Finding(("faults", fault), words, _REMEDY)


def _room_for_hits(scenario: Scenario, occurrences: Sequence[Occurrence]) -> Iterator[Finding]:
    replicas = scenario.topology.replicas
    for node in map(server_name, range(replicas)):

        def hits(fault: Fault, node: str = node) -> int:
            return fault.carrier_at(node) == "server" and node in targets_of(fault, replicas)

        for needed, fault in _more_than(MAX_SERVICE_FAULTS, scenario, occurrences, hits):
            words = f"{node} has {needed} faults of its service in a block, {MAX_SERVICE_FAULTS} can be counted"
            yield Finding(("faults", fault), words, _REMEDY)


def _more_than(
    limit: int, scenario: Scenario, occurrences: Sequence[Occurrence], needs: Callable[[Fault], int]
) -> Iterator[tuple[int, int]]:
    """Where the occurrences of a block need more than `limit`: how much, and which fault needs most of it.

    An occurrence that affects no request needs nothing; the schedule of sends is only computed where that decides.
    """
    if sum(needs(scenario.faults[each.fault]) for each in occurrences) <= limit:
        return
    worst = Counter[int]()
    for block in make_plan(Experiment.of(scenario)).of(scenario.strategies[0]):
        counted = Counter[int]()
        for each in occurrences:
            if affected_ids(scenario, block, each):
                counted[each.fault] += needs(scenario.faults[each.fault])
        worst = max(worst, counted, key=Counter.total)
    if worst.total() > limit:
        yield worst.total(), max(worst, key=worst.__getitem__)


def _netem_options(scenario: Scenario, occurrences: Sequence[Occurrence]) -> Iterator[Finding]:
    """Two faults that set the same option of one netem: times are drawn from the seed, the same in every block."""
    replicas = scenario.topology.replicas
    by_netem = [
        (index, fault) for index, fault in enumerate(scenario.faults) if fault.carrier_at(server_name(0)) == "netem"
    ]
    for (first, one), (second, other) in combinations(by_netem, 2):
        shared = one.netem_options & other.netem_options
        nodes = set(targets_of(one, replicas)) & set(targets_of(other, replicas))
        met_ns = _meeting_ns(occurrences, first, second) if shared and nodes else None
        if met_ns is not None:
            yield Finding(
                ("faults", second),
                f"sets netem's {min(shared)} for {min(nodes)} at {format_duration(met_ns)}, "
                f"while faults[{first}] does",
                "move one of them, or use model: ebpf",
            )


def _meeting_ns(occurrences: Sequence[Occurrence], first: int, second: int) -> int | None:
    """The first time at which the two faults of these numbers are both on, None where they never meet."""
    firsts, seconds = ([each for each in occurrences if each.fault == fault] for fault in (first, second))
    meetings = (
        max(one.offset_ns, other.offset_ns) for one in firsts for other in seconds if one.span.overlaps(other.span)
    )
    return next(meetings, None)
