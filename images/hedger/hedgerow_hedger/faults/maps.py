"""The programs' maps for network faults: rules in, hits out."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from hedgerow_node.chance import threshold
from hedgerow_node.protocol.limits import MAX_REPLICAS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hedgerow_hedger.faults.rules import FaultRules
    from hedgerow_hedger.programs import DelayLineKind, KernelPrograms

FAULT_LANES = 1  #: the place in lane_map of the lanes of the fault `delay`
_ZERO = ctypes.c_int(0)


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
            place.threshold, place.salt = threshold(rule.percent), rule.salt
            place.replica, place.fault, place.direction = rule.replica, rule.fault, rule.direction
            hits[ctypes.c_int(number)] = ctypes.c_ulonglong(0)
        lanes[ctypes.c_int(FAULT_LANES)] = lanes.Leaf()
        self._failed_before = self._failed()
        faults[_ZERO] = leaf
        # An element is not replaced at once: rules may count only when they are all there.
        leaf.count = len(rules.rules)
        faults[_ZERO] = leaf

    def clear(self) -> None:
        """Puts all rules out of force; what the links still hold finds its way back."""
        faults = self._programs.table("fault_map")
        leaf = faults[_ZERO]
        leaf.count = 0
        faults[_ZERO] = leaf

    def hits(self, rules: FaultRules) -> dict[str, int]:
        """For each key how many copies its rules have struck since they were written."""
        table = self._programs.table("fault_hit_map")
        by_key = dict.fromkeys((rule.key for rule in rules.rules), 0)
        for number, rule in enumerate(rules.rules):
            by_key[rule.key] += table[ctypes.c_int(number)].value
        return by_key

    def failed(self) -> int:
        """How many copies should have been struck since then, but passed: no clone, or no lane, to be had."""
        return self._failed() - self._failed_before

    def write_netem_classes(self, classes: Mapping[int, int]) -> None:
        """The qdisc class of each replica's requests, by replica; those left out have none."""
        table = self._programs.table("netem_map")
        for replica in range(MAX_REPLICAS):
            table[ctypes.c_int(replica)] = ctypes.c_uint32(classes.get(replica, 0))

    def _failed(self) -> int:
        return self._programs.counters()["fault_failed"]
