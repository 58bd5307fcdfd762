"""When each strategy's client stops waiting, and what a late answer to another request does to that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from client_block import BlockSettings, IdRange, read_settings
from hedgerow_node.control import ControlError
from hedgerow_node.fields import Fields
from hedgerow_node.records import FIRST_WARMUP_ID
from hedgerow_node.wire import IdPlace, RequestIdPlaces
from hedging_policies import POLICIES, AppDeadline, AppSeed, Policy
from node_programs import MS, PLACES

SENT_NS = 5_000_000_123
TIMEOUT_NS, DELAY_NS = 1_000 * MS, 10 * MS


def test_the_kernels_client_is_the_baselines() -> None:
    assert POLICIES["kernel"] is POLICIES["baseline"] is Policy
    assert not Policy.hedges


def test_without_hedging_only_the_requests_time_out_counts() -> None:
    policy = Policy(TIMEOUT_NS, DELAY_NS)
    assert policy.primary_deadline_ns(SENT_NS) == SENT_NS + TIMEOUT_NS
    assert policy.disturbed_deadline_ns(SENT_NS + TIMEOUT_NS, False, SENT_NS + 7) == SENT_NS + TIMEOUT_NS


def test_app_deadline_counts_both_from_the_first_copy() -> None:
    policy = AppDeadline(TIMEOUT_NS, DELAY_NS)
    assert policy.hedges
    assert policy.primary_deadline_ns(SENT_NS) == SENT_NS + DELAY_NS
    assert policy.final_deadline_ns(SENT_NS, SENT_NS + DELAY_NS + 99) == SENT_NS + TIMEOUT_NS


def test_app_deadline_is_not_disturbed_by_late_answers() -> None:
    deadline_ns = SENT_NS + DELAY_NS
    assert AppDeadline(TIMEOUT_NS, DELAY_NS).disturbed_deadline_ns(deadline_ns, False, SENT_NS + 7) == deadline_ns


def test_app_seed_starts_its_time_out_anew_at_every_late_answer() -> None:
    policy = AppSeed(TIMEOUT_NS, DELAY_NS)
    assert policy.hedges
    assert policy.primary_deadline_ns(SENT_NS) == SENT_NS + DELAY_NS
    assert policy.disturbed_deadline_ns(SENT_NS + DELAY_NS, False, SENT_NS + 7 * MS) == SENT_NS + 17 * MS
    hedged_ns = SENT_NS + 17 * MS
    assert policy.final_deadline_ns(SENT_NS, hedged_ns) == hedged_ns + TIMEOUT_NS
    assert policy.disturbed_deadline_ns(hedged_ns + TIMEOUT_NS, True, hedged_ns + 3) == hedged_ns + 3 + TIMEOUT_NS


def test_app_seed_rounds_its_time_outs_up_to_whole_milliseconds() -> None:
    policy = AppSeed(2 * MS + 1, MS // 2)
    assert policy.primary_deadline_ns(SENT_NS) == SENT_NS + MS
    assert policy.final_deadline_ns(SENT_NS, SENT_NS) == SENT_NS + 3 * MS


MESSAGE = {
    "block": 3,
    "strategy": "app-deadline",
    "servers": [["192.0.2.1", 9000], ["192.0.2.2", 9000]],
    "requests": {"first_id": 500, "count": 100},
    "warmup": {"first_id": FIRST_WARMUP_ID, "count": 10},
    "payload": 64,
    "timeout_ns": TIMEOUT_NS,
    "arrivals": {"mode": "closed", "users": 2, "think_ns": MS},
    "hedge_delay_ns": DELAY_NS,
    "request_id": PLACES,
    "drain_ns": 5,
    "samples": "/somewhere",
}


def test_settings_are_read_from_a_start_block_message() -> None:
    assert read_settings(Fields(MESSAGE)) == BlockSettings(
        strategy="app-deadline",
        server=("192.0.2.1", 9000),
        requests=IdRange(500, 100),
        warmup=IdRange(FIRST_WARMUP_ID, 10),
        payload=64,
        timeout_ns=TIMEOUT_NS,
        users=2,
        think_ns=MS,
        hedge_delay_ns=DELAY_NS,
        places=RequestIdPlaces(IdPlace(0, 4), IdPlace(0, 4)),
        drain_ns=5,
    )


def two_byte_ids() -> dict[str, Any]:
    return {"request": {"offset": 0, "length": 2}, "response": {"offset": 0, "length": 4}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strategy": "app-magic"}, "field 'strategy' is 'app-magic', expected one of baseline, kernel, app-seed, "),
        ({"arrivals": {"mode": "open"}}, "field 'arrivals.mode' is 'open', expected one of closed"),
        ({"servers": []}, "field 'servers' is empty"),
        ({"servers": ["192.0.2.1:9000"]}, "field 'servers' holds '192.0.2.1:9000', expected [address, port]"),
        ({"servers": [["localhost", 9000]]}, "'localhost' is not a numeric address"),
        ({"servers": [["192.0.2.1", 0]]}, "field 'servers' holds ['192.0.2.1', 0], expected [address, port]"),
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
        read_settings(Fields(MESSAGE | changes))
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
    read_settings(Fields(change(dict(MESSAGE))))
