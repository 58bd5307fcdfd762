"""The rules in the messages `faults`, `netem` and `prepare-netem`: read, checked, refused by name if wrong."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from hedgerow_hedger.programs import Direction, Fault
from hedgerow_node.chance import rule_salt
from hedgerow_node.control import ControlError
from hedgerow_node.lanes import MAX_DELAY_NS, MIN_DELAY_NS
from hedgerow_node.protocol.limits import MAX_RULES

if TYPE_CHECKING:
    from hedgerow_node.fields import Fields

_MAX_WORD = (1 << 64) - 1
_MAX_RATE_BIT_PER_S = 10**12

#: What a rule's `kind` is to the kernel: a partition is a loss of everything.
_KINDS = {**{fault.name.lower(): fault for fault in Fault}, "partition": Fault.LOSS}
_DIRECTIONS = {direction.name.lower(): direction for direction in Direction}


@dataclass(frozen=True)
class FaultRule:
    """What happens to copies of the ids from `first_id` to `last_id` (included), to or from one replica."""

    key: str  #: hits are told by it; several rules may share one
    fault: Fault
    direction: Direction
    replica: int
    first_id: int
    last_id: int
    percent: float
    delay_ns: int | None

    @property
    def salt(self) -> int:
        """What sets it apart from other rules in the computation of chance."""
        return rule_salt(self.key, self.direction.name.lower())


@dataclass(frozen=True)
class FaultRules:
    """A message `faults`."""

    seed: int
    rules: tuple[FaultRule, ...]

    @property
    def delay_ns(self) -> int | None:
        """The one delay of all rules that delay; None where none does."""
        return next((rule.delay_ns for rule in self.rules if rule.delay_ns is not None), None)


class NetemKind(StrEnum):
    """What netem can do to requests."""

    LOSS = "loss"
    DUPLICATE = "duplicate"
    CORRUPT = "corrupt"
    DELAY = "delay"
    PARTITION = "partition"
    REORDER = "reorder"
    RATE = "rate"


@dataclass(frozen=True)
class NetemRule:
    """What netem does to the requests to one replica."""

    key: str
    kind: NetemKind
    replica: int
    percent: float
    delay_ns: int
    rate_bit_per_s: int


def read_fault_rules(fields: Fields, replicas: int) -> FaultRules:
    """The rules of a message `faults`, for a service of `replicas`; ControlError, naming the field, otherwise."""
    rules = tuple(_fault_rule(rule, replicas) for rule in fields.sections("rules"))
    if len(rules) > MAX_RULES:
        raise ControlError(f"{len(rules)} network fault rules; there is room for {MAX_RULES}")
    delays_ns = {rule.delay_ns for rule in rules if rule.delay_ns is not None}
    if len(delays_ns) > 1:
        raise ControlError(f"network faults with delays of {sorted(delays_ns)} ns; only one delay at a time")
    return FaultRules(fields.integer("seed", 0, _MAX_WORD), rules)


def read_netem_rules(fields: Fields, replicas: int) -> tuple[NetemRule, ...]:
    """The rules of a message `netem`, for a service of `replicas`; ControlError, naming the field, otherwise."""
    return tuple(_netem_rule(rule, replicas) for rule in fields.sections("rules"))


def read_netem_phases(fields: Fields, replicas: int) -> list[tuple[NetemRule, ...]]:
    """The rules of each phase in a message `prepare-netem`; ControlError as above."""
    return [read_netem_rules(phase, replicas) for phase in fields.sections("phases")]


def _fault_rule(fields: Fields, replicas: int) -> FaultRule:
    kind = fields.text("kind", *_KINDS)
    first_id = fields.integer("first_id", 0, _MAX_WORD)
    return FaultRule(
        key=fields.text("key"),
        fault=_KINDS[kind],
        direction=_DIRECTIONS[fields.text("direction", *_DIRECTIONS)],
        replica=fields.integer("replica", 0, replicas - 1),
        first_id=first_id,
        last_id=fields.integer("last_id", first_id, _MAX_WORD),
        percent=100.0 if kind == "partition" else fields.number("percent", 0, 100),
        delay_ns=fields.integer("delay_ns", MIN_DELAY_NS, MAX_DELAY_NS) if kind == "delay" else None,
    )


def _netem_rule(fields: Fields, replicas: int) -> NetemRule:
    kind = NetemKind(fields.text("kind", *NetemKind))
    delays, limits = kind in (NetemKind.DELAY, NetemKind.REORDER), kind is NetemKind.RATE
    return NetemRule(
        key=fields.text("key"),
        kind=kind,
        replica=fields.integer("replica", 0, replicas - 1),
        percent=100.0 if kind in (NetemKind.PARTITION, NetemKind.RATE) else fields.number("percent", 0, 100),
        delay_ns=fields.integer("delay_ns", 1, MAX_DELAY_NS) if delays else 0,
        rate_bit_per_s=fields.integer("rate_bit_per_s", 8, _MAX_RATE_BIT_PER_S) if limits else 0,
    )
