"""What the orchestrator can ask of the hedger over its control socket."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hedgerow_hedger.hedger import CANNOT, Hedger, build_for
from hedgerow_hedger.interface_state import interface_state
from hedgerow_hedger.iproute import IprouteError, interface_towards
from hedgerow_hedger.programs import SCOREBOARD_ENTRIES, Build, Identity, KernelPrograms, Mode
from hedgerow_node.control import ControlError
from hedgerow_node.protocol.hedger import (
    Assignment,
    CollectedHedges,
    CollectHedges,
    FaultRules,
    HedgerPing,
    HedgerStatus,
    InterfaceQuery,
    NetemPhases,
    NetemRules,
    SetMode,
    check_replicas,
)
from hedgerow_node.sources import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hedgerow_node.protocol import JsonObject
    from hedgerow_node.supervisor import Supervisor


class HedgerSlot:
    """Has one hedger at a time, or none; `say` as in `Hedger`.

    `testbed` says whether it is told what to do: then there may be network faults, and hedges' records are kept.
    """

    def __init__(self, say: Callable[[str], None], testbed: bool) -> None:
        self._say, self._testbed = say, testbed
        self._hedger: Hedger | None = None
        self._programs: dict[Build, KernelPrograms] = {}

    @property
    def hedger(self) -> Hedger:
        """The present hedger; ControlError where there is none."""
        if self._hedger is None:
            raise ControlError("no hedger is at work; configure comes first")
        return self._hedger

    def configure(
        self, assignment: Assignment, interface: str, scoreboard_entries: int = SCOREBOARD_ENTRIES
    ) -> Hedger:
        """Replaces the present hedger by one on `interface`; raises what `Hedger` does, and then there is none."""
        self._end()
        build = build_for(assignment, self._testbed, scoreboard_entries)
        self._hedger = Hedger(interface, assignment, lambda: self._programs_for(build), self._say, self._testbed)
        return self._hedger

    def release(self) -> None:
        """Ends the present hedger, if there is one; everything it made is removed."""
        self._end()
        self._close_programs()

    def poll(self) -> None:
        """Lets the present hedger take over what the kernel has reported."""
        if self._hedger is not None:
            self._hedger.poll()

    def status(self) -> HedgerStatus:
        """Where and how it hedges."""
        if self._hedger is None:
            return HedgerStatus()
        return HedgerStatus(self._hedger.interface, self._hedger.engine, self._hedger.delay_line)

    def _end(self) -> None:
        hedger, self._hedger = self._hedger, None
        if hedger is not None:
            hedger.set_mode(Mode.OFF)
            hedger.close()

    def _programs_for(self, build: Build) -> KernelPrograms:
        """Those of a hedger before, where they fit: compiling takes more than a second."""
        if build not in self._programs:
            self._programs[build] = KernelPrograms(build)
        return self._programs[build]

    def _close_programs(self) -> None:
        while self._programs:
            self._programs.popitem()[1].close()


@contextmanager
def _refusals() -> Iterator[None]:
    """What the hedger cannot do becomes the answer to the request."""
    try:
        yield
    except CANNOT as error:
        raise ControlError(str(error)) from error


def add_operations(supervisor: Supervisor, slot: HedgerSlot) -> None:
    """Lets `supervisor` answer requests, whose fields `hedgerow_node.protocol.hedger` describes.

    `configure` compiles the programs the first time, which takes more than a second. `attach` and `detach` put
    splitter and responder in place and remove them, while the delay line stays. `interface` needs no hedger.
    """

    def ping(_: JsonObject) -> JsonObject:
        status = slot.status()
        return HedgerPing(status.interface, status.engine, status.delay_line, sources=digest("hedger")).to_json()

    def configure(request: JsonObject) -> JsonObject:
        assignment = Assignment.from_json(request)
        with _refusals():
            # By which interface the servers are reached is not known beforehand in a container.
            slot.configure(assignment, interface_towards(assignment.services[0][0][0]))
        return slot.status().to_json()

    def attach(_: JsonObject) -> None:
        hedger = slot.hedger
        with _refusals():
            hedger.attach()

    def set_mode(request: JsonObject) -> None:
        message = SetMode.from_json(request)
        slot.hedger.set_mode(Mode[message.mode.upper()], Identity[message.identity.upper()], message.block)

    def collect(request: JsonObject) -> JsonObject:
        rows = slot.hedger.write_hedges(Path(CollectHedges.from_json(request).hedges))
        return CollectedHedges(rows, slot.hedger.counters()).to_json()

    def interface(request: JsonObject) -> JsonObject:
        towards = InterfaceQuery.from_json(request).towards
        try:
            return {"state": interface_state(interface_towards(towards)).to_json()}
        except (IprouteError, OSError) as error:
            raise ControlError(f"interface: {error}") from error

    supervisor.operation("ping", ping)
    supervisor.operation("configure", configure)
    supervisor.operation("release", lambda _: slot.release())
    supervisor.operation("mode", set_mode)
    supervisor.operation("attach", attach)
    supervisor.operation("detach", lambda _: slot.hedger.detach())
    supervisor.operation("stats", lambda _: slot.hedger.statistics().to_json())
    supervisor.operation("collect", collect)
    supervisor.operation("delay-line", lambda _: {"statistics": slot.hedger.delay_line_statistics()})
    supervisor.operation("interface", interface)
    _add_fault_operations(supervisor, slot)


def _add_fault_operations(supervisor: Supervisor, slot: HedgerSlot) -> None:
    def put_faults(request: JsonObject) -> None:
        hedger, message = slot.hedger, FaultRules.from_json(request)
        check_replicas(message.rules, hedger.replicas)
        with _refusals():
            hedger.network_faults.put(message)

    def put_netem(request: JsonObject) -> JsonObject:
        hedger, message = slot.hedger, NetemRules.from_json(request)
        check_replicas(message.rules, hedger.replicas)
        with _refusals():
            return hedger.netem_faults.put(message.rules).to_json()

    def prepare_netem(request: JsonObject) -> None:
        hedger, message = slot.hedger, NetemPhases.from_json(request)
        for phase in message.phases:
            check_replicas(phase.rules, hedger.replicas)
        with _refusals():
            hedger.netem_faults.prepare([phase.rules for phase in message.phases])

    supervisor.operation("faults", put_faults)
    supervisor.operation("fault-hits", lambda _: slot.hedger.network_faults.hits().to_json())
    supervisor.operation("netem", put_netem)
    supervisor.operation("prepare-netem", prepare_netem)
