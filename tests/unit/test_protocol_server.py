"""The server's messages: what is read back as it was written, and what is refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hedgerow_node.control import ControlError
from hedgerow_node.protocol.server import (
    CollectionTimes,
    DropFault,
    ObjectGraph,
    ServerReport,
    ServerStatus,
    ServiceSettings,
    ServiceTime,
    SlowFault,
    Stall,
    StallFault,
)
from hedgerow_node.wire import IdPlace, RequestIdPlaces

if TYPE_CHECKING:
    from hedgerow_node.control import JsonObject
    from hedgerow_node.protocol.codec import Message

PLACES = RequestIdPlaces(IdPlace(0, 4), IdPlace(4, 2))
SETTINGS = ServiceSettings(PLACES, ServiceTime("constant", 5))
FAULTS = (SlowFault("0.0", 1, 2, 3.5), StallFault("1.0", 0, 0, "id > 1", 6), DropFault("2.0", 5, 9, "id % 2 == 0"))


@pytest.mark.parametrize(
    "message",
    [
        SETTINGS,
        ServiceSettings(
            request_id=PLACES,
            service_time=ServiceTime("lognormal", 5, 0.3),
            seed=7,
            replica=2,
            concurrency=4,
            stall=Stall("id < 3", 6, heal_on_duplicate=False),
            faults=FAULTS,
            gc=ObjectGraph(1_000),
            block=3,
            strategy="kernel",
        ),
        ServerReport(3, 1, {"p50": 1.0, "p99": 2.0, "max": 3.0}, 4, 5, {"0.0": 2}, (CollectionTimes(6, 7),)),
        ServerReport(0, 0, None, 0, 0),
        ServerStatus(7, "0123", (("192.0.2.1", 9000),), 8),
        ServerStatus(7, "0123", worker_died="exit code 1"),
    ],
)
def test_a_message_is_read_as_it_was_written(message: Message) -> None:
    assert type(message).from_json(message.to_json()) == message


def test_settings_are_read_from_a_start_block_message() -> None:
    message: JsonObject = {
        "id": 1,
        "do": "start-block",
        "block": 3,
        "strategy": "kernel",
        "replica": 2,
        "seed": 7,
        "service_time": {"distribution": "lognormal", "median_ns": 5, "sigma": 0.3},
        "concurrency": 4,
        "stall": {"when": "id < 3", "duration_ns": 6, "heal_on_duplicate": False},
        "request_id": {"request": {"offset": 0, "length": 4}, "response": {"offset": 4, "length": 2}},
        "faults": [],
        "gc": None,
    }
    time, stall = ServiceTime("lognormal", 5, 0.3), Stall("id < 3", 6, False)
    assert ServiceSettings.from_json(message) == ServiceSettings(
        PLACES, time, seed=7, replica=2, concurrency=4, stall=stall, block=3, strategy="kernel"
    )
    constant = message | {"service_time": {"distribution": "constant", "median_ns": 5}, "stall": None}
    assert ServiceSettings.from_json(constant).service_time == ServiceTime("constant", 5)
    assert ServiceSettings.from_json(constant | {"concurrency": None}).concurrency is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"service_time": None}, "field 'service_time' is missing"),
        ({"service_time": {"distribution": "pareto", "median_ns": 1}}, "expected one of constant, lognormal"),
        ({"service_time": {"distribution": "constant", "median_ns": -1}}, "'service_time.median_ns' is -1"),
        ({"replica": 256}, "field 'replica' is 256, expected at least 0 and at most 255"),
        ({"concurrency": 0}, "field 'concurrency' is 0, expected at least 1"),
        ({"gc": {"objects": 0}}, "field 'gc.objects' is 0, expected at least 1"),
        ({"stall": {"when": "id <", "duration_ns": 1, "heal_on_duplicate": True}}, "column"),
        ({"request_id": {"request": {"offset": 0, "length": 4}}}, "field 'request_id.response' is missing"),
        ({"faults": [FAULTS[0].to_json()] * 8001}, "field 'faults': there are 8001, at most 8000 can be counted"),
    ],
)
def test_wrong_settings_are_refused_by_name(change: JsonObject, said: str) -> None:
    with pytest.raises((ControlError, ValueError)) as refused:
        ServiceSettings.from_json(SETTINGS.to_json() | change)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"kind": "fast"}, "field 'faults.0.kind' is 'fast', expected one of slow, stall, drop-requests"),
        ({"kind": "slow"}, "field 'faults.0.factor' is missing"),
        ({"kind": "stall", "when": "id > 1"}, "field 'faults.0.delay_ns' is missing"),
        ({"kind": "stall", "when": "id > x", "delay_ns": 1}, "column 6: unknown name 'x'"),
        ({"kind": "drop-requests"}, "field 'faults.0.when' is missing"),
        ({"kind": "slow", "factor": 2, "last_id": 0}, "fault 0.0: last_id is 0, expected at least 1"),
    ],
)
def test_a_wrong_fault_is_refused_by_name(fault: JsonObject, said: str) -> None:
    whole = {"key": "0.0", "first_id": 1, "last_id": 2} | fault
    with pytest.raises((ControlError, ValueError)) as refused:
        ServiceSettings.from_json(SETTINGS.to_json() | {"faults": [whole]})
    assert said in str(refused.value)
