"""What the orchestrator can ask of the hedger over its control socket."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hedgerow_hedger.assignment import read_assignment
from hedgerow_hedger.faults.rules import read_fault_rules, read_netem_phases, read_netem_rules
from hedgerow_hedger.hedger import CANNOT, Assignment, Hedger
from hedgerow_hedger.interface_state import interface_state
from hedgerow_hedger.iproute import IprouteError, interface_towards
from hedgerow_hedger.programs import Identity, KernelPrograms, Mode
from hedgerow_node.control import ControlError, Message
from hedgerow_node.fields import Fields
from hedgerow_node.sources import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hedgerow_node.supervisor import Supervisor

_MODES = {mode.name.lower(): mode for mode in Mode}
_IDENTITIES = {identity.name.lower(): identity for identity in Identity}


class Post:
    """Where one hedger at a time is at work, or none yet; `say` and `keep_hedges` as in `Hedger`."""

    def __init__(self, say: Callable[[str], None], keep_hedges: bool) -> None:
        self._say, self._keep_hedges = say, keep_hedges
        self._hedger: Hedger | None = None
        self._programs: tuple[int, KernelPrograms] | None = None  #: and for how many entries of the scoreboard

    @property
    def hedger(self) -> Hedger:
        """The hedger at work; ControlError where there is none."""
        if self._hedger is None:
            raise ControlError("no hedger is at work; configure comes first")
        return self._hedger

    def fill(self, assignment: Assignment) -> Hedger:
        """Puts a hedger to work in place of the one before; raises what `Hedger` does, and then there is none."""
        self._end()
        self._hedger = Hedger(assignment, self._programs_for, self._say, self._keep_hedges)
        return self._hedger

    def clear(self) -> None:
        """Ends the hedger at work, if there is one; everything it made is taken away."""
        self._end()
        self._close_programs()

    def _end(self) -> None:
        hedger, self._hedger = self._hedger, None
        if hedger is not None:
            hedger.set_mode(Mode.OFF)
            hedger.close()

    def _programs_for(self, scoreboard_entries: int) -> KernelPrograms:
        """Those of the hedger before, where they will do: compiling takes more than a second."""
        if self._programs is not None and self._programs[0] != scoreboard_entries:
            self._close_programs()
        if self._programs is None:
            self._programs = (scoreboard_entries, KernelPrograms(scoreboard_entries))
        return self._programs[1]

    def _close_programs(self) -> None:
        programs, self._programs = self._programs, None
        if programs is not None:
            programs[1].close()

    def poll(self) -> None:
        """Lets the hedger at work take over what the kernel has reported."""
        if self._hedger is not None:
            self._hedger.poll()

    def describe(self) -> Message:
        """Where and how it hedges; nulls where it does not."""
        if self._hedger is None:
            return {"interface": None, "engine": None, "delay_line": None}
        return {"interface": self._hedger.interface, "engine": "clone", "delay_line": self._hedger.delay_line}


@contextmanager
def _refusals() -> Iterator[None]:
    """What the hedger cannot do, as the answer to whoever asked."""
    try:
        yield
    except CANNOT as error:
        raise ControlError(str(error)) from error


def add_operations(supervisor: Supervisor, post: Post) -> None:
    """Lets `supervisor` answer:

    - `ping` → `{"role", "interface", "engine", "delay_line", "sources"}`
    - `configure` (see `assignment.py`): puts a hedger to work in mode off, in place of the one before; answers
      interface, engine and delay line. The first time it compiles, which takes more than a second
    - `release`: ends it
    - `mode` `{"mode": "off"|"tap"|"hedge", "identity": "flow"|"block", "block": int}`
    - `attach`, `detach`: puts splitter and responder in place or takes them away, the delay line staying
    - `stats` → counters, kernel latency, lateness since the last call
    - `collect` `{"hedges": path}` → writes the hedges since the last one, answers their number and the counters
    - `delay-line` → `{"statistics": text}`
    - `faults` `{"seed", "rules": [{"key", "kind", "direction", "replica", "first_id", "last_id", "percent",
      "delay_ns"}]}`: network faults by eBPF, in place of those before (`faults/rules.py`)
    - `fault-hits` → `{"hits": {key: copies struck}, "failed": copies that could not be}`
    - `netem` `{"rules": [{"key", "kind", "replica", "percent", "delay_ns", "rate_bit_per_s"}]}`: network faults by
      netem, in place of those before → `{"at_ns", "was": [{"options", "replicas", "packets", "drops", "qlen"}]}`:
      since when they are in force, and what those before did
    - `prepare-netem` `{"phases": [{"rules": [as above]}]}`: makes beforehand what `netem` needs for each of them, in
      place of what was prepared before, so that it takes no time
    - `interface` `{"towards": address}` → `{"state": …}` of the interface by which packets go there, whether or not a
      hedger is at work; see `interface_state.py`
    """

    def configure(request: Message) -> Message:
        with _refusals():
            post.fill(read_assignment(Fields(request)))
        return post.describe()

    def attach(_: Message) -> None:
        hedger = post.hedger
        with _refusals():
            hedger.attach()

    def set_mode(request: Message) -> None:
        fields = Fields(request)
        mode, identity = fields.text("mode", *_MODES), fields.text("identity", *_IDENTITIES)
        post.hedger.set_mode(_MODES[mode], _IDENTITIES[identity], fields.integer("block", minimum=0))

    def collect(request: Message) -> Message:
        rows = post.hedger.write_hedges(Path(Fields(request).text("hedges")))
        return {"rows": rows, "counters": post.hedger.counters()}

    def interface(request: Message) -> Message:
        try:
            return {"state": interface_state(interface_towards(Fields(request).text("towards")))}
        except (IprouteError, OSError) as error:
            raise ControlError(f"interface: {error}") from error

    supervisor.operation("ping", lambda _: {"role": "hedger", **post.describe(), "sources": digest("hedger")})
    supervisor.operation("configure", configure)
    supervisor.operation("release", lambda _: post.clear())
    supervisor.operation("mode", set_mode)
    supervisor.operation("attach", attach)
    supervisor.operation("detach", lambda _: post.hedger.detach())
    supervisor.operation("stats", lambda _: post.hedger.statistics())
    supervisor.operation("collect", collect)
    supervisor.operation("delay-line", lambda _: {"statistics": post.hedger.delay_line_statistics()})
    supervisor.operation("interface", interface)
    _add_fault_operations(supervisor, post)


def _add_fault_operations(supervisor: Supervisor, post: Post) -> None:
    def put_faults(request: Message) -> None:
        hedger = post.hedger
        rules = read_fault_rules(Fields(request), hedger.replicas)
        with _refusals():
            hedger.network_faults.put(rules)

    def put_netem(request: Message) -> Message:
        hedger = post.hedger
        rules = read_netem_rules(Fields(request), hedger.replicas)
        with _refusals():
            at_ns, was = hedger.netem_faults.put(rules)
        return {"at_ns": at_ns, "was": was}

    def prepare_netem(request: Message) -> None:
        hedger = post.hedger
        phases = read_netem_phases(Fields(request), hedger.replicas)
        with _refusals():
            hedger.netem_faults.prepare(phases)

    def fault_hits(_: Message) -> Message:
        faults = post.hedger.network_faults
        return {"hits": faults.hits(), "failed": faults.failed()}

    supervisor.operation("faults", put_faults)
    supervisor.operation("fault-hits", fault_hits)
    supervisor.operation("netem", put_netem)
    supervisor.operation("prepare-netem", prepare_netem)
