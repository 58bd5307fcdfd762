"""Network faults by netem, where the kernel has it: qdiscs at the root of the client's interface, for requests only.

The packets to each replica go through a class of their own; all others pass by. netem throws its own dice, so which
copies are struck differs from run to run.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from attachments import Attachments
from delay_link import NETEM_LIMIT
from fault_maps import FaultMaps
from fault_rules import NetemKind, NetemRule
from iproute import IprouteError, batch, output
from kernel_programs import KernelPrograms

HANDLE = 0x4EF  #: of the root qdisc; those of its classes' qdiscs follow
_CLASSES = range(2, 17)  #: a prio qdisc has sixteen; the first is for packets that no rule is about
_NS_PER_US = 1_000


class NetemError(Exception):
    """netem cannot do what the rules ask; the message says why and what to do."""


def netem_options(rules: Sequence[NetemRule]) -> str:
    """The options of one netem qdisc that does all that `rules`, of one replica, say; NetemError where none can."""
    words: dict[str, str] = {}
    parted = any(rule.kind is NetemKind.PARTITION for rule in rules)
    for rule in rules:
        if parted and rule.kind is NetemKind.LOSS:
            continue  # of everything, by the partition
        for option, value in _options(rule).items():
            if option in words:
                raise NetemError(
                    f"netem: two network faults set {option} for replica {rule.replica}; declare one, or model: ebpf"
                )
            words[option] = value
    # What is reordered is what is not delayed, so tc wants the delay first.
    return " ".join(f"{option} {words[option]}" for option in sorted(words, key=_ORDER.index))


_ORDER = ("delay", "reorder", "loss", "duplicate", "corrupt", "rate")


def _options(rule: NetemRule) -> dict[str, str]:
    percent, delay = f"{rule.percent:.7f}%", f"{rule.delay_ns / _NS_PER_US:.3f}us"
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
    told: Counter[str] = field(default_factory=Counter, compare=False)  #: of its counters, those answered before


class NetemFaults:
    """The qdiscs in place on an interface, or none.

    A class that no rule needs any more takes no further packet, and goes when it has sent on what it holds back.
    """

    def __init__(self, programs: KernelPrograms, attachments: Attachments, interface: str, ifindex: int) -> None:
        self._programs, self._attachments = programs, attachments
        self._interface, self._ifindex = interface, ifindex
        self._maps = FaultMaps(programs)
        self._rooted = False  #: whether our root qdisc is in place
        self._classes: dict[int, _Class] = {}  #: by number
        self._retired: list[int] = []

    def put(self, rules: Sequence[NetemRule]) -> list[dict[str, Any]]:
        """Puts `rules` in force in place of those before; answers what these have done since the last call.

        That is, for each class, its options and replicas, and how many packets it has sent on (`packets`), dropped
        (`drops`) and holds (`qlen`).

        Raises NetemError where the rules contradict each other, and changes nothing; NetemError, IprouteError,
        AttachError or ProgramsError where the kernel refuses them, and then none are in force.
        """
        groups = _groups(rules)
        done = self._statistics()
        try:
            self._change(groups)
            self.settle()
        except Exception:
            self.close()
            raise
        return done

    def settle(self) -> None:
        """Takes away what no rule needs and what holds no packet; to be called now and then."""
        if not self._retired:
            return
        by_parent = _by_parent(self._interface)
        empty = [number for number in self._retired if not _held(by_parent, number)]
        if not self._classes and empty == self._retired:
            self.close()
            return
        for number in empty:
            _tc(f"qdisc delete dev {self._interface} parent {_name(number)}")
            self._retired.remove(number)

    def close(self) -> None:
        """Takes the qdiscs away at once: packets that they hold back are lost. Harmless where there are none."""
        if self._rooted:
            self._maps.write_netem_classes({})
            remove_root(self._interface)
        self._rooted, self._classes, self._retired = False, {}, []

    def _change(self, groups: Sequence[_Class]) -> None:
        try:
            self._arrange(groups)
        except NetemError:
            if not self._rooted:
                raise
            # Newer kernels suffer no netem beside one that duplicates: the others must be gone before it comes.
            self._arrange([group for group in groups if group in self._classes.values()])
            self.settle()
            self._arrange(groups)

    def _arrange(self, groups: Sequence[_Class]) -> None:
        if groups and not self._rooted:
            self._make_root()
        arranged = {number: group for number, group in self._classes.items() if group in groups}
        for group in groups:
            if group not in arranged.values():
                number = self._free_number(arranged)
                _tc(
                    f"qdisc replace dev {self._interface} parent {_name(number)} handle {HANDLE + number:x}:"
                    f" netem {group.options} limit {NETEM_LIMIT}"
                )
                arranged[number] = group
        # Packets go to the new classes before the old ones may be taken away.
        self._maps.write_netem_classes(
            {replica: HANDLE << 16 | number for number, group in arranged.items() for replica in group.replicas}
        )
        self._retired += [number for number in self._classes if number not in arranged]
        self._classes = arranged

    def _make_root(self) -> None:
        for qdisc in _qdiscs(self._interface):
            if qdisc.get("root") and qdisc["handle"] != "0:":
                raise NetemError(
                    f"{self._interface} has a qdisc {qdisc['kind']} of somebody's at its root, which netem would"
                    " replace; take it away, or declare the fault with model: ebpf"
                )
        _tc(f"qdisc add dev {self._interface} root handle {HANDLE:x}: prio bands 16 priomap {' '.join('0' * 16)}")
        self._rooted = True
        self._attachments.classify(self._ifindex, HANDLE << 16, "netem_class", self._programs.load("netem_class"))

    def _free_number(self, arranged: Mapping[int, _Class]) -> int:
        taken = {*self._classes, *self._retired, *arranged}
        free = [number for number in _CLASSES if number not in taken]
        if not free:
            raise NetemError(
                f"netem: no class is free for another fault; at most {len(_CLASSES)} at a time, those included"
                " that have ended and hold packets back"
            )
        return free[0]

    def _statistics(self) -> list[dict[str, Any]]:
        by_parent = _by_parent(self._interface) if self._classes else {}
        answer = []
        for number, one in self._classes.items():
            now = by_parent[_name(number)]
            counted = Counter({name: now[name] for name in ("packets", "drops")})
            since = {name: counted[name] - one.told[name] for name in counted}
            answer.append({"options": one.options, "replicas": one.replicas, **since, "qlen": now["qlen"]})
            one.told = counted
        return answer


def remove_root(interface: str) -> bool:
    """Removes our root qdisc with all below it, and says whether there was one; others stay."""
    for qdisc in _qdiscs(interface):
        if qdisc.get("root") and qdisc["handle"] == f"{HANDLE:x}:":
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


def _qdiscs(interface: str) -> list[dict[str, Any]]:
    """Those of the interface, with statistics; none where it is gone."""
    found: list[dict[str, Any]] = json.loads(output("tc", "-s", "-json", "qdisc", "show"))
    return [qdisc for qdisc in found if qdisc["dev"] == interface]


def _by_parent(interface: str) -> dict[str, dict[str, Any]]:
    return {qdisc["parent"]: qdisc for qdisc in _qdiscs(interface) if "parent" in qdisc}


def _held(by_parent: Mapping[str, dict[str, Any]], number: int) -> int:
    return int(by_parent.get(_name(number), {}).get("qlen", 0))


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
