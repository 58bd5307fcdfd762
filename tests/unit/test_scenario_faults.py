"""The kinds of faults: what each may say, what it means when left out, and what it affects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import pytest

from hedgerow_node.units import NS_PER_MS, NS_PER_S
from orchestrator.errors import ScenarioError
from orchestrator.scenario.faults import CpuFault, Fault, Gc, ProcessFault, ServiceFault, has_times, targets_of
from orchestrator.scenario.network_faults import Loss, NetworkFault, Partition, RateLimit
from support.experiments import experiment_of, faulty

if TYPE_CHECKING:
    from orchestrator.scenario.models import Scenario

EVERY_KIND = [
    "{fault: pause, target: client, duration: 10ms}",
    "{fault: freeze, target: server-0, duration: 10ms, at: 100ms, every: 200ms, jitter: 5ms}",
    "{fault: kill, target: server-2}",
    "{fault: restart, target: servers, at: 1ms}",
    "{fault: gc, target: client, every: 200ms, objects: 1000}",
    "{fault: cpu-stress, target: everything, per_core: 2}",
    "{fault: cpu-quota, target: client, percent: 25}",
    "{fault: slow, target: server-0, factor: 2.5}",
    '{fault: stall, target: server-0, when: "id % 3 == 0", delay: 40ms}',
    "{fault: drop-requests, target: server-0}",
    "{fault: loss, target: servers, percent: 2%}",
    "{fault: duplicate, target: servers, percent: 2, direction: responses}",
    "{fault: corrupt, target: server-1, percent: 0.5}",
    "{fault: delay, target: server-1, delay: 5ms, direction: both}",
    "{fault: partition, target: server-1, at: 1ms, duration: 20ms}",
    "{fault: reorder, target: servers, percent: 10, delay: 5ms}",
    "{fault: rate, target: servers, rate: 2.5mbit}",
]
KINDS = [kind for family in (ProcessFault, CpuFault, ServiceFault, NetworkFault) for kind in get_args(family)]


def only(fault: str) -> Any:
    """The one fault of a scenario that has just this one."""
    return faulty(fault).scenario.faults[0]


def test_the_examples_here_are_of_every_kind() -> None:
    assert [type(only(text)) for text in EVERY_KIND] == KINDS


@pytest.mark.parametrize("text", EVERY_KIND)
def test_a_fault_says_the_same_when_written_out_and_read_again(text: str) -> None:
    experiment = faulty(text)
    document: Any = experiment.document
    (written,) = document["faults"]
    assert list(written)[:2] == ["fault", "target"]
    assert experiment_of(experiment.dump()) == experiment


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_the_same_attributes_for_its_times(kind: type[Fault]) -> None:
    for name in ("at_ns", "every_ns", "jitter_ns"):
        assert name in kind.model_fields
    assert hasattr(kind, "duration_ns") or "duration_ns" in kind.model_fields


def test_times_are_integer_nanoseconds() -> None:
    freeze = only(EVERY_KIND[1])
    times = (freeze.at_ns, freeze.duration_ns, freeze.every_ns, freeze.jitter_ns)
    assert times == (100 * NS_PER_MS, 10 * NS_PER_MS, 200 * NS_PER_MS, 5 * NS_PER_MS)
    assert all(type(time) is int for time in times)
    loss = only("{fault: loss, target: servers, percent: 1}")
    assert (loss.at_ns, loss.duration_ns, loss.every_ns, loss.jitter_ns) == (0, None, None, 0)
    assert only("{fault: restart, target: servers}").duration_ns is None


def test_loss_and_partition_go_both_ways_and_the_others_affect_requests() -> None:
    directions = {text: only(text).direction for text in EVERY_KIND if hasattr(only(text), "direction")}
    assert {text.split()[1]: direction for text, direction in directions.items()} == {
        "loss,": "both",
        "duplicate,": "responses",
        "corrupt,": "requests",
        "delay,": "both",
        "partition,": "both",
        "reorder,": "requests",
        "rate,": "requests",
    }
    assert only("{fault: delay, target: server-1, delay: 5ms}").direction == "requests"


def test_netem_acts_on_requests() -> None:
    loss, partition = (
        only("{fault: loss, target: servers, percent: 2, model: netem}"),
        only("{fault: partition, target: servers, model: netem}"),
    )
    assert isinstance(loss, Loss)
    assert isinstance(partition, Partition)
    assert (loss.direction, partition.direction) == ("requests", "requests")
    with pytest.raises(ScenarioError, match=r"netem cannot act on both; write direction: requests, or model: ebpf"):
        faulty("{fault: loss, target: servers, percent: 2, model: netem, direction: both}")


def test_a_bandwidth_is_kept_in_bits_per_second() -> None:
    fault = only("{fault: rate, target: servers, rate: 2.5mbit}")
    assert isinstance(fault, RateLimit)
    assert (fault.rate_bit_per_s, fault.model) == (2_500_000, "netem")


def test_a_collection_needs_a_time_even_if_that_is_the_beginning() -> None:
    assert isinstance(only("{fault: gc, target: client, at: 0s}"), Gc)
    with pytest.raises(ScenarioError, match=r"a collection needs a time; write at: 1s, or every: 2s"):
        faulty("{fault: gc, target: client}")


@pytest.mark.parametrize(
    ("target", "nodes"),
    [
        ("client", ("client",)),
        ("server-1", ("server-1",)),
        ("servers", ("server-0", "server-1", "server-2")),
        ("everything", ("client", "server-0", "server-1", "server-2")),
    ],
)
def test_targets_are_nodes(target: str, nodes: tuple[str, ...]) -> None:
    assert targets_of(only(f"{{fault: cpu-stress, target: {target}}}"), 3) == nodes


@pytest.mark.parametrize(
    "target", ["server-01", "server-", "server--1", "Server-0", "server-100", "server-0 ", "hedger"]
)
def test_what_is_no_node_is_no_target(target: str) -> None:
    with pytest.raises(ScenarioError, match="cannot be its target; write client, servers, everything or a server"):
        faulty(f'{{fault: cpu-stress, target: "{target}"}}')


def test_faults_of_processes_always_have_a_time_and_others_where_they_say_so() -> None:
    assert has_times(only("{fault: kill, target: server-0}"))
    assert has_times(only("{fault: pause, target: server-0, duration: 10ms}"))
    assert not has_times(only("{fault: loss, target: servers, percent: 1}"))
    assert has_times(only("{fault: loss, target: servers, percent: 1, at: 1ms}"))
    assert has_times(only("{fault: loss, target: servers, percent: 1, duration: 1ms}"))


def test_a_block_is_drained_for_as_long_as_an_answer_may_be_held_back() -> None:
    def drain_ns(*faults: str) -> int:
        return faulty(*faults).scenario.drain_ns

    assert drain_ns("{fault: slow, target: servers, factor: 2}") == NS_PER_S
    assert drain_ns("{fault: stall, target: servers, when: id < 5, delay: 3s}") == 3 * NS_PER_S
    assert drain_ns("{fault: delay, target: servers, delay: 2s}") == 2 * NS_PER_S


def test_replicas_and_open_arrivals_are_there() -> None:
    scenario: Scenario = faulty("{fault: kill, target: server-2}").scenario
    assert scenario.is_open
    assert scenario.topology.replicas == 3
