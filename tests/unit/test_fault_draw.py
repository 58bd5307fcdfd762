"""The draw that decides which copies a network fault affects, and the options that rules become for netem."""

from __future__ import annotations

import pytest

from hedgerow_hedger.faults.maps import direction_of, fault_of
from hedgerow_hedger.faults.netem import NetemError, netem_options
from hedgerow_hedger.programs import Direction, Fault
from hedgerow_node.fault_draw import ALWAYS, draw, is_selected, rule_salt, threshold
from hedgerow_node.protocol.hedger import FaultRule, NetemKind, NetemRule

MS = 1_000_000
LOSS = NetemRule("0.0", NetemKind.LOSS, 0, 1)
PARTITION = NetemRule("0.0", NetemKind.PARTITION, 0, 100)


def test_every_number_changes_the_draw_and_the_share_is_the_probability() -> None:
    base = (1, 2, 3, 4, 5)
    changed = [tuple(value + (n == place) for n, value in enumerate(base)) for place in range(5)]
    assert len({draw(*values) for values in [base, *changed]}) == 6
    shares = [sum(is_selected(7, n, 1, 0, salt, 30) for n in range(10_000)) / 10_000 for salt in range(5)]
    assert all(0.28 < share < 0.32 for share in shares)
    assert len(set(shares)) > 1


def test_certainty_and_impossibility() -> None:
    assert (threshold(100), threshold(0)) == (ALWAYS, 0)
    assert (draw(0, 0, 1, 0, 0) >> 32) < ALWAYS
    assert all(is_selected(7, n, 1, 0, 0, 100) and not is_selected(7, n, 1, 0, 0, 0) for n in range(1000))


def test_rules_have_a_draw_of_their_own_by_key_and_direction() -> None:
    assert len({rule_salt(key, side) for key in ("0.0", "0.1") for side in ("requests", "responses")}) == 4


def test_a_partition_is_a_loss_of_everything_to_the_kernel() -> None:
    rule = FaultRule("0.0", "partition", "responses", 2, 5, 9, 100)
    assert (fault_of(rule), direction_of(rule), threshold(rule.percent)) == (Fault.LOSS, Direction.RESPONSES, ALWAYS)
    delay = FaultRule("0.0", "delay", "requests", 2, 5, 9, 100, MS)
    assert (fault_of(delay), direction_of(delay)) == (Fault.DELAY, Direction.REQUESTS)


@pytest.mark.parametrize(
    ("rules", "options"),
    [
        ([LOSS], "loss 1.0000000%"),
        ([PARTITION], "loss 100%"),
        ([LOSS, PARTITION], "loss 100%"),
        ([NetemRule("0.0", NetemKind.DELAY, 0, 100, 1_500_000)], "delay 1500.000us"),
        ([NetemRule("0.0", NetemKind.DELAY, 0, 30, MS)], "delay 1000.000us reorder 70.0000000%"),
        ([NetemRule("0.0", NetemKind.REORDER, 0, 30, MS)], "delay 1000.000us reorder 30.0000000%"),
        (
            [NetemRule("0.0", NetemKind.RATE, 0, 100, rate_bit_per_s=10_000_000), LOSS],
            "loss 1.0000000% rate 10000000bit",
        ),
        (
            [
                NetemRule("0.0", NetemKind.CORRUPT, 0, 1),
                NetemRule("0.0", NetemKind.DUPLICATE, 0, 1),
                NetemRule("0.0", NetemKind.DELAY, 0, 100, MS),
            ],
            "delay 1000.000us duplicate 1.0000000% corrupt 1.0000000%",
        ),
    ],
)
def test_the_options_for_netem(rules: list[NetemRule], options: str) -> None:
    assert netem_options(rules) == options


def test_netem_does_each_thing_once() -> None:
    rules = [NetemRule(key, NetemKind.LOSS, 0, 1.0) for key in ("0.0", "1.0")]
    with pytest.raises(NetemError, match="two network faults set loss for replica 0"):
        netem_options(rules)
