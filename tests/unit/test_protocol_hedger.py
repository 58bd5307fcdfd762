"""The hedger's messages: what is read back as it was written, and what is refused by name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hedgerow_node.control import ControlError
from hedgerow_node.protocol.hedger import (
    Assignment,
    FaultHits,
    FaultRule,
    FaultRules,
    HedgerPing,
    HedgerStatistics,
    HedgerStatus,
    InterfaceState,
    NetemChange,
    NetemClass,
    NetemKind,
    NetemPhases,
    NetemRule,
    NetemRules,
    Quantiles,
    SetMode,
    check_replicas,
)
from hedgerow_node.wire import IdPlace, RequestIdPlaces

if TYPE_CHECKING:
    from hedgerow_node.control import JsonObject
    from hedgerow_node.protocol.codec import Message

MS = 1_000_000
PLACES = RequestIdPlaces(IdPlace(0, 4), IdPlace(0, 4))
ASSIGNMENT = Assignment(
    services=((("192.0.2.1", 9000), ("192.0.2.2", 9000)),),
    target="other",
    request_id=PLACES,
    copy_id=IdPlace(4, 1),
    delay_ns=10 * MS,
    expiry_ns=1_000 * MS,
    delay_line="auto",
    budget_ratio=0.05,
    budget_burst=10,
    run_id="abc123",
)
LOSS = FaultRule("0.0", "loss", "requests", replica=2, first_id=5, last_id=9, percent=2.5)
DELAY = FaultRule("0.1", "delay", "responses", replica=0, first_id=5, last_id=9, percent=50, delay_ns=MS)
RULE = LOSS.to_json()
NETEM_RULE = NetemRule("0.0", NetemKind.LOSS, replica=0, percent=1.0).to_json()


@pytest.mark.parametrize(
    "message",
    [
        ASSIGNMENT,
        replace(ASSIGNMENT, run_id=None, copy_id=None),
        replace(ASSIGNMENT, engine="queue", delay_line="fq"),
        SetMode("hedge", "block", 3),
        FaultRules(7, (LOSS, DELAY)),
        FaultHits({"0.0": 3}, 1),
        NetemRules((NetemRule("0.0", NetemKind.REORDER, 1, 30, delay_ns=MS),)),
        NetemPhases((NetemRules((NetemRule("1.0", NetemKind.RATE, 1, 100, rate_bit_per_s=8_000),)), NetemRules(()))),
        NetemChange(5, (NetemClass("loss 100%", (0, 2), 3, 4, 0),)),
        HedgerStatistics(1, {"requests": 2}, 0, Quantiles(1.0, 2.0, None), {"p50": 1.0, "p99": 2.0, "max": 3.0}),
        HedgerStatistics(1, {}, 0, Quantiles()),
        HedgerStatus(),
        HedgerPing("eth0", "clone", "htb", sources="0123"),
        HedgerStatus("eth0", "queue", "fq"),
        InterfaceState("eth0", {"tx": True}, {"noqueue 0:": {"packets": 1}}, {"received_bytes": 1}, {"InErrors": 0}),
        InterfaceState("eth0"),
    ],
)
def test_a_message_is_read_as_it_was_written(message: Message) -> None:
    assert type(message).from_json(message.to_json()) == message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "rain"}, "field 'rules.0.kind' is 'rain', expected one of loss, duplicate, corrupt, delay"),
        ({"direction": "both"}, "field 'rules.0.direction' is 'both', expected one of requests, responses"),
        ({"replica": -1}, "field 'rules.0.replica' is -1, expected at least 0"),
        ({"last_id": 4}, "rule 0.0: last_id is 4, expected at least 5"),
        ({"percent": 101}, "field 'rules.0.percent' is 101, expected at least 0 and at most 100"),
        ({"percent": None}, "field 'rules.0.percent' is missing"),
        ({"kind": "partition"}, "rule 0.0: percent is 2.5, expected 100"),
        ({"kind": "delay"}, "rule 0.0: delay_ns is missing"),
        ({"kind": "delay", "delay_ns": 1}, "field 'rules.0.delay_ns' is 1, expected at least 100000"),
        ({"delay_ns": MS}, "rule 0.0: delay_ns has no effect here"),
        ({"key": 7}, "field 'rules.0.key' is 7, expected a text"),
    ],
)
def test_a_wrong_rule_is_refused_by_name(change: JsonObject, said: str) -> None:
    with pytest.raises((ControlError, ValueError)) as refused:
        FaultRules.from_json({"seed": 1, "rules": [RULE | change]})
    assert said in str(refused.value)


def test_the_delay_of_all_rules_is_one() -> None:
    assert FaultRules(1, (LOSS,)).delay_ns is None
    assert FaultRules(1, (LOSS, DELAY, DELAY)).delay_ns == MS
    with pytest.raises(ControlError, match="only one delay at a time"):
        FaultRules(1, (DELAY, replace(DELAY, delay_ns=2 * MS)))


def test_too_many_rules_are_refused() -> None:
    assert len(FaultRules(1, (LOSS,) * 64).rules) == 64
    with pytest.raises(ControlError, match="65 network fault rules; there is room for 64"):
        FaultRules(1, (LOSS,) * 65)
    with pytest.raises(ControlError, match=r"field 'rules\.0' is 7, expected an object"):
        FaultRules.from_json({"seed": 1, "rules": [7]})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "rain"}, "expected one of loss, duplicate, corrupt, delay, partition, reorder, rate"),
        ({"kind": "reorder"}, "rule 0.0: delay_ns is missing"),
        ({"kind": "rate", "percent": 100}, "rule 0.0: rate_bit_per_s is missing"),
        ({"kind": "partition"}, "rule 0.0: percent is 1.0, expected 100"),
        ({"percent": None}, "field 'rules.0.percent' is missing"),
        ({"replica": "server-3"}, "field 'rules.0.replica' is 'server-3', expected an integer"),
    ],
)
def test_a_wrong_rule_for_netem_is_refused_by_name(change: JsonObject, said: str) -> None:
    with pytest.raises((ControlError, ValueError)) as refused:
        NetemRules.from_json({"rules": [NETEM_RULE | change]})
    assert said in str(refused.value)


@pytest.mark.parametrize("rule", [LOSS, NetemRule("0.0", NetemKind.LOSS, 2, 1.0)])
def test_a_rule_for_a_replica_that_the_service_has_not_is_refused(rule: FaultRule | NetemRule) -> None:
    check_replicas([rule], replicas=3)
    with pytest.raises(ControlError, match=r"field 'rules\.1\.replica' is 2, expected at least 0 and at most 1"):
        check_replicas([replace(rule, replica=1), rule], replicas=2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"delay_ns": 5}, "field 'delay_ns' is 5, expected at least 100000"),
        ({"expiry_ns": 5}, "field 'expiry_ns' is 5, expected at least 10000001"),
        ({"services": []}, "from 1 to 16 services"),
        ({"services": [[]]}, "of 1 to 16 replicas each"),
        ({"services": [[["192.0.2.1"]]]}, "field 'services.0.0' is ['192.0.2.1'], expected a list of 2"),
        ({"copy_id": {"offset": 4, "length": 2}}, "field 'copy_id.length' is 2"),
        ({"target": "nearest"}, "field 'target' is 'nearest', expected one of same, other"),
        ({"run_id": "../../"}, "a run id is six digits or lower-case letters"),
        ({"delay_line": "tbf"}, "field 'delay_line' is 'tbf', expected one of auto, netem, fq, htb"),
        ({"engine": "wheel"}, "field 'engine' is 'wheel', expected one of auto, clone, queue"),
        (
            {"engine": "queue", "delay_line": "netem"},
            "field 'delay_line' is 'netem', which the engine 'queue' has no use",
        ),
        ({"budget_burst": 0}, "field 'budget_burst' is 0, expected at least 1"),
    ],
)
def test_a_wrong_assignment_is_refused_by_name(change: JsonObject, said: str) -> None:
    with pytest.raises((ControlError, ValueError)) as refused:
        Assignment.from_json(ASSIGNMENT.to_json() | change)
    assert said in str(refused.value)
