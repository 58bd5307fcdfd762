"""Which declared faults explain that no answer comes, by servers, times, conditions and chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hedgerow_node.protocol.server import ServerReport
from hedgerow_node.records import NO_TIME, Outcome, Sample
from hedgerow_node.units import NS_PER_S
from orchestrator.plan.faults import plan_faults
from orchestrator.run.silence import Silence, asked_servers, finding, unreached
from support.experiments import OPEN, experiment_of, faulty
from support.fake_topology import first_block

if TYPE_CHECKING:
    from orchestrator.scenario.experiment import Experiment

START_NS = 10**12
ALL = ("server-0", "server-1", "server-2")


def silence(from_s: float = 4.0, to_s: float = 6.0, requests: int = 200, first_id: int = 400) -> Silence:
    """Seconds count from the first measured send; requests are sent one each 10 ms."""
    since_ns, until_ns = (START_NS + round(second * NS_PER_S) for second in (from_s, to_s))
    return Silence(since_ns, until_ns, requests, first_id, first_id + requests - 1)


def with_faults(*faults: str, spread: str = "first") -> Experiment:
    """Blocks of twenty seconds."""
    overrides = ("workload.requests=20000", f"workload.spread={spread}")
    return faulty(*faults, overrides=overrides) if faults else experiment_of(OPEN, *overrides)


def explained(silent: Silence, *faults: str, asked: tuple[str, ...] = ("server-0",)) -> bool:
    experiment = with_faults(*faults)
    planned = plan_faults(experiment.scenario, first_block(experiment)).planned
    return silent.is_explained(planned, START_NS, asked, recent_ns=2 * NS_PER_S)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("{fault: partition, target: server-0, at: 3s, duration: 4s}", True),
        ("{fault: kill, target: server-0, at: 3s}", True),
        ("{fault: freeze, target: client, at: 3s, duration: 4s}", True),
        ("{fault: pause, target: server-0, at: 3s, duration: 1s}", True),  # shows afterwards
        ("{fault: pause, target: server-0, at: 1s, duration: 100ms}", False),  # long over
        ("{fault: pause, target: server-0, at: 8s, duration: 1s}", False),  # not yet
        ("{fault: gc, target: server-0, at: 1s, objects: 1000}", True),  # may take its time
        ("{fault: partition, target: server-1, at: 3s, duration: 4s}", False),  # another server
        ("{fault: drop-requests, target: server-0}", True),
        ("{fault: drop-requests, target: server-0, when: id % 2 == 0}", False),
        ("{fault: drop-requests, target: server-0, when: id >= 400}", True),
        ("{fault: loss, target: server-0, percent: 5%}", False),
        ("{fault: loss, target: server-0, percent: 100%}", True),
        ("{fault: corrupt, target: server-0, percent: 99%, direction: requests}", True),
        ("{fault: duplicate, target: server-0, percent: 100%}", False),
    ],
)
def test_a_fault_explains_it_while_it_is_on_and_if_it_could(fault: str, expected: bool) -> None:
    assert explained(silence(), fault) is expected


def test_without_faults_nothing_does() -> None:
    assert not explained(silence())


def test_every_server_that_is_asked_must_be_concerned() -> None:
    one, all_of_them = (
        "{fault: freeze, target: server-1, at: 3s, duration: 4s}",
        "{fault: partition, target: servers}",
    )
    assert not explained(silence(), one, asked=ALL)
    assert explained(silence(), all_of_them, asked=ALL)
    each = [f"{{fault: freeze, target: {server}, at: 3s, duration: 4s}}" for server in ALL]
    assert explained(silence(), *each, asked=ALL)
    assert not explained(silence(), *each[:2], asked=ALL)


def test_a_few_requests_may_be_lost_by_chance_many_not() -> None:
    loss = "{fault: loss, target: servers, percent: 20%, direction: requests}"
    assert explained(silence(requests=4), loss)
    assert not explained(silence(requests=40), loss)


def test_a_silence_that_outlasts_the_fault_it_began_with_is_explained_no_more() -> None:
    partition = "{fault: partition, target: server-0, at: 3s, duration: 1s}"
    assert explained(silence(3, 5.9), partition)
    assert not explained(silence(3, 8.5), partition)


def test_a_block_in_which_nothing_was_answered_is_silent_as_a_whole() -> None:
    def sample(id_: int, copies: int) -> Sample:
        return Sample(id_, id_, START_NS, START_NS + id_, NO_TIME, NO_TIME, Outcome.TIMEOUT, copies)

    lost = [sample(id_, 0) for id_ in range(3)]
    assert Silence.of_block(lost) == Silence(START_NS, START_NS + 2, 3, 0, 2)
    assert Silence.of_block([*lost, sample(3, 1)]) is None, "late answers are answers"
    assert Silence.of_block([]) is None


def test_the_servers_that_are_asked_follow_from_the_spread() -> None:
    assert asked_servers(with_faults().scenario, range(7, 100)) == ("server-0",)
    spread = with_faults(spread="round-robin").scenario
    assert asked_servers(spread, range(7, 100)) == ALL
    assert asked_servers(spread, range(7, 8)) == ("server-1",)


@pytest.mark.parametrize(
    ("faults", "rows", "missed"),
    [
        ((), (5, 5, 5), None),
        ((), (5, 0, 5), "server-1"),
        ((), (0, 5, 0), "server-0 or server-2"),
        (("{fault: kill, target: server-1}",), (5, 0, 5), None),
        (("{fault: kill, target: server-1}",), (0, 0, 5), "server-0"),
        (("{fault: loss, target: servers, percent: 2%}",), (5, 0, 5), "server-1"),
        (("{fault: freeze, target: client, duration: 1s}",), (5, 0, 5), None),
    ],
)
def test_a_server_that_got_nothing_is_named(
    faults: tuple[str, ...], rows: tuple[int, ...], missed: str | None
) -> None:
    experiment = with_faults(*faults, spread="round-robin")
    block = first_block(experiment)
    reports = {server: ServerReport(rows=count, in_flight=0) for server, count in zip(ALL, rows, strict=True)}
    planned = plan_faults(experiment.scenario, block).planned
    expected = None if missed is None else f"no request reached {missed}, and no declared fault explains it"
    assert unreached(experiment.scenario, block, reports, planned) == expected


def test_what_was_found_says_which_way_is_closed() -> None:
    assert finding(silence(requests=6), True, {"server-0": 0}) == (
        "no answer to any of 6 warm-up requests in 2.0 s, and no declared fault explains it: requests do not reach "
        "the servers (server-0 received 0 in this block)"
    )
    assert "servers were reached (server-0 received 0, server-1 received 9" in finding(
        silence(), False, {"server-0": 0, "server-1": 9}
    )


def test_patience_is_longer_than_any_answer_takes() -> None:
    assert experiment_of(OPEN, "workload.timeout=100ms").scenario.patience_ns == NS_PER_S
    held = faulty("{fault: delay, target: server-0, delay: 7s}").scenario
    assert held.patience_ns >= 7 * NS_PER_S
    slow = experiment_of(OPEN, "service.service_time={distribution: lognormal, median: 2s, sigma: 1}").scenario
    assert slow.patience_ns >= 14 * NS_PER_S
