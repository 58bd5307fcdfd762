"""Network faults by eBPF at the client's interface: attached only while rules are in force.

A fault that holds packets back has a fault link of its own (a second delay line); one that corrupts sends them over a
link without checksum offloading, since only a packet with a complete sum can be found corrupt by its receiver.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from hedgerow_hedger import delay_link
from hedgerow_hedger.attachments import EGRESS, INGRESS, PREFERENCE, Attachments
from hedgerow_hedger.faults.maps import FaultMaps, direction_of, fault_of
from hedgerow_hedger.programs import DelayLineKind, Direction, Fault, KernelPrograms
from hedgerow_node.protocol.hedger import FaultHits, FaultRules

if TYPE_CHECKING:
    from hedgerow_hedger.delay_link import Link

#: Behind the splitter, which must have recorded a request that gets lost; before the responder, which must not see a
#: response that does.
_HOOKS = {
    Direction.REQUESTS: (EGRESS, PREFERENCE + 1, "fault_egress"),
    Direction.RESPONSES: (INGRESS, PREFERENCE - 1, "fault_ingress"),
}
_CROSSING_S = 0.002  #: a packet that has left a link's qdisc is back on its way within that
_NO_RULES = FaultRules(0, ())


class NetworkFaults:
    """The rules in force on interface `ifindex`, or none; `token` stands in the fault links' names."""

    def __init__(
        self, programs: KernelPrograms, attachments: Attachments, ifindex: int, token: str, kind: DelayLineKind
    ) -> None:
        self._programs, self._attachments, self._ifindex = programs, attachments, ifindex
        self._token, self._kind = token, kind
        self._maps = FaultMaps(programs)
        self._rules = _NO_RULES
        self._stack = ExitStack()
        self._delaying: Link | None = None
        self._ending = False

    def put(self, rules: FaultRules) -> None:
        """Puts `rules` in force in place of those before; raises one of `hedger.CANNOT`, and then there are none.

        Without rules faults end at once, but the programs stay attached until the packets that they hold have left.
        """
        if not rules.rules:
            self._end()
            return
        self.close()
        with ExitStack() as stack:
            names = [name for _, _, name in _HOOKS.values()]
            stack.callback(self._attachments.detach, self._ifindex, *names)
            faults = {fault_of(rule) for rule in rules.rules}
            delaying = self._link(stack, "f", "fault_return", rules.delay_ns) if Fault.DELAY in faults else None
            corrupting = self._link(stack, "c", "fault_corrupt", None) if Fault.CORRUPT in faults else None
            stack.callback(self._maps.clear)
            self._maps.write(
                rules,
                self._kind,
                delaying.near_ifindex if delaying else 0,
                corrupting.near_ifindex if corrupting else 0,
                delay_link.LANE_HANDLE,
            )
            for direction in sorted({direction_of(rule) for rule in rules.rules}):
                hook, preference, name = _HOOKS[direction]
                self._attachments.attach(self._ifindex, hook, name, self._programs.load(name), preference)
            self._stack, self._rules, self._delaying = stack.pop_all(), rules, delaying

    def hits(self) -> FaultHits:
        """What the rules in force have done."""
        return FaultHits(self._maps.hits(self._rules), self._maps.failed() if self._rules.rules else 0)

    def settle(self) -> None:
        """Removes what has ended and holds no packet any more; to be called every now and then."""
        if self._ending and (self._delaying is None or delay_link.held(self._delaying.near) == 0):
            time.sleep(_CROSSING_S)
            self.close()

    def close(self) -> None:
        """Removes everything at once: packets that are held back are lost."""
        self._stack.close()
        self._rules, self._delaying, self._ending = _NO_RULES, None, False

    def _end(self) -> None:
        if not self._rules.rules:
            return
        self._maps.clear()
        self._rules, self._ending = _NO_RULES, True
        self.settle()

    def _link(self, stack: ExitStack, letter: str, program: str, delay_ns: int | None) -> Link:
        names = delay_link.link_names(self._token, letter)
        if delay_ns is None:
            link = delay_link.make_without_offloads(names, self._ifindex)
        else:
            link = delay_link.make(names, self._kind, delay_ns, self._ifindex)
        stack.callback(delay_link.remove, link.near)
        if delay_ns is not None and self._kind is DelayLineKind.FQ:
            self._attachments.attach(link.near_ifindex, EGRESS, "departure", self._programs.load("departure"))
        self._attachments.attach(link.far_ifindex, INGRESS, program, self._programs.load(program))
        return link
