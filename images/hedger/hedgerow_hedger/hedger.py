"""One hedger on one interface: delay link, programs and attachments, made in order and removed in reverse."""

from __future__ import annotations

import secrets
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Literal

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from hedgerow_hedger import delay_link
from hedgerow_hedger.attachments import EGRESS, INGRESS, AttachError, Attachments, InterfaceLock
from hedgerow_hedger.engine_links import attach_programs, make_links
from hedgerow_hedger.faults import netem as netem_faults
from hedgerow_hedger.faults.netem import NetemError, NetemFaults
from hedgerow_hedger.faults.network import NetworkFaults
from hedgerow_hedger.headers import HeadersMissingError
from hedgerow_hedger.iproute import IprouteError
from hedgerow_hedger.programs import (
    NO_PLACE,
    Build,
    DelayLineKind,
    EngineName,
    Identity,
    KernelPrograms,
    Mode,
    ProgramsError,
    Service,
    Settings,
    Target,
    power_of_two,
    queue_cells,
)
from hedgerow_hedger.statistics import HedgeLog, quantile_ns
from hedgerow_node.clock import now_ns
from hedgerow_node.protocol.hedger import HedgerStatistics, Quantiles
from hedgerow_node.records import Hedge, write_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hedgerow_node.protocol.hedger import Assignment

_ARPHRD_ETHER, _ARPHRD_LOOPBACK = 1, 772
_LOOPBACK = "lo"
_LINE_NAMES: dict[DelayLineKind, Literal["netem", "fq", "htb"]] = {
    DelayLineKind.NETEM: "netem",
    DelayLineKind.FQ: "fq",
    DelayLineKind.HTB: "htb",
}


class HedgerError(Exception):
    """The hedger cannot work as asked; the message says why and what to do."""


#: Everything that keeps a hedger from working; the messages are for its operator.
CANNOT = (
    HedgerError,
    AttachError,
    delay_link.DelayLineError,
    NetemError,
    IprouteError,
    HeadersMissingError,
    ProgramsError,
    NetlinkError,
)


def find_interface(ip: IPRoute, name: str, engine: EngineName = "clone") -> int:
    """The index of interface `name`; HedgerError where there is none that `engine` can hedge on."""
    try:
        link = ip.link("get", ifname=name)[0]
    except NetlinkError as error:
        raise HedgerError(f"{name}: no such interface in this network namespace; see `ip link`") from error
    if link["ifi_type"] == _ARPHRD_LOOPBACK and engine == "clone":
        raise HedgerError(f"{name}: the kernel drops the engine clone's hedges on here; ask for --engine queue")
    if link["ifi_type"] not in (_ARPHRD_ETHER, _ARPHRD_LOOPBACK):
        raise HedgerError(f"{name}: its packets have no Ethernet header; choose the interface that carries them")
    return int(link["index"])


def remove_leftovers(ip: IPRoute, ifindex: int) -> list[str]:
    """Removes what a killed hedger left on the interface, whose lock the caller holds, and what was left of others
    whose interface is gone; returns what that was.
    """
    attachments = Attachments(ip)
    removed = attachments.detach(ifindex)
    if ifindex and netem_faults.remove_root(socket.if_indextoname(ifindex)):
        removed.append("netem")
    for leftover in delay_link.leftovers(ifindex):
        delay_link.remove(leftover.near)
        removed.append(leftover.near)
        if leftover.made_clsact and leftover.for_ifindex == ifindex:
            attachments.remove_clsact(ifindex)
    return removed


def services_of(assignment: Assignment) -> list[Service]:
    """The services as the programs know them."""
    places = assignment.request_id
    copy_id, target = assignment.copy_id or NO_PLACE, Target[assignment.target.upper()]
    return [Service(replicas, places.request, places.response, copy_id, target) for replicas in assignment.services]


def engine_of(assignment: Assignment) -> EngineName:
    """The engine asked for; where that is left open the queue, unless only clones can use the delay line."""
    if assignment.engine != "auto":
        return assignment.engine
    return "clone" if assignment.delay_line == "netem" else "queue"


def build_for(assignment: Assignment, testbed: bool, scoreboard_entries: int) -> Build:
    """What the programs for the assignment are compiled for."""
    engine = engine_of(assignment)
    cells = queue_cells(len(assignment.services), assignment.delay_ns) if engine == "queue" else 0
    return Build(engine, testbed, scoreboard_entries, cells * power_of_two(len(assignment.services)))


class Hedger:
    """A hedger on `interface` from construction until `close`, in mode off until `set_mode`.

    Raises one of `CANNOT` where it cannot be set up; then nothing of it stays. The caller closes the `programs`.
    `say` gets messages for the operator; `testbed` says whether there may be network faults, and whether records of
    hedges are collected.
    """

    def __init__(
        self,
        interface: str,
        assignment: Assignment,
        programs: Callable[[], KernelPrograms],
        say: Callable[[str], None],
        testbed: bool,
    ) -> None:
        self.engine = engine = engine_of(assignment)
        with ExitStack() as stack:
            self._ip = stack.enter_context(IPRoute())
            self.interface = interface
            self._ifindex = find_interface(self._ip, interface, engine)
            stack.callback(InterfaceLock(self._ifindex, interface).release)
            removed = remove_leftovers(self._ip, self._ifindex)
            if removed:
                say(f"removed what a killed hedger had left on {interface}: {', '.join(removed)}")
            self._attachments = Attachments(self._ip)
            makes_clsact = not self._attachments.has_clsact(self._ifindex)
            if makes_clsact:
                stack.callback(self._attachments.remove_clsact, self._ifindex)
            kind = delay_link.choose(assignment.delay_line, self._ifindex, engine)
            token = assignment.run_id or secrets.token_hex(3)
            self.links = make_links(stack, engine, kind, assignment.delay_ns, token, self._ifindex, makes_clsact)
            self._programs = programs()
            self._programs.configure(
                Settings(
                    services=services_of(assignment),
                    delay_ns=assignment.delay_ns,
                    expiry_ns=assignment.expiry_ns,
                    delay_line=kind,
                    delay_ifindex=self.links.delay.near_ifindex,
                    hedge_ifindex=self.links.to_rescuer.far_ifindex,
                    out_ifindex=self._ifindex,
                    hedge_near_ifindex=self.links.to_rescuer.near_ifindex,
                    routed=interface == _LOOPBACK,
                    lane_handle=delay_link.LANE_HANDLE,
                    budget_ratio=assignment.budget_ratio,
                    budget_burst=assignment.budget_burst,
                )
            )
            attach_programs(self.links, self._programs, self._attachments)
            stack.callback(self.detach)
            self.attach()
            self.replicas = max(len(replicas) for replicas in assignment.services)
            line = kind if engine == "clone" else delay_link.choose("auto", self._ifindex)
            self.network_faults = NetworkFaults(self._programs, self._attachments, self._ifindex, token, line)
            stack.callback(self.network_faults.close)
            self.netem_faults = NetemFaults(self._programs, self._attachments, interface, self._ifindex)
            stack.callback(self.netem_faults.close)
            self._log = HedgeLog(keep=testbed)
            self._stack = stack.pop_all()

    @property
    def delay_line(self) -> Literal["netem", "fq", "htb"]:
        """The delay line at work."""
        return _LINE_NAMES[self.links.delay.kind]

    def attach(self) -> None:
        """Attaches splitter and responder, the responder first: no hedge leaves before its loser can be dropped."""
        self._attachments.attach(self._ifindex, INGRESS, "responder", self._programs.responder.fd)
        self._attachments.attach(self._ifindex, EGRESS, "splitter", self._programs.splitter.fd)

    def detach(self) -> None:
        """Removes splitter and responder; harmless where they are not there, or the interface is not.

        Network faults stay in force, but affect nothing: they look only at what the splitter has recorded.
        """
        self._attachments.detach(self._ifindex, "splitter", "responder")

    def close(self) -> None:
        """Removes everything that it made."""
        self._stack.close()

    def set_mode(self, mode: Mode, identity: Identity = Identity.FLOW, block: int = 0) -> None:
        """See `KernelPrograms.set_mode`."""
        self._programs.set_mode(mode, identity, block)

    def counters(self) -> dict[str, int]:
        """All counters since the start."""
        return self._programs.counters()

    def poll(self) -> None:
        """Takes over what the kernel has reported since; call it often enough that the ring buffer does not fill.

        Raises HedgerError where the interface is gone: another one of its name would not be hedged.
        """
        self._programs.read_events(self._log.add)
        try:
            socket.if_indextoname(self._ifindex)
        except OSError as error:
            raise HedgerError(f"{self.interface} is gone; start again when it is back") from error
        self.network_faults.settle()
        self.netem_faults.settle()

    def write_hedges(self, path: Path) -> int:
        """Writes the hedges reported since the last call to a new file and returns their number."""
        self.poll()
        return write_rows(path, self._log.take(), Hedge)

    def statistics(self) -> HedgerStatistics:
        """Counters, latency seen by the kernel, and lateness of the hedges since the last call."""
        self.poll()
        counters = self.counters()
        hedged = sum(counters[name] for name in ("hedges_sent", "hedges_untracked", "late_dropped"))
        histogram = self._programs.latency_histogram()
        latency_ns = (quantile_ns(histogram, q) for q in (0.5, 0.99, 0.999))
        return HedgerStatistics(
            monotonic_ns=now_ns(),
            counters=counters,
            hedges_lost=max(0, counters["rescued"] - hedged),
            latency_us=Quantiles(*(None if value is None else value / 1_000 for value in latency_ns)),
            lateness_us=self._log.take_lateness_us(),
        )

    def delay_line_statistics(self) -> str:
        """What `tc -s` prints for the delay line."""
        return delay_link.statistics(self.links.delay.near)
