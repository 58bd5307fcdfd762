"""What network faults do to single frames, and that the kernel's draw is the one that Python computes."""

from __future__ import annotations

import ctypes
import random
from typing import Literal

import pytest

from hedgerow_hedger.delay_link import LANE_HANDLE
from hedgerow_hedger.faults.maps import FaultMaps
from hedgerow_hedger.programs import Identity, Mode
from hedgerow_node.fault_draw import is_selected, rule_salt
from hedgerow_node.lanes import LANES
from hedgerow_node.protocol.hedger import FaultRule, FaultRules
from hedgerow_node.records import Winner
from hedgerow_node.wire import IdPlace
from support.datagrams import ID, request, response
from support.frames import Datagram
from support.kernel_bench import (
    CLIENT4,
    CLIENT6,
    DROPPED,
    MARK_HEDGE,
    MARK_PRIMER,
    PASSED,
    REDIRECTED,
    REPLICAS4,
    SERVER6,
    STOLEN,
    KernelBench,
    run,
)

#: Engines have no part in it.
pytestmark = pytest.mark.parametrize("programs", ["clone-testbed"], indirect=True)

MARK_FAULTED_REQUEST, MARK_FAULTED_RESPONSE = 0x4ED40000, 0x4ED50000
Ends = tuple[tuple[str, int], tuple[str, int]]
MAX_WORD = (1 << 64) - 1
DELAY_NS = 60_000_000_000
Kind = Literal["loss", "duplicate", "corrupt", "delay"]
Side = Literal["requests", "responses"]
SIDES: tuple[Side, ...] = ("requests", "responses")


class FaultBench:
    """The bench with the fault programs, three replicas and ids of eight bytes."""

    def __init__(self, bench: KernelBench) -> None:
        self.bench, self.maps = bench, FaultMaps(bench.programs)
        eight = IdPlace(0, 8)
        bench.configure(replicas=3, request_id=eight, response_id=eight, copy_ordinal=IdPlace(8, 1))
        bench.switch(Mode.TAP, Identity.BLOCK, block=1)

    def put(self, *rules: FaultRule, seed: int = 1) -> FaultRules:
        """Puts rules in force; what is delayed goes to the bench's delay link, what is corrupted to its other one."""
        written = FaultRules(seed, rules)
        link = self.bench.link
        self.maps.write(written, link.kind, link.near_ifindex, self.bench.out_ifindex, LANE_HANDLE)
        return written

    def leave(self, frame: bytes, **context: int) -> int:
        """A frame leaves: what the splitter and then the faults make of it."""
        verdict = self.bench.split(frame, **context)
        return run(self.bench.programs.load("fault_egress"), verdict.frame, mark=verdict.mark).action

    def leave_as_hedge(self, frame: bytes) -> int:
        """The hedge of the request that left as this frame leaves."""
        verdict = self.bench.hedge(frame)
        return run(self.bench.programs.load("fault_egress"), verdict.frame, mark=verdict.mark).action

    def arrive(self, frame: bytes) -> int:
        """A frame arrives: what the faults make of it."""
        return run(self.bench.programs.load("fault_ingress"), frame).action


@pytest.fixture
def faults(bench: KernelBench) -> FaultBench:
    return FaultBench(bench)


def rule(
    kind: Kind = "loss",
    direction: Side = "requests",
    replica: int = 0,
    ids: tuple[int, int] = (0, MAX_WORD),
    percent: float = 100,
    key: str = "0.0",
) -> FaultRule:
    return FaultRule(key, kind, direction, replica, *ids, percent, DELAY_NS if kind == "delay" else None)


def frames(request_id: int, replica: int = 0, size: int = 16) -> tuple[bytes, bytes]:
    """A request and a response."""
    asked = Datagram(CLIENT4, REPLICAS4[replica], request_id.to_bytes(8, "big") + bytes(size - 8))
    return asked.frame(), asked.reply(asked.payload).frame()


@pytest.mark.parametrize("draw", range(20))
def test_the_kernel_affects_exactly_the_copies_that_python_selects(faults: FaultBench, draw: int) -> None:
    dice = random.Random(draw)
    seed, percent, key = dice.getrandbits(64), dice.choice([0.5, 10, 50, 99.5]), f"{draw}.{dice.randrange(9)}"
    sides = [rule(replica=n, percent=percent, key=key, direction=side) for n in range(3) for side in SIDES]
    faults.put(*sides, seed=seed)
    salts = {side: rule_salt(key, side) for side in SIDES}
    hits = 0
    for request_id in {dice.getrandbits(dice.choice([8, 32, 64])) for _ in range(15)}:
        replica = dice.randrange(3)
        left, arrived = frames(request_id, replica)
        for copy in range(1, 4):
            lost = {side: is_selected(seed, request_id, copy, replica, salts[side], percent) for side in SIDES}
            assert faults.leave(left) == (STOLEN if lost["requests"] else PASSED)
            assert faults.arrive(arrived) == (STOLEN if lost["responses"] else PASSED)
            hits += sum(lost.values())
    assert faults.maps.hits(FaultRules(seed, tuple(sides))) == {key: hits}


def test_the_last_id_is_included_and_other_replicas_are_not(faults: FaultBench) -> None:
    faults.put(rule(ids=(10, 12), replica=1))
    assert [faults.leave(frames(n, 1)[0]) == STOLEN for n in range(9, 14)] == [False, True, True, True, False]
    assert faults.leave(frames(11, 0)[0]) == PASSED
    assert faults.arrive(frames(11, 1)[1]) == PASSED


def test_100_percent_affects_every_copy_and_0_percent_none(faults: FaultBench) -> None:
    faults.put(rule())
    assert {faults.leave(frames(n)[0]) for n in range(500)} == {STOLEN}
    faults.put(rule(percent=0))
    assert {faults.leave(frames(1000 + n)[0]) for n in range(500)} == {PASSED}


def test_of_sixty_four_rules_the_last_takes_effect(faults: FaultBench) -> None:
    rules = [rule(ids=(n, n), key=f"{n}.0") for n in range(64)]
    written = faults.put(*rules)
    assert faults.leave(frames(63)[0]) == STOLEN
    assert faults.leave(frames(64)[0]) == PASSED
    assert faults.maps.hits(written) == {f"{n}.0": int(n == 63) for n in range(64)}


def test_other_packets_than_our_requests_are_left_alone(faults: FaultBench) -> None:
    faults.put(rule(), rule(direction="responses"))
    assert faults.arrive(frames(1)[1]) == PASSED, "no request was sent"
    assert faults.leave(Datagram(CLIENT4, ("10.9.0.77", 53), bytes(16)).frame()) == PASSED
    assert faults.leave(Datagram(CLIENT4, REPLICAS4[0], bytes(4)).frame()) == PASSED
    assert faults.leave(frames(1)[0][:40]) == PASSED
    faults.bench.switch(Mode.OFF)
    assert faults.leave(frames(2)[0]) == PASSED
    faults.bench.switch(Mode.TAP, Identity.BLOCK, block=1)
    faults.maps.clear()
    assert faults.leave(frames(3)[0]) == PASSED


def test_a_hedge_is_the_second_copy(faults: FaultBench) -> None:
    """Of the kernel's hedges as of a client's: 40 % of the ones, and not of the others."""
    salt = rule_salt("0.0", "requests")
    faults.put(rule(percent=40))
    faults.bench.switch(Mode.HEDGE, Identity.FLOW, block=2)
    for request_id in range(50):
        frame = frames(request_id)[0]
        for copy in (1, 2):
            lost = is_selected(1, request_id, copy, 0, salt, 40)
            left = faults.leave(frame) if copy == 1 else faults.leave_as_hedge(frame)
            assert left == (STOLEN if lost else PASSED)


def winner_of(faults: FaultBench, request_id: int, *ordinals: int) -> int:
    """Of a hedged request whose copies, the primary affected, are answered in this order by the same replica."""
    asked, _ = frames(request_id)
    faults.leave(asked)
    faults.bench.hedge(asked)
    for ordinal in ordinals:
        reply = Datagram(REPLICAS4[0], CLIENT4, request_id.to_bytes(8, "big") + bytes([ordinal]) + bytes(7))
        faults.bench.respond(reply.frame())
    (record,) = faults.bench.hedges()
    return record.winner


@pytest.mark.parametrize(
    ("fault", "early", "late"),
    [
        ("loss", Winner.PRIMARY, Winner.HEDGE),
        ("delay", Winner.UNKNOWN, Winner.UNKNOWN),
        ("duplicate", Winner.UNKNOWN, Winner.UNKNOWN),
    ],
)
def test_the_order_of_arrival_proves_no_winner_where_a_fault_may_have_changed_it(
    faults: FaultBench, fault: Kind, early: Winner, late: Winner
) -> None:
    faults.put(rule(fault, percent=0.001 if fault == "loss" else 100))
    faults.bench.switch(Mode.HEDGE, Identity.FLOW, block=2)
    assert winner_of(faults, 20, 1, 2) == early
    assert winner_of(faults, 21, 2, 1) == late


def test_the_order_of_arrival_proves_no_winner_where_netem_holds_a_replicas_requests(faults: FaultBench) -> None:
    faults.maps.clear()
    faults.bench.switch(Mode.HEDGE, Identity.FLOW, block=2)
    classes = faults.bench.programs.table("netem_map")
    classes[ctypes.c_int(0)] = ctypes.c_uint32(0x10001)
    try:
        assert winner_of(faults, 22, 1, 2) == Winner.UNKNOWN
    finally:
        classes[ctypes.c_int(0)] = ctypes.c_uint32(0)
    assert winner_of(faults, 23, 1, 2) == Winner.PRIMARY


@pytest.mark.parametrize("mark", [0, 0x12345678, 0x4ED30007])
def test_a_duplicate_has_its_own_mark_again_and_is_neither_counted_nor_affected(
    faults: FaultBench, mark: int
) -> None:
    faults.put(rule("duplicate"))
    table = faults.bench.programs.table("number_map")
    number = LANES + next(iter(table.values())).next
    frame = frames(7)[0]
    verdict = faults.bench.split(frame, priority=6)
    assert run(faults.bench.programs.load("fault_egress"), verdict.frame, mark=mark, priority=6).action == PASSED
    faults.bench.counted()
    seen = faults.bench.split(frame, mark=MARK_FAULTED_REQUEST | number)
    assert (seen.action, seen.mark) == (PASSED, MARK_FAULTED_REQUEST | number)
    assert faults.bench.counted() == {"out_seen": 1, "out_struck": 1}
    left = run(faults.bench.programs.load("fault_egress"), seen.frame, mark=seen.mark)
    assert (left.action, left.frame, left.mark, left.priority) == (PASSED, frame, mark, 6)


def test_what_is_delayed_is_held_and_comes_back_to_where_it_was_going(faults: FaultBench) -> None:
    faults.put(rule("delay"), rule("delay", "responses"))
    left, arrived = frames(8)
    assert faults.leave(left) == STOLEN
    assert faults.arrive(arrived) == STOLEN
    back = faults.bench.programs.load("fault_return")
    for mark in (MARK_FAULTED_REQUEST, MARK_FAULTED_RESPONSE | 1):
        verdict = run(back, left, mark=mark)
        assert (verdict.action, verdict.frame, verdict.mark) == (REDIRECTED, left, mark)
    faults.bench.counted()
    assert [run(back, left, mark=mark).action for mark in (MARK_PRIMER, 0, MARK_HEDGE)] == [DROPPED] * 3
    assert faults.bench.counted() == {"primers": 1, "stray": 2}


def test_more_at_once_than_there_are_lanes_pass_and_are_counted(faults: FaultBench) -> None:
    written = faults.put(rule("delay"))
    actions = [faults.leave(frames(n)[0]) for n in range(LANES + 5)]
    assert actions == [STOLEN] * LANES + [PASSED] * 5
    assert (faults.maps.hits(written), faults.maps.failed()) == ({"0.0": LANES}, 5)


@pytest.mark.parametrize(
    ("place", "size", "flipped"),
    [
        (IdPlace(0, 4), 64, 63),
        (IdPlace(60, 4), 64, 59),
        (IdPlace(0, 4), 4, 3),
        (IdPlace(1, 3), 4, 0),
        (IdPlace(0, 4), 5, 4),
    ],
)
@pytest.mark.parametrize("ends", [(CLIENT4, REPLICAS4[0]), (CLIENT6, SERVER6)], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("mark", [MARK_FAULTED_REQUEST, MARK_FAULTED_RESPONSE])
def test_one_bit_is_flipped_outside_the_id_where_there_is_room(
    bench: KernelBench,
    ends: Ends,
    mark: int,
    place: IdPlace,
    size: int,
    flipped: int,
) -> None:
    bench.configure(request_id=place, response_id=place, copy_ordinal=IdPlace(0, 0))
    asked = Datagram(*ends, bytes(range(size)))
    frame = (asked if mark == MARK_FAULTED_REQUEST else asked.reply(asked.payload)).frame()
    verdict = run(bench.programs.load("fault_corrupt"), frame, mark=mark)
    assert verdict.action == REDIRECTED
    changed = [at for at, (old, new) in enumerate(zip(frame, verdict.frame, strict=True)) if old != new]
    assert changed == [len(frame) - size + flipped]
    assert (frame[changed[0]] ^ verdict.frame[changed[0]]).bit_count() == 1


class TestResponsesThatTheKernelWillDrop:
    """A frame of the bench has its complete checksum, which was not verified before."""

    @pytest.mark.parametrize("size", [0, 1, 2, 3, 28, 496, 497, 512, 513, 1000, 1400, 3500])
    @pytest.mark.parametrize("ends", [(CLIENT4, REPLICAS4[0]), (CLIENT6, SERVER6)], ids=["IPv4", "IPv6"])
    def test_a_bit_anywhere_keeps_it_from_winning(self, bench: KernelBench, ends: Ends, size: int) -> None:
        bench.switch(Mode.HEDGE)
        asked = Datagram(*ends, ID + random.Random(size).randbytes(size))
        bench.split(asked.frame())
        right = asked.reply(asked.payload).frame()
        payload = len(right) - len(asked.payload)
        places = {payload - 8, payload - 2, payload - 1, *range(payload + 4, len(right), 97)}
        wrong = [right[:at] + bytes([right[at] ^ 8]) + right[at + 1 :] for at in sorted(places)]
        wrong = [frame for frame in wrong if frame[payload - 8 : payload - 6] == right[payload - 8 : payload - 6]]
        bench.counted()
        assert {bench.respond(frame).action for frame in wrong} == {PASSED}
        assert bench.counted() == {"in_seen": len(wrong), "in_bad_checksum": len(wrong)}
        assert bench.respond(right).action == PASSED
        assert bench.counted() == {"in_seen": 1, "answered": 1}

    def test_a_sum_that_says_it_was_left_to_a_device_proves_nothing(self, bench: KernelBench) -> None:
        """Off the wire it is a wrong sum. Those that were left to a device are in tests/netns: all of a veth's."""
        bench.switch(Mode.HEDGE)
        asked = request(81)
        bench.split(asked.frame())
        answer = response(asked)
        forged = bytearray(answer.frame())
        empty = Datagram(answer.source, answer.destination, b"", udp_length=8 + len(answer.payload), udp_checksum=0)
        forged[40:42] = pseudo_sum(empty.frame()).to_bytes(2, "big")
        bench.counted()
        assert bench.respond(bytes(forged)).action == PASSED
        assert bench.counted() == {"in_seen": 1, "in_bad_checksum": 1}
        bench.respond(answer.frame())
        assert bench.counted() == {"in_seen": 1, "answered": 1}


def pseudo_sum(frame: bytes) -> int:
    """Of an IPv4 frame, whose length is in its UDP header."""
    total = sum(int.from_bytes(frame[at : at + 2], "big") for at in (26, 28, 30, 32, 38)) + 17
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total
