"""The server's decisions, without sockets: service times, queues, stalls, and what heals them."""

from __future__ import annotations

import itertools
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgerow_node.draws import standard_normal
from hedgerow_node.protocol.server import ServiceSettings, ServiceTime, Stall
from hedgerow_node.records import FIRST_WARMUP_ID, Action
from hedgerow_node.wire import IdPlace, RequestIdPlaces
from hedgerow_server.model import MEMORY_NS, CopyMemory, ServiceModel
from support.node_programs import MS

PLACES = RequestIdPlaces(IdPlace(0, 4), IdPlace(0, 4))
SOURCE, OTHER_SOURCE = ("192.0.2.1", 40_000), ("192.0.2.1", 40_001)
SERVICE_NS, STALL_NS = 2 * MS, 400 * MS


def model(when: str = "id % 100 < 2", heal: bool = True, concurrency: int | None = None) -> ServiceModel:
    stall, time = Stall(when, STALL_NS, heal), ServiceTime("constant", SERVICE_NS)
    return ServiceModel(ServiceSettings(PLACES, time, stall=stall, concurrency=concurrency))


def test_a_request_is_served_after_the_service_time() -> None:
    assert model().admit(SOURCE, 5, 1_000) == (1_000 + SERVICE_NS, 1, Action.SERVED)


def test_a_stall_comes_on_top_of_the_service_time() -> None:
    assert model().admit(SOURCE, 100, 1_000) == (1_000 + SERVICE_NS + STALL_NS, 1, Action.STALLED)


def test_a_duplicate_within_a_second_heals_the_stall() -> None:
    serving = model()
    serving.admit(SOURCE, 100, 0)
    assert serving.admit(SOURCE, 100, MEMORY_NS) == (MEMORY_NS + SERVICE_NS, 2, Action.HEALED)
    # The second counts from the copy before, whichever that was.
    assert serving.admit(SOURCE, 100, 2 * MEMORY_NS) == (2 * MEMORY_NS + SERVICE_NS, 3, Action.HEALED)
    late_ns = 3 * MEMORY_NS + 1
    assert serving.admit(SOURCE, 100, late_ns) == (late_ns + SERVICE_NS + STALL_NS, 4, Action.STALLED)


def test_a_duplicate_of_a_request_that_does_not_stall_is_just_served() -> None:
    serving = model()
    serving.admit(SOURCE, 5, 0)
    assert serving.admit(SOURCE, 5, 10) == (10 + SERVICE_NS, 2, Action.SERVED)


def test_the_same_id_from_elsewhere_is_another_request() -> None:
    serving = model()
    serving.admit(SOURCE, 100, 0)
    assert serving.admit(OTHER_SOURCE, 100, 10)[1:] == (1, Action.STALLED)


def test_without_healing_every_copy_stalls() -> None:
    serving = model(heal=False)
    assert [serving.admit(SOURCE, 100, at_ns)[1:] for at_ns in (0, 10)] == [(1, Action.STALLED), (2, Action.STALLED)]


def test_warm_up_requests_never_stall() -> None:
    serving = model(when="id >= 0")
    assert serving.admit(SOURCE, FIRST_WARMUP_ID, 0)[2] == Action.SERVED
    assert serving.admit(SOURCE, FIRST_WARMUP_ID - 1, 0)[2] == Action.STALLED


def test_a_condition_that_divides_by_zero_is_remembered_and_the_request_served() -> None:
    serving = model(when="10 % (id - 5) == 1")
    assert serving.failure is None
    assert serving.admit(SOURCE, 5, 0)[2] == Action.SERVED
    assert serving.failure is not None
    assert "division by zero for id 5" in serving.failure


def test_bounded_concurrency_serves_first_in_first_out() -> None:
    serving = model(when="id == 1", concurrency=2)
    due_ns = [serving.admit(SOURCE, request_id, request_id)[0] for request_id in range(5)]
    # Request 1 stalls and keeps its worker; the others pass through the remaining one, one after the other.
    assert due_ns == [SERVICE_NS, 1 + SERVICE_NS + STALL_NS, 2 * SERVICE_NS, 3 * SERVICE_NS, 4 * SERVICE_NS]


@given(
    gaps_ns=st.lists(st.integers(0, 5 * MS), min_size=1, max_size=60),
    workers=st.integers(1, 5),
)
def test_workers_are_never_too_many_nor_idle_while_a_request_waits(gaps_ns: list[int], workers: int) -> None:
    serving, arrived_ns, served = model(concurrency=workers), 0, []
    for request_id, gap_ns in enumerate(gaps_ns, start=2):
        arrived_ns += gap_ns
        due_ns = serving.admit(SOURCE, request_id, arrived_ns)[0]
        duration_ns = SERVICE_NS + (STALL_NS if request_id % 100 < 2 else 0)
        served.append((arrived_ns, due_ns - duration_ns, due_ns))
    for arrived_ns, start_ns, _ in served:
        busy = sum(1 for _, begun_ns, due_ns in served if begun_ns <= start_ns < due_ns)
        assert busy <= workers
        if start_ns > arrived_ns:
            assert any(due_ns == start_ns for _, _, due_ns in served), "a waiting request starts when another ends"
    starts_ns = [start_ns for _, start_ns, _ in served]
    assert starts_ns == sorted(starts_ns)


def lognormal(sigma: float = 0.3, seed: int = 42) -> ServiceModel:
    return ServiceModel(ServiceSettings(PLACES, ServiceTime("lognormal", SERVICE_NS, sigma), seed=seed))


@given(st.integers(), st.integers(0, 2**64 - 1), st.integers(1, 2**16))
def test_a_service_time_belongs_to_seed_id_and_copy(seed: int, request_id: int, copy: int) -> None:
    first, second = lognormal(seed=seed), lognormal(seed=seed)
    second.admit(SOURCE, 1, 0)  # whatever else was served makes no difference
    assert first.service_time_ns(request_id, copy) == second.service_time_ns(request_id, copy) > 0


def test_service_times_differ_by_seed_id_copy_and_replica() -> None:
    """A hedge is the first copy that another replica sees: but for the replica it would draw the primary's."""
    numbers = itertools.product((1, 2), range(50), (1, 2), (0, 1, 2))
    assert len({standard_normal(*four) for four in numbers}) == 600
    draws = [[standard_normal(7, request_id, 1, replica) for request_id in range(20_000)] for replica in (0, 1)]
    assert statistics.correlation(*draws) == pytest.approx(0, abs=0.03)


def test_draws_are_normal() -> None:
    draws = [standard_normal(7, request_id, 1) for request_id in range(20_000)]
    assert statistics.fmean(draws) == pytest.approx(0, abs=0.03)
    assert statistics.stdev(draws) == pytest.approx(1, abs=0.02)
    assert sum(draw > 1.6449 for draw in draws) / len(draws) == pytest.approx(0.05, abs=0.006)
    pairs = list(itertools.pairwise(draws))
    assert statistics.correlation([a for a, _ in pairs], [b for _, b in pairs]) == pytest.approx(0, abs=0.03)


def test_the_generator_never_changes() -> None:
    # Results of different versions are comparable only while these stay what they are.
    copies = [(0, 1), (1, 1), (2, 1), (0, 2)]
    assert [lognormal().service_time_ns(*copy) for copy in copies] == [2_070_033, 1_668_955, 1_178_453, 2_923_379]


def test_the_median_is_the_median() -> None:
    serving = lognormal()
    times_ns = [serving.service_time_ns(request_id, 1) for request_id in range(10_001)]
    assert statistics.median(times_ns) == pytest.approx(SERVICE_NS, rel=0.02)


def test_memory_is_bounded_and_forgets_the_oldest() -> None:
    memory = CopyMemory(generation_size=10)
    for request_id in range(25):
        assert memory.note(SOURCE, request_id, request_id) == (1, False)
    assert memory.note(SOURCE, 15, 100) == (2, True)
    assert memory.note(SOURCE, 0, 100) == (1, False)


def test_a_known_request_keeps_its_count_across_generations() -> None:
    memory = CopyMemory(generation_size=2)
    ordinals = []
    for request_id in range(20):
        memory.note(SOURCE, request_id, 0)
        ordinals.append(memory.note(SOURCE, 1_000, 0)[0])
    assert ordinals == list(range(1, 21))


def test_a_sigma_has_no_effect_on_a_constant_service_time() -> None:
    constant = ServiceModel(ServiceSettings(PLACES, ServiceTime("constant", SERVICE_NS, sigma=0.3)))
    assert {constant.service_time_ns(request_id, 1) for request_id in range(100)} == {SERVICE_NS}
