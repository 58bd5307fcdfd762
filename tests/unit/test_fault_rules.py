"""The rules of network faults as control messages bear them, and the chance by which they strike."""

from __future__ import annotations

from typing import Any

import pytest

from hedgerow_hedger.faults.netem import NetemError, netem_options
from hedgerow_hedger.faults.rules import NetemKind, NetemRule, read_fault_rules, read_netem_rules
from hedgerow_hedger.programs import Direction, Fault
from hedgerow_node.chance import ALWAYS, rule_salt, strikes, struck, threshold
from hedgerow_node.control import ControlError
from hedgerow_node.fields import Fields

REPLICAS = 3
MS = 1_000_000
RULE: dict[str, Any] = {
    "key": "0.0",
    "kind": "loss",
    "direction": "requests",
    "replica": 2,
    "first_id": 5,
    "last_id": 9,
    "percent": 2.5,
}
NETEM_RULE: dict[str, Any] = {"key": "0.0", "kind": "loss", "replica": 0, "percent": 1}


def faults(*changes: dict[str, Any]) -> Fields:
    return Fields({"seed": 1, "rules": [RULE | change for change in changes]})


def netem(*changes: dict[str, Any]) -> Fields:
    return Fields({"rules": [NETEM_RULE | change for change in changes]})


def test_a_rule_is_read() -> None:
    (rule,) = read_fault_rules(faults({}), REPLICAS).rules
    assert (rule.fault, rule.direction, rule.replica) == (Fault.LOSS, Direction.REQUESTS, 2)
    assert (rule.first_id, rule.last_id, rule.percent, rule.delay_ns) == (5, 9, 2.5, None)
    assert rule.salt == rule_salt("0.0", "requests") != rule_salt("0.0", "responses")


def test_a_partition_is_a_loss_of_everything() -> None:
    (rule,) = read_fault_rules(faults({"kind": "partition", "percent": None}), REPLICAS).rules
    assert (rule.fault, rule.percent) == (Fault.LOSS, 100)


def test_the_delay_of_all_rules() -> None:
    assert read_fault_rules(faults({}), REPLICAS).delay_ns is None
    delaying = {"kind": "delay", "delay_ns": MS}
    assert read_fault_rules(faults({}, delaying, delaying), REPLICAS).delay_ns == MS


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "rain"}, "field 'rules.0.kind' is 'rain', expected one of loss, duplicate, corrupt, delay"),
        ({"direction": "both"}, "field 'rules.0.direction' is 'both', expected one of requests, responses"),
        ({"replica": 3}, "field 'rules.0.replica' is 3, expected at least 0 and at most 2"),
        ({"last_id": 4}, "field 'rules.0.last_id' is 4, expected at least 5"),
        ({"percent": 101}, "field 'rules.0.percent' is 101.0, expected a number, at least 0 and at most 100"),
        ({"percent": None}, "field 'rules.0.percent' is missing"),
        ({"kind": "delay"}, "field 'rules.0.delay_ns' is missing"),
        ({"kind": "delay", "delay_ns": 1}, "field 'rules.0.delay_ns' is 1, expected at least 100000"),
        ({"key": 7}, "field 'rules.0.key' is 7, expected a text"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_by_name(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ControlError) as refused:
        read_fault_rules(faults(change), REPLICAS)
    assert said in str(refused.value)


def test_two_delays_and_too_many_rules_are_refused() -> None:
    with pytest.raises(ControlError, match="only one delay at a time"):
        read_fault_rules(faults(*({"kind": "delay", "delay_ns": n * MS} for n in (1, 2))), REPLICAS)
    assert len(read_fault_rules(faults(*[{}] * 64), REPLICAS).rules) == 64
    with pytest.raises(ControlError, match="65 network fault rules; there is room for 64"):
        read_fault_rules(faults(*[{}] * 65), REPLICAS)
    with pytest.raises(ControlError, match=r"field 'rules\.0' is 7, expected an object"):
        read_fault_rules(Fields({"seed": 1, "rules": [7]}), REPLICAS)


def test_chance_takes_every_number_into_account_and_meets_its_share() -> None:
    base = (1, 2, 3, 4, 5)
    changed = [tuple(value + (n == place) for n, value in enumerate(base)) for place in range(5)]
    assert len({strikes(*values) for values in [base, *changed]}) == 6
    shares = [sum(struck(7, n, 1, 0, salt, 30) for n in range(10_000)) / 10_000 for salt in range(5)]
    assert all(0.28 < share < 0.32 for share in shares)
    assert len(set(shares)) > 1


def test_certainty_and_impossibility() -> None:
    assert (threshold(100), threshold(0)) == (ALWAYS, 0)
    assert (strikes(0, 0, 1, 0, 0) >> 32) < ALWAYS
    assert all(struck(7, n, 1, 0, 0, 100) and not struck(7, n, 1, 0, 0, 0) for n in range(1000))


@pytest.mark.parametrize(
    ("rules", "options"),
    [
        ([{}], "loss 1.0000000%"),
        ([{"kind": "partition"}], "loss 100%"),
        ([{}, {"kind": "partition"}], "loss 100%"),
        ([{"kind": "delay", "delay_ns": 1_500_000, "percent": 100}], "delay 1500.000us"),
        ([{"kind": "delay", "delay_ns": MS, "percent": 30}], "delay 1000.000us reorder 70.0000000%"),
        ([{"kind": "reorder", "delay_ns": MS, "percent": 30}], "delay 1000.000us reorder 30.0000000%"),
        ([{"kind": "rate", "rate_bit_per_s": 10_000_000}, {}], "loss 1.0000000% rate 10000000bit"),
        (
            [{"kind": "corrupt"}, {"kind": "duplicate"}, {"kind": "delay", "delay_ns": MS, "percent": 100}],
            "delay 1000.000us duplicate 1.0000000% corrupt 1.0000000%",
        ),
    ],
)
def test_the_words_for_netem(rules: list[dict[str, Any]], options: str) -> None:
    assert netem_options(read_netem_rules(netem(*rules), REPLICAS)) == options


def test_netem_does_each_thing_once() -> None:
    rules = [NetemRule(key, NetemKind.LOSS, 0, 1.0, 0, 0) for key in ("0.0", "1.0")]
    with pytest.raises(NetemError, match="two network faults set loss for replica 0"):
        netem_options(rules)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "rain"}, "expected one of loss, duplicate, corrupt, delay, partition, reorder, rate"),
        ({"kind": "reorder"}, "field 'rules.0.delay_ns' is missing"),
        ({"kind": "rate"}, "field 'rules.0.rate_bit_per_s' is missing"),
        ({"replica": 3}, "field 'rules.0.replica' is 3"),
    ],
)
def test_what_netem_cannot_do_is_refused_by_name(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ControlError) as refused:
        read_netem_rules(netem(change), REPLICAS)
    assert said in str(refused.value)
