"""When each strategy's client stops waiting, and what a late answer to another request does to that."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from hedgerow_client.policies import AppDeadline, AppSeed, Policy, policy_of
from hedgerow_node.control import ControlError
from hedgerow_node.protocol.client import BlockSettings, ClosedArrivals, GcSettings, IdRange, OpenArrivals
from hedgerow_node.records import FIRST_WARMUP_ID
from hedgerow_node.strategies import STRATEGIES, strategy_named
from hedgerow_node.wire import IdPlace, RequestIdPlaces
from support.node_programs import MS, PLACES

if TYPE_CHECKING:
    from collections.abc import Callable

INTENDED_NS = 5_000_000_000
SENT_NS = INTENDED_NS + 123
TIMEOUT_NS, DELAY_NS = 1_000 * MS, 10 * MS


def policy_class(name: str) -> type[Policy]:
    return type(policy_of(strategy_named(name), TIMEOUT_NS, DELAY_NS))


def test_the_kernels_client_is_the_baselines() -> None:
    assert {policy_class(name) for name in ("baseline", "kernel", "kernel-clone", "kernel-queue")} == {Policy}
    assert not Policy.hedges


def test_asyncios_policy_is_app_deadlines() -> None:
    assert policy_class("app-asyncio") is policy_class("app-deadline") is AppDeadline


def test_every_strategy_s_policy_hedges_where_the_client_does_so_itself() -> None:
    for strategy in STRATEGIES:
        itself = strategy.hedges_in == "client" and not strategy.compiled
        assert policy_class(strategy.name).hedges == itself
        assert strategy.hedges == (strategy.name != "baseline")


def test_without_hedging_only_the_requests_time_out_counts_and_from_when_it_should_have_left() -> None:
    policy = Policy(TIMEOUT_NS, DELAY_NS)
    assert policy.primary_deadline_ns(INTENDED_NS, SENT_NS) == INTENDED_NS + TIMEOUT_NS
    assert not policy.is_disturbed


def test_app_deadline_hedges_after_the_first_copy_left_and_gives_up_after_it_should_have() -> None:
    policy = AppDeadline(TIMEOUT_NS, DELAY_NS)
    assert policy.hedges
    assert policy.primary_deadline_ns(INTENDED_NS, SENT_NS) == SENT_NS + DELAY_NS
    assert policy.final_deadline_ns(INTENDED_NS, SENT_NS + DELAY_NS + 99) == INTENDED_NS + TIMEOUT_NS


def test_app_deadline_waits_no_longer_for_its_hedge_than_for_an_answer() -> None:
    late_ns = INTENDED_NS + TIMEOUT_NS - DELAY_NS + 1
    assert AppDeadline(TIMEOUT_NS, DELAY_NS).primary_deadline_ns(INTENDED_NS, late_ns) == INTENDED_NS + TIMEOUT_NS


def test_app_deadline_is_not_disturbed_by_late_answers() -> None:
    assert not AppDeadline.is_disturbed


def test_app_seed_restarts_its_time_out_at_every_late_answer() -> None:
    policy = AppSeed(TIMEOUT_NS, DELAY_NS)
    assert policy.hedges
    assert policy.is_disturbed
    assert policy.primary_deadline_ns(SENT_NS, SENT_NS) == SENT_NS + DELAY_NS
    assert policy.disturbed_deadline_ns(False, SENT_NS + 7 * MS) == SENT_NS + 17 * MS
    hedged_ns = SENT_NS + 17 * MS
    assert policy.final_deadline_ns(SENT_NS, hedged_ns) == hedged_ns + TIMEOUT_NS
    assert policy.disturbed_deadline_ns(True, hedged_ns + 3) == hedged_ns + 3 + TIMEOUT_NS


def test_app_seed_rounds_its_time_outs_up_to_whole_milliseconds() -> None:
    policy = AppSeed(2 * MS + 1, MS // 2)
    assert policy.primary_deadline_ns(SENT_NS, SENT_NS) == SENT_NS + MS
    assert policy.final_deadline_ns(SENT_NS, SENT_NS) == SENT_NS + 3 * MS


MESSAGE = {
    "block": 3,
    "strategy": "app-deadline",
    "servers": [["192.0.2.1", 9000], ["192.0.2.2", 9000]],
    "spread": "round-robin",
    "target": "other",
    "requests": {"first_id": 500, "count": 100},
    "warmup": {"first_id": FIRST_WARMUP_ID, "count": 10},
    "payload": 64,
    "timeout_ns": TIMEOUT_NS,
    "arrivals": {"mode": "closed", "users": 2, "think_ns": MS},
    "hedge_delay_ns": DELAY_NS,
    "request_id": PLACES,
    "drain_ns": 5,
    "lead_ns": 7,
    "gc": None,
    "samples": "/somewhere",
}


OPEN = {"mode": "open", "process": "poisson", "rate_per_s": 500, "seed": 42, "users": 3}


def test_settings_are_read_from_a_start_block_message() -> None:
    assert BlockSettings.from_json(MESSAGE) == BlockSettings(
        strategy="app-deadline",
        servers=(("192.0.2.1", 9000), ("192.0.2.2", 9000)),
        spread="round-robin",
        target="other",
        requests=IdRange(500, 100),
        warmup=IdRange(FIRST_WARMUP_ID, 10),
        payload=64,
        timeout_ns=TIMEOUT_NS,
        arrivals=ClosedArrivals(users=2, think_ns=MS),
        hedge_delay_ns=DELAY_NS,
        places=RequestIdPlaces(IdPlace(0, 4), IdPlace(0, 4)),
        drain_ns=5,
        lead_ns=7,
        gc=None,
        block=3,
        samples="/somewhere",
    )


def test_settings_are_sent_as_they_are_read() -> None:
    for message in (MESSAGE, MESSAGE | {"arrivals": OPEN, "gc": {"objects": 9, "offsets_ns": [0, 20]}}):
        settings = BlockSettings.from_json(message)
        assert BlockSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings
        assert {key: value for key, value in settings.to_json().items() if key in message} == message


def test_open_arrivals_and_collections_are_read_too() -> None:
    settings = BlockSettings.from_json(MESSAGE | {"arrivals": OPEN, "gc": {"objects": 9, "offsets_ns": [20, 0]}})
    assert settings.arrivals == OpenArrivals(process="poisson", rate_per_s=500.0, seed=42, users=3)
    assert settings.gc == GcSettings(objects=9, offsets_ns=(20, 0))


def two_byte_ids() -> dict[str, Any]:
    return {"request": {"offset": 0, "length": 2}, "response": {"offset": 0, "length": 4}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strategy": "app-magic"}, "field 'strategy' is 'app-magic', expected one of baseline, app-seed, "),
        (
            {"arrivals": {"mode": "other", "users": 1}},
            "field 'arrivals.mode' is 'other', expected one of closed, open",
        ),
        ({"arrivals": OPEN | {"process": "even"}}, "field 'arrivals.process' is 'even', expected one of poisson, "),
        ({"arrivals": OPEN | {"rate_per_s": 0}}, "a rate of 0 requests a second is not possible"),
        ({"arrivals": OPEN | {"users": 0}}, "field 'arrivals.users' is 0, expected at least 1"),
        ({"arrivals": OPEN, "strategy": "app-seed"}, "app-seed is the published client, which waits for each answer"),
        ({"spread": "last"}, "field 'spread' is 'last', expected one of first, round-robin"),
        ({"target": "all"}, "field 'target' is 'all', expected one of same, other"),
        ({"servers": [["192.0.2.1", 9000]]}, "hedges to another replica (target other) need at least two servers"),
        ({"lead_ns": -1}, "field 'lead_ns' is -1, expected at least 0"),
        ({"gc": {"objects": 0, "offsets_ns": []}}, "field 'gc.objects' is 0, expected at least 1"),
        ({"gc": {"objects": 1, "offsets_ns": [5, -1]}}, "field 'gc.offsets_ns.1' is -1, expected at least 0"),
        ({"servers": []}, "field 'servers' is empty"),
        ({"servers": ["192.0.2.1:9000"]}, "field 'servers.0' is '192.0.2.1:9000', expected a list of 2"),
        ({"servers": [["localhost", 9000]]}, "'localhost' is not a numeric address"),
        ({"servers": [["192.0.2.1", 0]]}, "field 'servers.0.1' is 0, expected at least 1 and at most 65535"),
        ({"timeout_ns": 0}, "field 'timeout_ns' is 0, expected at least 1"),
        ({"payload": 5}, "a payload of 5 bytes is too short for the request id"),
        ({"hedge_delay_ns": TIMEOUT_NS}, "the hedge delay must be shorter than the request's time-out"),
        ({"request_id": two_byte_ids()}, "id 2147483657 does not fit into 2 bytes"),
        ({"requests": {"first_id": 2**32, "count": 1}}, "id 4294967296 does not fit into 4 bytes"),
        ({"requests": {"first_id": 0}}, "field 'requests.count' is missing"),
    ],
)
def test_what_makes_no_block_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((ControlError, ValueError)) as caught:
        BlockSettings.from_json(MESSAGE | changes)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "change",
    [
        lambda message: message | {"strategy": "baseline", "hedge_delay_ns": TIMEOUT_NS},
        lambda message: message | {"request_id": two_byte_ids(), "warmup": {"first_id": FIRST_WARMUP_ID, "count": 0}},
        lambda message: message | {"payload": 6},
    ],
)
def test_what_is_not_used_is_no_reason_to_refuse(change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    BlockSettings.from_json(change(dict(MESSAGE)))
