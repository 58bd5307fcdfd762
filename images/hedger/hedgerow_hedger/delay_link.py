"""The delay line: a veth pair in the client's network namespace, with the qdisc that holds packets at its near end.
Links that delay nothing are made here, too: the queue's for hedges, and those of network faults.

Which qdisc a kernel has is found by making one, never by reading version numbers. For clones netem, the reference, is
preferred, HTB lanes serve where it is missing; the queue's sleepers need HTB classes of many durations, or fq.
"""

from __future__ import annotations

import ctypes
import fcntl
import secrets
import socket
import struct
from dataclasses import dataclass

from hedgerow_hedger.iproute import IprouteError, batch, links, output, qdiscs
from hedgerow_hedger.programs import DelayLineKind, EngineName
from hedgerow_node.lanes import CHARGED_BYTES, LANES, class_rate_bytes_per_s
from hedgerow_node.units import NS_PER_MS, NS_PER_US

LINK_PREFIX = "hr"
LINK_ALIAS = "hedgerow delay line of interface"
MADE_CLSACT = "with clsact"  #: at the end of an alias: the hedger made the interface's clsact qdisc, too
QDISC_HANDLE = 0x4ED
FIRST_LANE_CLASS = 0x10
#: Where iproute2 rounds a delay down to the kernel's ticks of 64 ns, it must find a whole number of them.
TICK_NS = 64
#: Packets that netem may hold: it drops above its limit, and without a testbed the request rate is not known
#: beforehand.
NETEM_LIMIT = 100_000
MTU = 65_535

#: linux/ethtool.h, linux/sockios.h
_SIOCETHTOOL, _ETHTOOL_STXCSUM = 0x8946, 0x17

#: The HTB clock's classes, as in bpf/types.h: so many of each duration, of 1 to CLOCK_STEPS steps on each scale.
CLOCK_COPIES, CLOCK_STEPS = 3, 255
CLOCK_STEPS_NS = (10 * NS_PER_US, 2 * NS_PER_MS, 500 * NS_PER_MS)

#: What each engine can use, what it prefers first.
LINES: dict[EngineName, tuple[DelayLineKind, ...]] = {
    "clone": (DelayLineKind.NETEM, DelayLineKind.HTB, DelayLineKind.FQ),
    "queue": (DelayLineKind.HTB, DelayLineKind.FQ),
}

LANE_HANDLE = (QDISC_HANDLE << 16) | FIRST_LANE_CLASS


class DelayLineError(Exception):
    """No delay line could be made; the message says why and what to do."""


@dataclass(frozen=True)
class Link:
    """A veth pair; `near` is where clones enter, `far` where a program meets them."""

    near: str
    far: str
    near_ifindex: int
    far_ifindex: int


@dataclass(frozen=True)
class DelayLink(Link):
    """One whose near end has a qdisc that holds clones back."""

    kind: DelayLineKind


@dataclass(frozen=True)
class Leftover:
    """A delay link of an earlier hedger, for an interface that may be gone by now."""

    near: str
    for_ifindex: int
    made_clsact: bool


def link_names(run_id: str, letter: str = "d") -> tuple[str, str]:
    """The near and the far end's names for a run; `letter` distinguishes its links."""
    return f"{LINK_PREFIX}{run_id}{letter}0", f"{LINK_PREFIX}{run_id}{letter}1"


def qdisc_commands(link: str, kind: DelayLineKind, delay_ns: int) -> list[str]:
    """The tc commands that make `link` hold a packet (HTB: a lane's second one) for `delay_ns`, never for less."""
    if kind is DelayLineKind.FQ:
        return [_fq(link)]
    if kind is DelayLineKind.NETEM:
        ticks = -(-delay_ns // TICK_NS)
        return [
            f"qdisc add dev {link} root handle {QDISC_HANDLE:x}: netem"
            f" delay {ticks * TICK_NS / NS_PER_US:.3f}us limit {NETEM_LIMIT}"
        ]
    rate = class_rate_bytes_per_s(delay_ns)
    lanes = (
        f"class add dev {link} parent {QDISC_HANDLE:x}: classid {QDISC_HANDLE:x}:{FIRST_LANE_CLASS + lane:x} htb"
        f" rate {rate}bps ceil {rate}bps mpu {CHARGED_BYTES} burst 1 cburst 1 quantum 200000"
        for lane in range(LANES)
    )
    return [f"qdisc add dev {link} root handle {QDISC_HANDLE:x}: htb default 0", *lanes]


def clock_commands(link: str, kind: DelayLineKind) -> list[str]:
    """The tc commands that make `link` the clock of the queues (bpf/clock_htb.h, bpf/clock_fq.h)."""
    if kind is DelayLineKind.FQ:
        return [_fq(link)]
    commands = [f"qdisc add dev {link} root handle {QDISC_HANDLE:x}: htb default 0"]
    for scale, step_ns in enumerate(CLOCK_STEPS_NS):
        for copy in range(CLOCK_COPIES):
            for steps in range(1, CLOCK_STEPS + 1):
                rate = class_rate_bytes_per_s(steps * step_ns)
                minor = FIRST_LANE_CLASS + (scale * CLOCK_COPIES + copy) * 256 + steps
                commands.append(
                    f"class add dev {link} parent {QDISC_HANDLE:x}: classid {QDISC_HANDLE:x}:{minor:x} htb"
                    f" rate {rate}bps ceil {rate}bps mpu {CHARGED_BYTES} burst 1 cburst 1 quantum 200000"
                )
    return commands


def _fq(link: str) -> str:
    """Every packet has its own time of departure and a flow of its own, up to two minutes ahead."""
    return (
        f"qdisc add dev {link} root handle {QDISC_HANDLE:x}: fq limit {NETEM_LIMIT} flow_limit {NETEM_LIMIT}"
        " orphan_mask 65535 horizon 120s nopacing"
    )


def probe(for_ifindex: int = 0) -> dict[str, str | None]:
    """For each delay line None, or the kernel's reason why it has none; makes and removes a link to find out."""
    names = link_names(secrets.token_hex(3))
    _add_link(*names, alias=f"{LINK_ALIAS} {for_ifindex}")
    try:
        return {kind.name.lower(): _refusal(names[0], kind) for kind in DelayLineKind}
    finally:
        remove(names[0])


def choose(wanted: str, for_ifindex: int, engine: EngineName = "clone") -> DelayLineKind:
    """The kind that `wanted` ("auto" or a kind's name) stands for here; DelayLineError where it cannot be had."""
    refusals = probe(for_ifindex)
    candidates = LINES[engine] if wanted == "auto" else (DelayLineKind[wanted.upper()],)
    for kind in candidates:
        if kind not in LINES[engine]:
            raise DelayLineError(f"the engine {engine} has no use for {wanted}; ask for --engine clone")
        if refusals[kind.name.lower()] is None:
            return kind
    reasons = "; ".join(f"{kind.name.lower()}: {refusals[kind.name.lower()]}" for kind in candidates)
    raise DelayLineError(
        f"no delay line {'at all' if wanted == 'auto' else wanted} on this kernel ({reasons});"
        " install the distribution's extra modules package (linux-modules-extra), or ask for --delay-line auto"
    )


def make(
    names: tuple[str, str], kind: DelayLineKind, delay_ns: int, for_ifindex: int, makes_clsact: bool = False
) -> DelayLink:
    """Makes the link, up and with its qdisc, for requests of interface `for_ifindex`; on failure nothing stays.

    `makes_clsact` is recorded for a hedger that finds the link after a kill: that interface's clsact qdisc is ours.
    """
    near, far = names
    _add_link(near, far, alias=f"{LINK_ALIAS} {for_ifindex} {MADE_CLSACT if makes_clsact else ''}".rstrip())
    return _with_qdisc(near, far, kind, qdisc_commands(near, kind, delay_ns))


def make_clock(
    names: tuple[str, str], kind: DelayLineKind, for_ifindex: int, makes_clsact: bool = False
) -> DelayLink:
    """Likewise the link of the queues' sleepers.

    Whatever becomes one has its checksum before it crosses: a sum left to a device would be made again of the frames
    that the sleeper carries.
    """
    near, far = names
    _add_link(near, far, alias=f"{LINK_ALIAS} {for_ifindex} {MADE_CLSACT if makes_clsact else ''}".rstrip())
    try:
        _leave_sums_to_software(near)
    except OSError as error:
        remove(near)
        raise DelayLineError(f"{near}: checksum offloading cannot be switched off: {error}") from error
    return _with_qdisc(near, far, kind, clock_commands(near, kind))


def _with_qdisc(near: str, far: str, kind: DelayLineKind, commands: list[str]) -> DelayLink:
    try:
        batch("tc", commands)
    except IprouteError:
        remove(near)
        raise
    return DelayLink(near, far, interface_index(near), interface_index(far), kind)


def make_without_offloads(names: tuple[str, str], for_ifindex: int) -> Link:
    """Makes a link that delays nothing, and on which every packet gets its checksum before it crosses."""
    near, far = names
    _add_link(near, far, alias=f"{LINK_ALIAS} {for_ifindex}")
    try:
        _leave_sums_to_software(near)
    except OSError as error:
        remove(near)
        raise DelayLineError(f"{near}: checksum offloading cannot be switched off: {error}") from error
    return Link(near, far, interface_index(near), interface_index(far))


def held(near: str) -> int:
    """How many packets the link's qdisc holds."""
    return sum(qdisc.counters.get("qlen", 0) for qdisc in qdiscs(near))


def remove(near: str) -> None:
    """Removes the link, with its qdisc and the packets in it; harmless where it is gone."""
    if any(link.name == near for link in links()):
        batch("ip", [f"link delete {near}"])


def leftovers(for_ifindex: int) -> list[Leftover]:
    """The delay links here made for interface `for_ifindex`, or for one that does not exist any more."""
    present = links()
    existing = {link.index for link in present} - {for_ifindex}
    found = []
    for link in present:
        words = link.alias.removeprefix(LINK_ALIAS).split(maxsplit=1)
        if link.alias.startswith(LINK_ALIAS) and words and int(words[0]) not in existing:
            found.append(Leftover(link.name, int(words[0]), MADE_CLSACT in words[1:]))
    return found


def statistics(link: str) -> str:
    """What `tc -s` prints for the link's qdisc."""
    return output("tc", "-s", "qdisc", "show", "dev", link)


def interface_index(name: str) -> int:
    """The index of an interface of this network namespace; IprouteError where there is none."""
    (link,) = links(name)
    return link.index


def _add_link(near: str, far: str, alias: str) -> None:
    """addrgenmode none keeps IPv6 from configuring the link, and so from sending on it."""
    batch(
        "ip",
        [
            f"link add {near} mtu {MTU} type veth peer name {far} mtu {MTU}",
            f'link set dev {near} alias "{alias}" addrgenmode none',
            f"link set dev {far} addrgenmode none",
            f"link set dev {near} up",
            f"link set dev {far} up",
        ],
    )


def _leave_sums_to_software(link: str) -> None:
    value = ctypes.create_string_buffer(struct.pack("II", _ETHTOOL_STXCSUM, 0))
    request = struct.pack("16sP16x", link.encode(), ctypes.addressof(value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCETHTOOL, request)


def _refusal(link: str, kind: DelayLineKind) -> str | None:
    first = qdisc_commands(link, kind, 1_000 * NS_PER_US)[:2]
    try:
        batch("tc", first)
    except IprouteError as error:
        return str(error)
    batch("tc", [f"qdisc delete dev {link} root"])
    return None
