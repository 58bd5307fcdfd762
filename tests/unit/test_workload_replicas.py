"""Where requests and their hedges go, by id."""

from __future__ import annotations

from collections import Counter

import pytest

from hedgerow_node.workload import hedge_replica, primary_replica


@pytest.mark.parametrize("replicas", [1, 2, 3, 16])
def test_round_robin_takes_each_replica_in_its_turn(replicas: int) -> None:
    asked = [primary_replica("round-robin", request_id, replicas) for request_id in range(3 * replicas)]
    assert asked == list(range(replicas)) * 3
    assert {primary_replica("first", request_id, replicas) for request_id in range(3 * replicas)} == {0}


@pytest.mark.parametrize("replicas", [2, 3, 16])
@pytest.mark.parametrize("asked", [0, 1])
def test_another_replica_is_never_the_one_asked_and_each_of_the_others_alike(replicas: int, asked: int) -> None:
    ids = range(5 * (replicas - 1))
    targets = Counter(hedge_replica("other", asked, request_id, replicas) for request_id in ids)
    assert targets == {replica: 5 for replica in range(replicas) if replica != asked}


@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_the_same_replica_is_the_one_asked(replicas: int) -> None:
    for asked in range(replicas):
        assert {hedge_replica("same", asked, request_id, replicas) for request_id in range(10)} == {asked}
