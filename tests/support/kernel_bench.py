"""The loaded programs on a bench of their own: a private network namespace, single frames in, verdicts out.

Frames are fed with BPF_PROG_TEST_RUN by the raw system call, which every bcc release leaves open.
"""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
import struct
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hedgerow_hedger import delay_link
from hedgerow_hedger.iproute import batch
from hedgerow_hedger.programs import DelayLineKind, Identity, KernelPrograms, Mode, Service, Settings, Target
from hedgerow_hedger.statistics import HedgeLog
from hedgerow_node.lanes import LANES
from hedgerow_node.wire import IdPlace
from support.prints import before_the_id, mix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hedgerow_node.records import Hedge
    from support.frames import Datagram

CLIENT4, SERVER4, OTHER4, THIRD4 = ("10.9.0.1", 40000), ("10.9.0.2", 9000), ("10.9.0.3", 9100), ("10.9.0.4", 9200)
CLIENT6, SERVER6, OTHER6, THIRD6 = ("fd09::1", 40000), ("fd09::2", 9000), ("fd09::3", 9100), ("fd09::4", 9200)
REPLICAS4, REPLICAS6 = (SERVER4, OTHER4, THIRD4), (SERVER6, OTHER6, THIRD6)
#: TC_ACT_UNSPEC, TC_ACT_SHOT, TC_ACT_STOLEN, TC_ACT_REDIRECT
PASSED, DROPPED, STOLEN, REDIRECTED = -1, 2, 4, 7
MARK_PRIMER, MARK_CLONE, MARK_HEDGE = 0x4ED10000, 0x4ED20000, 0x4ED30000
#: The first block of each test; the scoreboard outlives a bench, as the programs do.
_FIRST_BLOCKS = itertools.count(10, 10)
FIRST_FOUR_BYTES, NEXT_BYTE = IdPlace(0, 4), IdPlace(4, 1)

_AGE_SHIFT, _AGES = 26, 1 << 14  #: of a request's state in its bucket: bpf/scoreboard.h

_BPF_SYSCALL = {"x86_64": 321, "aarch64": 280}
_BPF_PROG_TEST_RUN = 10
_CONTEXT_SIZE = 192  #: struct __sk_buff
_DURATION_AT = 36  #: union bpf_attr
_MARK_AT, _PRIORITY_AT, _INGRESS_AT, _GSO_SEGS_AT, _GSO_SIZE_AT = 8, 32, 36, 164, 176
_CLONE_NEWNET = 0x40000000


@contextmanager
def private_network() -> Iterator[None]:
    """Runs the calling thread in a network namespace of its own, and back in the old one afterwards."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(_CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare: no private network namespace")
        yield
    finally:
        if libc.setns(before, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns: no way back to the network namespace")
        os.close(before)


@dataclass(frozen=True)
class Verdict:
    """What a program did with a frame: its return value, the frame and the marks after it, and how long it took."""

    action: int
    frame: bytes
    mark: int
    priority: int
    duration_ns: int  #: of the guest's instructions, where a virtual machine counts them; else of a single cold run


def run(
    program_fd: int,
    frame: bytes,
    mark: int = 0,
    priority: int = 0,
    ingress_ifindex: int = 0,
    gso_segs: int = 0,
    gso_size: int = 0,
    repeat: int = 1,
) -> Verdict:
    """Runs the program over `frame`; OSError where the kernel refuses the frame (too short for it)."""
    context = ctypes.create_string_buffer(_CONTEXT_SIZE)
    struct.pack_into("I", context, _MARK_AT, mark)
    struct.pack_into("I", context, _PRIORITY_AT, priority)
    struct.pack_into("I", context, _INGRESS_AT, ingress_ifindex)
    struct.pack_into("I", context, _GSO_SEGS_AT, gso_segs)
    struct.pack_into("I", context, _GSO_SIZE_AT, gso_size)
    data_in, data_out = ctypes.create_string_buffer(frame, len(frame)), ctypes.create_string_buffer(len(frame) + 256)
    pointer = ctypes.addressof
    attributes = bytearray(
        struct.pack(
            "IIIIQQIIIIQQ",
            program_fd,
            0,  # return value
            len(frame),
            len(data_out),
            pointer(data_in),
            pointer(data_out),
            repeat,
            0,  # duration
            _CONTEXT_SIZE,
            _CONTEXT_SIZE,
            pointer(context),
            pointer(context),
        )
    )
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = (ctypes.c_char * len(attributes)).from_buffer(attributes)
    if libc.syscall(_BPF_SYSCALL[os.uname().machine], _BPF_PROG_TEST_RUN, buffer, len(attributes)) != 0:
        raise OSError(ctypes.get_errno(), f"BPF_PROG_TEST_RUN: {os.strerror(ctypes.get_errno())}")
    fields = struct.unpack_from("IIII", attributes)
    return Verdict(
        ctypes.c_int(fields[1]).value,
        data_out.raw[: fields[3]],
        struct.unpack_from("I", context, _MARK_AT)[0],
        struct.unpack_from("I", context, _PRIORITY_AT)[0],
        struct.unpack_from("I", attributes, _DURATION_AT)[0],
    )


class KernelBench:
    """The programs with a service over IPv4 and one over IPv6, a real delay link and an interface for hedges."""

    def __init__(self, programs: KernelPrograms, link: delay_link.DelayLink, out_ifindex: int) -> None:
        self.programs, self.link, self.out_ifindex = programs, link, out_ifindex
        self._before: dict[str, int] = {}
        self._first_block = 0
        self._hedging = False
        self._clone_marks: dict[bytes, int] = {}

    def begin(self) -> None:
        """A new test: settings as they come, counters at zero, and nothing known of the requests of earlier tests."""
        self._first_block = next(_FIRST_BLOCKS)
        self._clone_marks.clear()
        self.configure()
        self.counted()
        self.hedges()

    def switch(self, mode: Mode, identity: Identity = Identity.FLOW, block: int = 0) -> None:
        """Switches what the programs do; a block's requests are unknown in other blocks."""
        self._hedging = mode == Mode.HEDGE
        self.programs.set_mode(mode, identity, self._first_block + block)

    def configure(
        self,
        *,
        delay_ns: int = 1,
        expiry_ns: int = 60_000_000_000,
        replicas: int = 1,
        target: Target = Target.OTHER,
        request_id: IdPlace = FIRST_FOUR_BYTES,
        response_id: IdPlace = FIRST_FOUR_BYTES,
        copy_ordinal: IdPlace = NEXT_BYTE,
        budget_ratio: float = 1.0,
        budget_burst: int = 1_000_000,
        max_late_ns: int = 60_000_000_000,
    ) -> None:
        """New settings, and counters at zero. With a delay of 1 ns a clone is due as soon as it is looked at."""
        self._before = {}
        services = [
            Service(addresses[:replicas], request_id, response_id, copy_ordinal, target)
            for addresses in (REPLICAS4, REPLICAS6)
        ]
        self.programs.configure(
            Settings(
                services,
                delay_ns,
                expiry_ns,
                self.link.kind,
                self.link.near_ifindex,
                self._hedges_from(),
                self.out_ifindex,
                lane_handle=delay_link.LANE_HANDLE,
                budget_ratio=budget_ratio,
                budget_burst=budget_burst,
                max_late_ns=max_late_ns,
            )
        )

    @cached_property
    def says_where_from(self) -> bool:
        """Whether a frame can be said to come from a link; the system call of Linux before 5.17 takes none."""
        try:
            run(self.programs.rescuer.fd, bytes(64), ingress_ifindex=self.link.far_ifindex)
        except OSError as error:
            assert error.errno == errno.EINVAL
            return False
        return True

    def _hedges_from(self) -> int:
        """Where they come from: the link's far end; no interface, as all frames, where nothing else can be said."""
        return self.link.far_ifindex if self.says_where_from else 0

    def occupy_lane(self, lane: int) -> None:
        """As if the lane's clone had been lost: nothing frees it."""
        table = self.programs.table("lane_map")
        lanes = table.Leaf()
        lanes.free_ns[lane] = 2**63
        table[ctypes.c_int(0)] = lanes

    def split(self, frame: bytes, **context: int) -> Verdict:
        """A frame leaves."""
        before = self._armed()
        verdict = run(self.programs.splitter.fd, frame, **context)
        if before != self._armed():
            self._clone_marks[frame] = MARK_CLONE | self._last_ticket()
        return verdict

    def clone_mark(self, frame: bytes) -> int:
        """The mark of the clone of the frame that left last; of none where no clone was made of it."""
        return self._clone_marks.get(frame, MARK_CLONE | 0xFFFF)

    def rescue(self, frame: bytes, mark: int | None = None) -> Verdict:
        """A frame crosses the delay link, with its clone's mark unless another is given."""
        return run(self.programs.rescuer.fd, frame, mark=self.clone_mark(frame) if mark is None else mark)

    def leave(self, frame: bytes, mark: int) -> Verdict:
        """A hedge leaves by the client's interface: it comes from the engine's link with its ticket in its mark."""
        return run(self.programs.splitter.fd, frame, mark=mark, ingress_ifindex=self._hedges_from())

    def hedge(self, frame: bytes) -> Verdict:
        """The hedge of the request that left last as this frame leaves, too."""
        return self.leave(frame, MARK_HEDGE | self.clone_mark(frame) & 0xFFFF)

    def buckets_at(self, print_: int) -> list[Any]:
        """The bucket that a request with this print is in."""
        table = self.programs.table("scoreboard_map")
        return [table[ctypes.c_int(print_ % len(table))]]

    def age(self, *requests: Datagram, by_ns: int = 10_000_000_000) -> None:
        """As if these had left so much earlier, the first of them earliest; ids have eight bytes."""
        table = self.programs.table("scoreboard_map")
        for order, asked in enumerate(requests):
            print_ = mix(before_the_id(self.programs, asked.source) ^ int.from_bytes(asked.payload[:8], "big"))
            (bucket,) = self.buckets_at(print_)
            way = list(bucket.print).index(print_)
            earlier_ns = by_ns * (len(requests) - order)
            bucket.request[way].request_ns -= earlier_ns
            rank, when = divmod(bucket.state[way], _AGES)
            bucket.state[way] = rank * _AGES + (when - (earlier_ns >> _AGE_SHIFT)) % _AGES
            table[ctypes.c_int(print_ % len(table))] = bucket

    def _armed(self) -> int:
        return self.programs.counters()["armed"] if self._hedging else 0

    def _last_ticket(self) -> int:
        """The lower 16 bits of the one that was given last."""
        if self.programs.build.engine == "queue":
            return max(int(queue.tail) for queue in self.programs.table("queue_map").values()) - 1 & 0xFFFF
        if self.link.kind == DelayLineKind.NETEM:
            return int(self.programs.table("number_map")[ctypes.c_int(1)].next) - 1 & 0xFFFF
        return (int(self.programs.table("lane_map")[ctypes.c_int(0)].next) - 1) % LANES

    def respond(self, frame: bytes, **context: int) -> Verdict:
        """A frame arrives."""
        return run(self.programs.responder.fd, frame, **context)

    def counted(self) -> dict[str, int]:
        """What the counters have counted since the last call.

        Those that stand still are left out, and the sleepers of queues, which say nothing of requests.
        """
        now = self.programs.counters()
        changed = {name: value - self._before.get(name, 0) for name, value in now.items()}
        self._before = now
        return {name: change for name, change in changed.items() if change and name != "sleepers"}

    def hedges(self) -> list[Hedge]:
        """The hedges reported since the last call."""
        log = HedgeLog(keep=True)
        self.programs.read_events(log.add)
        return log.take()


@contextmanager
def kernel_bench(programs: KernelPrograms, kind: DelayLineKind) -> Iterator[KernelBench]:
    """A bench for loaded programs; nothing of it is left afterwards."""
    with private_network():
        batch(
            "ip",
            [
                "link add out0 type veth peer name out1",
                # The kernel's own IPv6 would announce itself, at a time of its choosing.
                *(f"link set {name} {what}" for name in ("out0", "out1") for what in ("addrgenmode none", "up")),
            ],
        )
        # Clones wait for a minute, longer than any test: what crosses is what the test feeds to the rescuer.
        link = delay_link.make(delay_link.link_names("000000"), kind, 60_000_000_000, 0)
        yield KernelBench(programs, link, delay_link.interface_index("out0"))
