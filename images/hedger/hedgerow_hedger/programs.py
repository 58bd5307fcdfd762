"""Compiles and loads the eBPF programs with bcc, and exchanges values with them through their maps.

The rest of the hedger sees Python values: settings in, counters, events and the latency histogram out. Structures
come from the C sources themselves (bcc derives them), counter names are read from bpf/counters.h.
"""

from __future__ import annotations

import ctypes
import platform
import re
import secrets
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hedgerow_hedger.endpoints import kernel_address, seed_for, slot_of
from hedgerow_hedger.headers import HeadersMissingError, stub_kernel_tree
from hedgerow_node.lanes import LANES
from hedgerow_node.protocol.limits import MAX_REPLICAS
from hedgerow_node.ring import MAX_CELLS, MIN_CELLS, cells_for
from hedgerow_node.units import NS_PER_MS
from hedgerow_node.wire import IdPlace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hedgerow_hedger.edges import BpfClass, Event, Map

BPF_SOURCES = Path(__file__).resolve().parent / "bpf"  #: package data; in a checkout a link to its folder bpf
SCOREBOARD_ENTRIES = 65_536
BUCKET_WAYS = 6
EVENT_PAGES = 1_024  #: of 4 KiB: room for about 50,000 hedges between two readings
#: Longer than a busy host is late; a hedge that waits for its neighbour may be seconds late.
MAX_LATE_NS = 500 * NS_PER_MS
TOKEN = 1_000_000  #: a hedge's price in the budget's unit
SMALL_PER_LARGE = 16
_ORDERED = ("x86_64", "i686")  #: machines on which stores are seen in the order in which they are made
_SPLITTER, _RESCUER, _RESPONDER = "splitter", "rescuer", "responder"


class ProgramsError(Exception):
    """The programs cannot be compiled or loaded; the message says why and what to do."""


class Mode(IntEnum):
    """What the programs do; see bpf/types.h."""

    OFF = 0
    TAP = 1
    HEDGE = 2


class Identity(IntEnum):
    """What identifies a request; see bpf/types.h."""

    FLOW = 0
    BLOCK = 1


class Target(IntEnum):
    """Which replica a hedge goes to; see bpf/types.h."""

    SAME = 0
    OTHER = 1


class DelayLineKind(IntEnum):
    """Which qdisc holds packets back; see bpf/types.h."""

    NETEM = 1
    HTB = 2
    FQ = 3


class Fault(IntEnum):
    """What a network fault does to a copy; see bpf/types.h."""

    LOSS = 1
    DUPLICATE = 2
    CORRUPT = 3
    DELAY = 4


class Direction(IntEnum):
    """Whose copies a network fault affects; see bpf/types.h."""

    REQUESTS = 0
    RESPONSES = 1


class EventType(IntEnum):
    """What an event reports; see bpf/types.h."""

    DEPARTURE = 1
    ANSWER = 2


EngineName = Literal["clone", "queue"]
NO_PLACE = IdPlace(0, 0)  #: the place of a field that does not exist


@dataclass(frozen=True)
class Service:
    """A service to hedge, by the addresses of its replicas: clients may ask any of them."""

    replicas: Sequence[tuple[str, int]]
    request_id: IdPlace
    response_id: IdPlace
    copy_ordinal: IdPlace = NO_PLACE  #: where a response says which copy it answers
    target: Target = Target.SAME


@dataclass(frozen=True)
class Settings:
    """What the programs must know before they are attached."""

    services: Sequence[Service]
    delay_ns: int
    expiry_ns: int
    delay_line: DelayLineKind
    delay_ifindex: int
    hedge_ifindex: int  #: where hedges come from on their way to the interface
    out_ifindex: int
    hedge_near_ifindex: int = 0  #: engine queue: the near end of the hedge link
    routed: bool = False  #: whether all hedges are routed; else one to the same replica keeps its link addresses
    lane_handle: int = 0
    budget_ratio: float = 1.0
    budget_burst: int = 100
    max_late_ns: int = MAX_LATE_NS


@dataclass(frozen=True)
class Build:
    """What the programs are compiled for."""

    engine: EngineName
    testbed: bool  #: with network faults, and requests known by block
    scoreboard_entries: int = SCOREBOARD_ENTRIES  #: at least
    cells: int = 0  #: of all queues together, a power of two; engine clone has none

    @property
    def buckets(self) -> int:
        """A power of two."""
        return power_of_two(-(-self.scoreboard_entries // BUCKET_WAYS))

    @property
    def large_cells(self) -> int:
        """Cells for frames that are too large for the others."""
        return max(1, self.cells // SMALL_PER_LARGE)

    def flags(self) -> list[str]:
        """For the compiler."""
        queue = [f"-DCELLS={self.cells}", f"-DLARGE_CELLS={self.large_cells}"] if self.engine == "queue" else []
        if self.engine == "queue" and platform.machine() not in _ORDERED:
            queue.append("-DPUBLISH_LOCKED")
        return [
            f"-DENGINE_{self.engine.upper()}",
            f"-DLANES={LANES}",
            f"-DBUCKETS={self.buckets}",
            f"-DEVENT_PAGES={EVENT_PAGES}",
            *queue,
            *(["-DTESTBED"] if self.testbed else []),
        ]


def queue_cells(services: int, delay_ns: int) -> int:
    """How many cells each service's queue gets: those of its ring, unless all together had more than MAX_CELLS.

    That many are 21 MB.
    """
    return max(MIN_CELLS, min(cells_for(delay_ns), MAX_CELLS // power_of_two(services)))


def power_of_two(least: int) -> int:
    """The least one that is not below `least`."""
    return 1 << max(0, least - 1).bit_length()


def inline_sources(path: Path) -> str:
    """`path` with its own headers (`#include "…"`) put in place: bcc rewrites map accesses in one text only."""
    return re.sub(
        r'^#include "([^"]+)"$',
        lambda match: inline_sources(path.parent / match[1]),
        path.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )


@cache
def counter_names() -> tuple[str, ...]:
    """The counters in the kernel's order, as bpf/counters.h lists them."""
    text = (BPF_SOURCES / "counters.h").read_text(encoding="utf-8")
    lists = dict(re.findall(r"#define (PARSE_REASONS|COUNTERS)\(X\)((?:.*\\\n)+.*)", text))
    reasons, counters = (re.findall(r"X\((\w+),", lists[name]) for name in ("PARSE_REASONS", "COUNTERS"))
    return (*counters, *(f"out_{name}" for name in reasons), *(f"in_{name}" for name in reasons))


class KernelPrograms:
    """The loaded programs. Nothing is attached here; closing frees what no attachment holds."""

    def __init__(self, build: Build) -> None:
        """Compiles and loads. Raises HeadersMissingError or ProgramsError."""
        try:
            from bcc import BPF  # noqa: PLC0415 - slow to import, and only this class needs it
        except ImportError as error:
            raise ProgramsError(f"{error}; install bcc for Python (Debian, Ubuntu: python3-bpfcc)") from error
        self.build = build
        try:
            self._load(BPF, build)
        except HeadersMissingError:
            raise
        except Exception as error:  # bcc has no exceptions of its own
            raise ProgramsError(f"{error}; as root, on Linux 5.10 or newer? See the lines above") from error
        self._config = self.table("config_map").Leaf()
        self._config.print_seed = secrets.randbits(64)
        self._on_event: Callable[[Event], None] | None = None

    def _load(self, bpf: BpfClass, build: Build) -> None:
        with stub_kernel_tree():
            self._bpf = bpf(
                text=inline_sources(BPF_SOURCES / "hedger.c").encode(),
                cflags=[
                    "-Werror=implicit-function-declaration",
                    "-Wno-macro-redefined",
                    *build.flags(),
                ],
            )
        self.splitter, self.rescuer, self.responder = (
            self._bpf.load_func(name.encode(), bpf.SCHED_CLS) for name in (_SPLITTER, _RESCUER, _RESPONDER)
        )

    def close(self) -> None:
        """Releases programs and maps; what is attached stays until it is detached."""
        self._bpf.cleanup()

    def configure(self, settings: Settings) -> None:
        """Hands the settings to the kernel, with the programs switched off and the delay line taken for empty.

        Counters and latencies start again from zero; known requests stay known as long as the block is the same.
        """
        self.table("counts_map").clear()
        self._configure_endpoints(settings.services)
        for index, service in enumerate(settings.services):
            self._configure_service(index, service, settings)
        config = self._config
        line = config.line
        line.delay_ns, line.kind, line.lane_handle = settings.delay_ns, settings.delay_line, settings.lane_handle
        line.ifindex = settings.delay_ifindex
        config.expiry_ns, config.max_late_ns = settings.expiry_ns, settings.max_late_ns
        config.out_ifindex, config.hedge_ifindex = settings.out_ifindex, settings.hedge_ifindex
        config.hedge_near_ifindex, config.routed = settings.hedge_near_ifindex, settings.routed
        self.table("lane_map")[ctypes.c_int(0)] = self.table("lane_map").Leaf()
        if self.build.engine == "queue":
            self._configure_queues(len(settings.services))
        self.set_mode(Mode.OFF)

    def set_mode(self, mode: Mode, identity: Identity = Identity.FLOW, block: int = 0) -> None:
        """Switches what the programs do with the packets from now on; `block` sets this request ids apart."""
        self._config.mode, self._config.identity, self._config.block = mode, identity, block
        self.table("config_map")[ctypes.c_int(0)] = self._config

    def counters(self) -> dict[str, int]:
        """All counters by name, summed over the CPUs."""
        per_cpu = self.table("counts_map")[ctypes.c_int(0)]
        return {name: sum(values.counter[i] for values in per_cpu) for i, name in enumerate(counter_names())}

    def latency_histogram(self) -> list[int]:
        """Requests per latency bucket, summed over the CPUs; `statistics.bucket_bounds_ns` says which."""
        per_cpu = self.table("counts_map")[ctypes.c_int(0)]
        return [sum(column) for column in zip(*(values.latency for values in per_cpu), strict=True)]

    def read_events(self, handle: Callable[[Event], None]) -> None:
        """Calls `handle` with each event that waits in the ring buffer."""
        if self._on_event is None:
            table = self.table("event_map")
            table.open_ring_buffer(lambda _context, data, _size: self._deliver(table.event(data)))
        self._on_event = handle
        self._bpf.ring_buffer_consume()

    def table(self, name: str) -> Map:
        """The map `name` of bpf/maps.h, as bcc shows it."""
        return self._bpf[name.encode()]

    def load(self, name: str) -> int:
        """A descriptor of the program `name` of bpf/hedger.c, which the kernel checks when it is first loaded.

        Raises ProgramsError where the kernel refuses it: the hedger works on without.
        """
        try:
            return int(self._bpf.load_func(name.encode(), self._bpf.SCHED_CLS).fd)
        except Exception as error:  # bcc has no exceptions of its own
            raise ProgramsError(f"program {name}: {error}; see the lines above") from error

    def _deliver(self, event: Event) -> None:
        if self._on_event is not None:
            self._on_event(event)

    def _configure_endpoints(self, services: Sequence[Service]) -> None:
        endpoints, replicas = self.table("endpoint_map"), self.table("replica_map")
        places = {
            (index, number): kernel_address(*address)
            for index, service in enumerate(services)
            for number, address in enumerate(service.replicas)
        }
        seed = seed_for(list(places.values()))
        self._config.endpoint_seed[:] = seed
        endpoints.clear()
        for (index, number), address in places.items():
            key = replicas.Leaf()
            key.address[:], key.port = address
            replicas[ctypes.c_int(index * MAX_REPLICAS + number)] = key
            slot = ctypes.c_int(slot_of(address, seed))
            leaf = endpoints[slot]
            way = next(way for way in leaf.way if not way.port)
            way.address[:], way.port = address
            way.service, way.replica = index, number
            endpoints[slot] = leaf

    def _configure_queues(self, services: int) -> None:
        """Gives each service its share of the cells.

        Numbers go on where those of all queues before have ended, so that no cell's old one is taken for a new one.
        """
        queues, clocks = self.table("queue_map"), self.table("clock_map")
        share = self.build.cells // power_of_two(services)
        large = max(1, self.build.large_cells // power_of_two(services))
        first = max(queue.tail for queue in queues.values()) + MAX_CELLS
        for index in range(services):
            queue = queues.Leaf()
            queue.head = queue.tail = first
            queue.generation = first & 0xFFF
            queue.first_cell, queue.mask = index * share, share - 1
            queue.first_large, queue.large_mask = index * large, large - 1
            queues[ctypes.c_int(index)] = queue
        clocks[ctypes.c_int(0)] = clocks.Leaf()

    def _configure_service(self, index: int, service: Service, settings: Settings) -> None:
        leaf = self.table("service_map").Leaf()
        for name in ("request_id", "response_id", "copy_ordinal"):
            place, target = getattr(service, name), getattr(leaf, name)
            target.offset, target.length = place.offset, place.length
        leaf.replicas, leaf.target = len(service.replicas), service.target
        leaf.delay_ns = settings.delay_ns
        self.table("service_map")[ctypes.c_int(index)] = leaf
        budget = self.table("budget_map").Leaf()
        budget.per_request = round(settings.budget_ratio * TOKEN)
        budget.tokens = budget.burst = settings.budget_burst * TOKEN
        self.table("budget_map")[ctypes.c_int(index)] = budget
