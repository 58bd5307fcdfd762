"""The programs' maps for network faults: rules in, hits out."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from hedgerow_hedger.programs import Direction, Fault
from hedgerow_node.fault_draw import rule_salt, threshold
from hedgerow_node.protocol.limits import MAX_REPLICAS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hedgerow_hedger.programs import DelayLineKind, KernelPrograms
    from hedgerow_node.protocol.hedger import FaultRule, FaultRules

FAULT_LANES = 1  #: the place in lane_map of the lanes of the fault `delay`
_ZERO = ctypes.c_int(0)


def fault_of(rule: FaultRule) -> Fault:
    """What the rule does, to the kernel: a partition is a loss of everything."""
    return Fault.LOSS if rule.kind == "partition" else Fault[rule.kind.upper()]


def direction_of(rule: FaultRule) -> Direction:
    """Whose copies it affects, to the kernel."""
    return Direction[rule.direction.upper()]


class FaultMaps:
    """What the fault programs read and count."""

    def __init__(self, programs: KernelPrograms) -> None:
        self._programs = programs
        self._failed_before = 0

    def write(
        self,
        rules: FaultRules,
        kind: DelayLineKind,
        delay_ifindex: int,
        corrupt_ifindex: int,
        lane_handle: int,
    ) -> None:
        """Puts the rules in force, with their hits at zero; an ifindex is 0 where no rule needs the link."""
        faults, lanes = self._programs.table("fault_map"), self._programs.table("lane_map")
        hits = self._programs.table("fault_hit_map")
        leaf = faults.Leaf()
        leaf.seed, leaf.corrupt_ifindex = rules.seed, corrupt_ifindex
        leaf.line.delay_ns, leaf.line.ifindex = rules.delay_ns or 0, delay_ifindex
        leaf.line.kind, leaf.line.lane_handle, leaf.line.lanes = kind, lane_handle, FAULT_LANES
        for number, rule in enumerate(rules.rules):
            place = leaf.rules[number]
            place.first_id, place.last_id = rule.first_id, rule.last_id
            place.threshold, place.salt = threshold(rule.percent), rule_salt(rule.key, rule.direction)
            place.replica, place.fault, place.direction = rule.replica, fault_of(rule), direction_of(rule)
            hits[ctypes.c_int(number)] = ctypes.c_ulonglong(0)
        lanes[ctypes.c_int(FAULT_LANES)] = lanes.Leaf()
        self._failed_before = self._failed()
        faults[_ZERO] = leaf
        # An element is not replaced at once: rules may count only when they are all there.
        leaf.count = len(rules.rules)
        faults[_ZERO] = leaf

    def clear(self) -> None:
        """Puts all rules out of force; packets that the links still hold come back."""
        faults = self._programs.table("fault_map")
        leaf = faults[_ZERO]
        leaf.count = 0
        faults[_ZERO] = leaf

    def hits(self, rules: FaultRules) -> dict[str, int]:
        """For each key how many copies its rules have affected since they were written."""
        table = self._programs.table("fault_hit_map")
        by_key = dict.fromkeys((rule.key for rule in rules.rules), 0)
        for number, rule in enumerate(rules.rules):
            by_key[rule.key] += table[ctypes.c_int(number)].value
        return by_key

    def failed(self) -> int:
        """How many copies should have been affected since then, but passed: no clone, or no lane, could be had."""
        return self._failed() - self._failed_before

    def write_netem_classes(self, classes: Mapping[int, int]) -> None:
        """The qdisc class of each replica's requests, by replica; those left out have none."""
        table = self._programs.table("netem_map")
        for replica in range(MAX_REPLICAS):
            table[ctypes.c_int(replica)] = ctypes.c_uint32(classes.get(replica, 0))

    def _failed(self) -> int:
        return self._programs.counters()["fault_failed"]
