"""Network faults by netem, where the kernel has it: qdiscs at the root of the client's interface, for requests only.

The packets to each replica go through a class of their own; all others pass by. netem draws its own random numbers,
so which copies it affects differs from run to run.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hedgerow_hedger.delay_link import NETEM_LIMIT
from hedgerow_hedger.faults.maps import FaultMaps
from hedgerow_hedger.iproute import IprouteError, Qdisc, batch, qdiscs
from hedgerow_node.clock import now_ns
from hedgerow_node.protocol.hedger import NetemChange, NetemClass, NetemKind, NetemRule
from hedgerow_node.units import NS_PER_US

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hedgerow_hedger.attachments import Attachments
    from hedgerow_hedger.programs import KernelPrograms

HANDLE = 0x4EF  #: of the root qdisc; those of its classes' qdiscs follow
_CLASSES = range(2, 17)  #: a prio qdisc has sixteen; the first is for packets that no rule is about


class NetemError(Exception):
    """netem cannot do what the rules ask; the message says why and what to do."""


def netem_options(rules: Sequence[NetemRule]) -> str:
    """The options of the one netem qdisc that applies all `rules` of a replica; NetemError where there is none."""
    values: dict[str, str] = {}
    is_partitioned = any(rule.kind is NetemKind.PARTITION for rule in rules)
    for rule in rules:
        if is_partitioned and rule.kind is NetemKind.LOSS:
            continue  # the partition loses everything
        for option, value in _options(rule).items():
            if option in values:
                raise NetemError(
                    f"netem: two network faults set {option} for replica {rule.replica}; declare one, or model: ebpf"
                )
            values[option] = value
    # What is reordered is what is not delayed, so tc wants the delay first.
    return " ".join(f"{option} {values[option]}" for option in sorted(values, key=_ORDER.index))


_ORDER = ("delay", "reorder", "loss", "duplicate", "corrupt", "rate")


def _options(rule: NetemRule) -> dict[str, str]:
    percent, delay = f"{rule.percent:.7f}%", f"{(rule.delay_ns or 0) / NS_PER_US:.3f}us"
    match rule.kind:
        case NetemKind.DELAY if rule.percent < 100:
            return {"delay": delay, "reorder": f"{100 - rule.percent:.7f}%"}
        case NetemKind.DELAY:
            return {"delay": delay}
        case NetemKind.REORDER:
            return {"delay": delay, "reorder": percent}
        case NetemKind.PARTITION:
            return {"loss": "100%"}
        case NetemKind.RATE:
            return {"rate": f"{rule.rate_bit_per_s}bit"}
        case _:
            return {rule.kind.value: percent}


@dataclass
class _Class:
    """What the netem of a class does, and to which replicas' requests."""

    options: str
    replicas: list[int]
    reported: Counter[str] = field(default_factory=Counter, compare=False)  #: its counters as of the last answer


class NetemFaults:
    """The qdiscs in place on an interface, or none.

    Making them takes milliseconds, directing packets to a class takes microseconds: so what is known beforehand is
    made beforehand (`prepare`). A class that is not needed any more takes no further packets and is removed when it
    has sent those that it holds.
    """

    def __init__(self, programs: KernelPrograms, attachments: Attachments, interface: str, ifindex: int) -> None:
        self._programs, self._attachments = programs, attachments
        self._interface, self._ifindex = interface, ifindex
        self._maps = FaultMaps(programs)
        self._rooted = False  #: whether our root qdisc is in place
        self._made: dict[int, _Class] = {}  #: all classes but those retired, by number
        self._in_force: set[int] = set()
        self._prepared: list[_Class] = []  #: they stay, in force or not
        self._retired: list[int] = []

    def prepare(self, phases: Sequence[Sequence[NetemRule]]) -> None:
        """Makes what `put` needs for each of `phases`, in place of what was prepared before; puts nothing in force.

        Classes that there is no room for, or that cannot exist beside others, are made by `put`. Raises what that
        does.
        """
        wanted: list[_Class] = []
        for phase in phases:
            wanted += [group for group in _groups(phase) if group not in wanted]
        # Newer kernels reject any other netem beside one that duplicates.
        is_exclusive = len(wanted) > 1 and any("duplicate" in group.options for group in wanted)
        self._prepared = [] if is_exclusive or len(wanted) > len(_CLASSES) else wanted
        try:
            self._retire()
            self.settle()
            missing = [group for group in self._prepared if group not in self._made.values()]
            self._make(missing[: len(_CLASSES) - len(self._made) - len(self._retired)])
        except Exception:
            self.close()
            raise

    def put(self, rules: Sequence[NetemRule]) -> NetemChange:
        """Puts `rules` in force in place of those before.

        Raises NetemError where the rules contradict each other, and changes nothing; NetemError, IprouteError,
        AttachError or ProgramsError where the kernel refuses them, and then none are in force.
        """
        groups = _groups(rules)
        try:
            answer = self._change(groups)
            self.settle()
        except Exception:
            self.close()
            raise
        return answer

    def settle(self) -> None:
        """Removes classes that are not needed any more and hold no packet; to be called every now and then."""
        if not self._retired:
            return
        by_parent = _by_parent(self._interface)
        empty = [number for number in self._retired if not _held(by_parent, number)]
        if not self._made and empty == self._retired:
            self.close()
            return
        for number in empty:
            _tc(f"qdisc delete dev {self._interface} parent {_name(number)}")
            self._retired.remove(number)

    def close(self) -> None:
        """Removes the qdiscs at once: packets that they hold are lost. Harmless where there are none."""
        if self._rooted:
            self._maps.write_netem_classes({})
            remove_root(self._interface)
        self._rooted, self._made, self._in_force, self._retired = False, {}, set(), []

    def _change(self, groups: Sequence[_Class]) -> NetemChange:
        before = {number: self._made[number] for number in self._in_force}
        try:
            self._make(groups)
        except NetemError:
            if not self._rooted:
                raise
            # Perhaps one that cannot exist beside others: those that are not needed are removed first.
            self._enforce([group for group in groups if group in before.values()])
            done = self._statistics(before)
            self._prepared = []
            self._retire()
            self.settle()
            self._make(groups)
            return NetemChange(self._enforce(groups), done)
        since_ns = self._enforce(groups)
        done = self._statistics(before)
        self._retire()
        return NetemChange(since_ns, done)

    def _make(self, groups: Sequence[_Class]) -> None:
        if groups and not self._rooted:
            self._make_root()
        for group in groups:
            if group not in self._made.values():
                number = self._free_number()
                _tc(
                    f"qdisc replace dev {self._interface} parent {_name(number)} handle {HANDLE + number:x}:"
                    f" netem {group.options} limit {NETEM_LIMIT}"
                )
                self._made[number] = group

    def _enforce(self, groups: Sequence[_Class]) -> int:
        """Sends packets to the replicas of `groups`, all of which are made, there; since when."""
        numbers = {number: made for number, made in self._made.items() if made in groups}
        self._maps.write_netem_classes(
            {replica: HANDLE << 16 | number for number, made in numbers.items() for replica in made.replicas}
        )
        self._in_force = set(numbers)
        return now_ns()

    def _retire(self) -> None:
        """Gives up the classes that are neither in force nor prepared: no packet goes there any more."""
        for number in [*self._made]:
            if number not in self._in_force and self._made[number] not in self._prepared:
                del self._made[number]
                self._retired.append(number)

    def _make_root(self) -> None:
        for qdisc in _qdiscs(self._interface):
            if qdisc.is_root and qdisc.handle != "0:":
                raise NetemError(
                    f"{self._interface} has a qdisc {qdisc.kind} at its root that is not Hedgerow's, and netem would"
                    " replace it; remove it, or declare the fault with model: ebpf"
                )
        _tc(f"qdisc add dev {self._interface} root handle {HANDLE:x}: prio bands 16 priomap {' '.join('0' * 16)}")
        self._rooted = True
        self._attachments.classify(self._ifindex, HANDLE << 16, "netem_class", self._programs.load("netem_class"))

    def _free_number(self) -> int:
        taken = {*self._made, *self._retired}
        free = [number for number in _CLASSES if number not in taken]
        if not free:
            raise NetemError(
                f"netem: no class is free for another fault; there are {len(_CLASSES)}, and those of faults that have"
                " ended are taken while they hold packets"
            )
        return free[0]

    def _statistics(self, classes: Mapping[int, _Class]) -> tuple[NetemClass, ...]:
        by_parent = _by_parent(self._interface) if classes else {}
        answer = []
        for number, one in classes.items():
            qdisc = by_parent.get(_name(number))
            if qdisc is None:
                raise NetemError(
                    f"{self._interface}: another program has removed the qdisc of netem's class {number}"
                )
            # The kernel counts a packet as it leaves: those still held belong to this phase, not to the next one.
            held = qdisc.counters["qlen"]
            counted = Counter(packets=qdisc.counters["packets"] + held, drops=qdisc.counters["drops"])
            packets, drops = (counted[name] - one.reported[name] for name in ("packets", "drops"))
            answer.append(NetemClass(one.options, tuple(one.replicas), packets, drops, held))
            one.reported = counted
        return tuple(answer)


def remove_root(interface: str) -> bool:
    """Removes our root qdisc with all below it; whether there was one. Other programs' qdiscs stay."""
    for qdisc in _qdiscs(interface):
        if qdisc.is_root and qdisc.handle == f"{HANDLE:x}:":
            batch("tc", [f"qdisc delete dev {interface} root"])
            return True
    return False


def _tc(command: str) -> None:
    try:
        batch("tc", [command])
    except IprouteError as error:
        raise NetemError(
            f"{error} (tc {command}); where this kernel has no netem, install the distribution's extra modules"
            " package (linux-modules-extra), or declare the fault with model: ebpf"
        ) from error


def _qdiscs(interface: str) -> list[Qdisc]:
    """Those of the interface; none where it is gone."""
    return [qdisc for qdisc in qdiscs() if qdisc.interface == interface]


def _by_parent(interface: str) -> dict[str, Qdisc]:
    return {qdisc.parent: qdisc for qdisc in _qdiscs(interface) if qdisc.parent}


def _held(by_parent: Mapping[str, Qdisc], number: int) -> int:
    qdisc = by_parent.get(_name(number))
    return 0 if qdisc is None else qdisc.counters.get("qlen", 0)


def _name(number: int) -> str:
    return f"{HANDLE:x}:{number:x}"


def _groups(rules: Sequence[NetemRule]) -> list[_Class]:
    """Replicas with the same options share a class, unless its rate were then one for all of them."""
    groups: list[_Class] = []
    for replica in sorted({rule.replica for rule in rules}):
        options = netem_options([rule for rule in rules if rule.replica == replica])
        alike = [group for group in groups if group.options == options and "rate" not in options]
        if alike:
            alike[0].replicas.append(replica)
        else:
            groups.append(_Class(options, [replica]))
    return groups
