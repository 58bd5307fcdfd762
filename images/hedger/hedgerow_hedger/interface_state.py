"""The client's interface as the kernel has it: offloads, queueing disciplines, what passed it and what was lost.

The hedger reports it, since it lives in the client's network namespace on either backend. Offloads are asked of the
kernel by ioctl, as `ethtool -k` does, which few containers hold; counters are read from /proc/net, which is the
reader's own namespace even where /sys is another's.
"""

from __future__ import annotations

import array
import errno
import fcntl
import socket
import struct
from pathlib import Path

from hedgerow_hedger.iproute import IprouteError, qdiscs
from hedgerow_node.protocol.hedger import InterfaceState

_SIOCETHTOOL = 0x8946
_GET_STRING_SET_INFO, _GET_STRINGS, _GET_FEATURES = 0x37, 0x1B, 0x3A
_FEATURES = 4  #: the set of strings that names them
_NAME_BYTES = 32
_IFREQ_BYTES = 40
_NOT_REPORTED = (errno.EOPNOTSUPP, errno.EPERM)
_DEVICE_COLUMNS = ("bytes", "packets", "errors", "dropped")


def interface_state(interface: str) -> InterfaceState:
    """The state of `interface` in this network namespace; OSError where there is none of that name."""
    return InterfaceState(
        name=interface,
        offloads=offloads(interface),
        qdiscs=_qdisc_counters(interface),
        statistics=device_statistics(Path("/proc/net/dev").read_text(encoding="utf-8"), interface),
        udp=udp_counters(Path("/proc/net/snmp").read_text(encoding="utf-8")),
    )


def offloads(interface: str) -> dict[str, bool] | None:
    """By the kernel's names whether each is on, of all that are on or can be switched; None where it does not say."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asking:
        try:
            names = _feature_names(asking, interface)
            words = -(-len(names) // 32)
            answer = _ask(asking, interface, struct.pack("=II", _GET_FEATURES, words) + bytes(16 * words))
        except OSError as error:
            if error.errno in _NOT_REPORTED:
                return None
            raise
    # Each 32 features are four words: what can be switched, what was asked for, what is on, what never changes.
    blocks = list(struct.iter_unpack("=IIII", answer[8:]))
    found = {}
    for number, name in enumerate(names):
        switchable, _, on, _ = (word >> number % 32 & 1 for word in blocks[number // 32])
        if name and (on or switchable):
            found[name] = bool(on)
    return found


def _qdisc_counters(interface: str) -> dict[str, dict[str, int]] | None:
    try:
        return {f"{qdisc.kind} {qdisc.handle}": dict(qdisc.counters) for qdisc in qdiscs(interface)}
    except IprouteError:
        return None


def device_statistics(text: str, interface: str) -> dict[str, int]:
    """The interface's line of /proc/net/dev: eight columns received, eight transmitted; OSError where it has none."""
    for line in text.splitlines():
        name, colon, columns = line.partition(":")
        if colon and name.strip() == interface:
            numbers = [int(column) for column in columns.split()]
            halves = {"received": numbers[:8], "transmitted": numbers[8:]}
            return {
                f"{half}_{column}": count
                for half, counts in halves.items()
                for column, count in zip(_DEVICE_COLUMNS, counts, strict=False)
            }
    raise OSError(errno.ENODEV, f"there is no interface {interface}")


def udp_counters(text: str) -> dict[str, int]:
    """The two lines of /proc/net/snmp that begin with `Udp:`: names, then numbers."""
    names, numbers = (line.split()[1:] for line in text.splitlines() if line.startswith("Udp:"))
    return {name: int(number) for name, number in zip(names, numbers, strict=True)}


def _feature_names(asking: socket.socket, interface: str) -> list[str]:
    request = struct.pack("=IIQI", _GET_STRING_SET_INFO, 0, 1 << _FEATURES, 0)
    (count,) = struct.unpack_from("=I", _ask(asking, interface, request), 16)
    request = struct.pack("=III", _GET_STRINGS, _FEATURES, count) + bytes(_NAME_BYTES * count)
    names = _ask(asking, interface, request)[12:]
    return [
        names[at : at + _NAME_BYTES].split(b"\0", 1)[0].decode() for at in range(0, _NAME_BYTES * count, _NAME_BYTES)
    ]


def _ask(asking: socket.socket, interface: str, request: bytes) -> bytes:
    """What the kernel makes of `request`, which it is given the address of."""
    buffer = array.array("B", request)
    name_and_address = struct.pack("16sP", interface.encode(), buffer.buffer_info()[0])
    fcntl.ioctl(asking, _SIOCETHTOOL, name_and_address.ljust(_IFREQ_BYTES, b"\0"))
    return buffer.tobytes()
