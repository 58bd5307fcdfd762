"""The hedger's netem classes: what is made when, and which packets are directed where; tc is only recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hedgerow_hedger.faults import netem as netem_faults
from hedgerow_hedger.faults.netem import HANDLE, NetemError, NetemFaults
from hedgerow_hedger.iproute import IprouteError, Qdisc
from hedgerow_node.protocol.hedger import NetemClass, NetemKind, NetemRule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = f"{HANDLE:x}:"
MS = 1_000_000


class FakeKernel:
    """An interface whose root qdisc and classes tc changes, the map that names them, and the order of it all."""

    def __init__(self, allows_duplicates: bool = True) -> None:
        self.allows_duplicates = allows_duplicates
        self.rooted = False
        self.classes: dict[str, str] = {}  #: options, by parent
        self.counters: dict[str, dict[str, int]] = {}  #: of each class
        self.directed: dict[int, int] = {}  #: number of the class, by replica
        self.done: list[str] = []

    def batch(self, _tool: str, commands: Sequence[str]) -> None:
        for command in commands:
            words = command.split()
            self.done.append(words[1])
            match words[1], words[4]:
                case "add", "root":
                    self.rooted = True
                case "delete", "root":
                    self.rooted, self.classes, self.counters = False, {}, {}
                case "delete", "parent":
                    assert self.number(words[5]) not in self.directed.values(), "packets still go there"
                    del self.classes[words[5]], self.counters[words[5]]
                case "replace", "parent":
                    self._add(words[5], command.partition(" netem ")[2].partition(" limit ")[0])

    def _add(self, parent: str, options: str) -> None:
        others = [*self.classes.values()]
        if not self.allows_duplicates and others and any("duplicate" in each for each in [options, *others]):
            raise IprouteError("netem: cannot mix duplicating netems with other netems in tree")
        self.classes[parent] = options
        self.counters[parent] = {"packets": 0, "drops": 0, "qlen": 0}

    def qdiscs(self) -> list[Qdisc]:
        root = [Qdisc("eth0", "prio", ROOT, "", True, {})] if self.rooted else []
        return root + [Qdisc("eth0", "netem", "", parent, False, made) for parent, made in self.counters.items()]

    def write_netem_classes(self, classes: Mapping[int, int]) -> None:
        self.directed = {replica: class_ & 0xFFFF for replica, class_ in classes.items()}
        assert all(f"{ROOT}{number:x}" in self.classes for number in self.directed.values()), "no such class"
        self.done.append("map")

    @staticmethod
    def number(parent: str) -> int:
        return int(parent.partition(":")[2], 16)

    def options_of(self, replica: int) -> str:
        """Of the class of its requests."""
        return self.classes[f"{ROOT}{self.directed[replica]:x}"]

    def count(self, options: str, **counted: int) -> None:
        """The class has these counters now."""
        (parent,) = [parent for parent, made in self.classes.items() if made == options]
        self.counters[parent] |= counted


class FakeAttachments:
    def classify(self, *_: Any) -> None: ...


class FakePrograms:
    def load(self, _: str) -> int:
        return 0


def set_up(monkeypatch: pytest.MonkeyPatch, kernel: FakeKernel) -> NetemFaults:
    monkeypatch.setattr(netem_faults, "batch", kernel.batch)
    monkeypatch.setattr(netem_faults, "qdiscs", kernel.qdiscs)
    monkeypatch.setattr(netem_faults, "FaultMaps", lambda _: kernel)
    return NetemFaults(FakePrograms(), FakeAttachments(), "eth0", 2)  # type: ignore[arg-type]


@pytest.fixture
def kernel() -> FakeKernel:
    return FakeKernel()


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch, kernel: FakeKernel) -> NetemFaults:
    return set_up(monkeypatch, kernel)


def rule(
    kind: NetemKind = NetemKind.LOSS, replica: int = 0, percent: float = 100.0, delay_ns: int | None = None
) -> NetemRule:
    return NetemRule("0.0", kind, replica, percent, delay_ns)


LOSS, PARTITION = rule(percent=5), rule(NetemKind.PARTITION, 1)
DELAY = rule(NetemKind.DELAY, delay_ns=MS)
DUPLICATE = rule(NetemKind.DUPLICATE, 2, 10)


def test_what_was_prepared_begins_and_ends_by_the_map_alone(faults: NetemFaults, kernel: FakeKernel) -> None:
    faults.prepare([[LOSS], [LOSS, PARTITION], [PARTITION]])
    assert (kernel.done, kernel.directed) == (["add", "replace", "replace"], {})
    for rules in ([LOSS], [LOSS, PARTITION], [PARTITION], [], [LOSS], []):
        kernel.done.clear()
        faults.put(rules)
        assert kernel.done == ["map"]
        assert set(kernel.directed) == {each.replica for each in rules}
    assert len(kernel.classes) == 2
    faults.prepare([])
    assert (kernel.rooted, kernel.classes, kernel.directed) == (False, {}, {})


def test_what_was_not_prepared_is_made_by_put_and_removed_afterwards(faults: NetemFaults, kernel: FakeKernel) -> None:
    faults.put([LOSS])
    assert kernel.done == ["add", "replace", "map"]
    faults.put([PARTITION])
    assert [*kernel.classes.values()] == ["loss 100%"]
    faults.put([])
    assert not kernel.rooted


def test_a_class_that_holds_packets_back_goes_when_it_has_sent_them(faults: NetemFaults, kernel: FakeKernel) -> None:
    faults.prepare([[DELAY]])
    faults.put([DELAY])
    kernel.count("delay 1000.000us", packets=3, qlen=2)
    assert faults.put([]).was == (NetemClass("delay 1000.000us", (0,), packets=5, drops=0, qlen=2),)
    faults.prepare([])
    assert kernel.rooted
    kernel.count("delay 1000.000us", packets=5, qlen=0)
    faults.settle()
    assert not kernel.rooted


def test_packets_held_back_at_the_end_of_one_time_are_not_counted_in_the_next(
    faults: NetemFaults, kernel: FakeKernel
) -> None:
    faults.prepare([[DELAY]])
    faults.put([DELAY])
    kernel.count("delay 1000.000us", qlen=4)
    faults.put([])
    kernel.count("delay 1000.000us", packets=4, qlen=0)
    faults.put([DELAY])
    (was,) = faults.put([]).was
    assert (was.packets, was.drops) == (0, 0)


def test_a_class_that_duplicates_is_not_prepared_beside_others(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = FakeKernel(allows_duplicates=False)
    faults = set_up(monkeypatch, kernel)
    faults.prepare([[LOSS], [DUPLICATE]])
    assert kernel.classes == {}
    for rules, options in (([LOSS], "loss 5.0000000%"), ([DUPLICATE], "duplicate 10.0000000%")):
        faults.put(rules)
        assert kernel.options_of(rules[0].replica) == options
    with pytest.raises(NetemError, match="cannot mix"):
        faults.put([LOSS, DUPLICATE])
    assert not kernel.rooted
    faults.prepare([[DUPLICATE]])
    assert len(kernel.classes) == 1


def test_a_prepared_class_gives_way_to_one_that_stands_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = FakeKernel(allows_duplicates=False)
    faults = set_up(monkeypatch, kernel)
    faults.prepare([[LOSS]])
    faults.put([DUPLICATE])
    assert [*kernel.classes.values()] == ["duplicate 10.0000000%"]


def test_classes_that_there_is_no_room_for_are_made_by_put(faults: NetemFaults, kernel: FakeKernel) -> None:
    phases = [[rule(percent=percent)] for percent in range(1, 30)]
    faults.prepare(phases)
    assert not kernel.rooted
    for phase in phases:
        faults.put(phase)
        assert kernel.options_of(0).startswith(f"loss {phase[0].percent:.1f}")
    assert len(kernel.classes) == 1


def test_as_much_is_prepared_as_those_leave_room_for_that_still_hold_packets(
    faults: NetemFaults, kernel: FakeKernel
) -> None:
    faults.put([DELAY])
    kernel.count("delay 1000.000us", qlen=1)
    faults.put([])
    faults.prepare([[rule(percent=percent)] for percent in range(1, 16)])
    assert len(kernel.classes) == 15
    kernel.count("delay 1000.000us", packets=1, qlen=0)
    faults.settle()
    faults.put([rule(percent=15)])
    assert kernel.options_of(0) == "loss 15.0000000%"


def test_rules_that_contradict_each_other_change_nothing(faults: NetemFaults, kernel: FakeKernel) -> None:
    faults.put([LOSS])
    for refused in (lambda: faults.put([LOSS, LOSS]), lambda: faults.prepare([[LOSS, LOSS]])):
        with pytest.raises(NetemError, match="two network faults set loss"):
            refused()
    assert kernel.options_of(0) == "loss 5.0000000%"


def test_a_qdisc_that_another_program_has_removed_is_missed(faults: NetemFaults, kernel: FakeKernel) -> None:
    faults.put([LOSS])
    kernel.classes.clear()
    kernel.counters.clear()
    with pytest.raises(NetemError, match="another program has removed the qdisc of netem's class 2"):
        faults.put([])
    assert not kernel.rooted
