"""Programs and maps in the kernel with the names of the hedger's, of all processes.

Other programs on the host, such as systemd, load objects too, with other names.
"""

from __future__ import annotations

import ctypes
import os
import re
import struct
from enum import Enum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from hedgerow_hedger.programs import BPF_SOURCES

if TYPE_CHECKING:
    from collections.abc import Iterator

_BPF_SYSCALL = {"x86_64": 321, "aarch64": 280}
_BPF_OBJ_GET_INFO_BY_FD = 15
_INFO_SIZE = 256  #: of information about an object: more than is read
NAME_SIZE = 16  #: with the zero at its end
_PROGRAM = re.compile(r"^int (\w+)\(struct __sk_buff \*skb\)", re.MULTILINE)
_MAP = re.compile(r'^BPF_\w+\((?:"\w+", [^,]+, [^,]+, )?(\w+)', re.MULTILINE)
_LIBC = ctypes.CDLL(None, use_errno=True)


class Kind(Enum):
    """A kind of object: its commands of bpf(2), where its name is in the kernel's information (linux/bpf.h), and what
    /proc calls it.
    """

    PROGRAM = (11, 13, 64, "prog")
    MAP = (12, 14, 24, "map")

    def __init__(self, get_next_id: int, open_by_id: int, name_offset: int, label: str) -> None:
        self.get_next_id, self.open_by_id, self.name_offset = get_next_id, open_by_id, name_offset
        self.label = label


@cache
def names(kind: Kind) -> frozenset[str]:
    """What those of the hedger are called in the kernel, which keeps fifteen characters, by the C sources."""
    if kind is Kind.PROGRAM:
        found = _PROGRAM.findall((BPF_SOURCES / "hedger.c").read_text())
    else:
        found = _MAP.findall((BPF_SOURCES / "maps_bcc.h").read_text())
    return frozenset(name[: NAME_SIZE - 1] for name in found)


def objects(kind: Kind) -> frozenset[int]:
    """The ids of those with one of these names."""
    return frozenset(id_ for id_ in _all_ids(kind) if _name(kind, id_) in names(kind))


def held(kind: Kind, process: int | str = "self") -> frozenset[int]:
    """The ids of those that a process holds, by its descriptors."""
    found = set()
    for path in Path(f"/proc/{process}/fdinfo").iterdir():
        try:
            match = re.search(rf"^{kind.label}_id:\t(\d+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        except OSError:  # closed meanwhile, as the descriptor is that the folder was read by
            continue
        found |= {int(match[1])} if match else set()
    return frozenset(found)


def bpf(command: int, attributes: bytes) -> int:
    """bpf(2): a descriptor or 0; OSError where the kernel refuses it."""
    return _bpf(command, bytearray(attributes))


def _all_ids(kind: Kind) -> Iterator[int]:
    current = 0
    while True:
        attributes = bytearray(struct.pack("III4x", current, 0, 0))
        try:
            _bpf(kind.get_next_id, attributes)
        except FileNotFoundError:
            return
        current = struct.unpack_from("I", attributes, 4)[0]
        yield current


def _name(kind: Kind, id_: int) -> str | None:
    try:
        descriptor = bpf(kind.open_by_id, struct.pack("III4x", id_, 0, 0))
    except FileNotFoundError:  # it has just been freed
        return None
    try:
        info = ctypes.create_string_buffer(_INFO_SIZE)
        bpf(_BPF_OBJ_GET_INFO_BY_FD, struct.pack("IIQ", descriptor, _INFO_SIZE, ctypes.addressof(info)))
    finally:
        os.close(descriptor)
    return info.raw[kind.name_offset :][:NAME_SIZE].partition(b"\0")[0].decode()


def _bpf(command: int, attributes: bytearray) -> int:
    buffer = (ctypes.c_char * len(attributes)).from_buffer(attributes)
    answer = int(_LIBC.syscall(_BPF_SYSCALL[os.uname().machine], command, buffer, len(attributes)))
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"bpf command {command}: {os.strerror(number)}")
    return answer
