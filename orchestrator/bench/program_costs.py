"""What eBPF programs cost: the kernel's count of their runs and nanoseconds, and an empty program to compare with.

Counting is switched on by a descriptor (BPF_ENABLE_STATS) rather than by the sysctl: however the bench ends, the
kernel switches it off with the last descriptor.
"""

from __future__ import annotations

import ctypes
import os
import re
import struct
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pyroute2 import IPRoute

from hedgerow_hedger.attachments import EGRESS, PREFERENCE, Attachments
from orchestrator.errors import PrerequisiteError
from orchestrator.host.namespaces import inside
from orchestrator.topology.bridged import INTERFACE

if TYPE_CHECKING:
    from collections.abc import Iterator

EMPTY = "empty"
_SYSCALL = {"x86_64": 321, "aarch64": 280}
_PROG_LOAD, _GET_FD_BY_ID, _GET_INFO, _ENABLE_STATS = 5, 13, 15, 32
_SCHED_CLS = 3
_INFO_SIZE = 256  #: of struct bpf_prog_info: more than is read of it
_NAME, _RUN_TIME_NS = 64, 192  #: offsets in it; run_cnt follows run_time_ns
_NAME_SIZE = 16
#: `r0 = TC_ACT_UNSPEC; exit`: the next filter decides.
_EMPTY_PROGRAM = struct.pack("<BBhi", 0xB7, 0, 0, -1) + struct.pack("<BBhi", 0x95, 0, 0, 0)
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Runs:
    """How often a program ran, and for how many ns in all."""

    total_ns: int
    count: int

    def since(self, before: Runs) -> Runs:
        """What was added since."""
        return Runs(self.total_ns - before.total_ns, self.count - before.count)


@contextmanager
def counting() -> Iterator[None]:
    """Lets the kernel count; PrerequisiteError where it has no means or the privilege is missing."""
    try:
        descriptor = _bpf(_ENABLE_STATS, bytearray(8))
    except OSError as error:
        raise PrerequisiteError(
            f"the kernel does not count: {error}", "run as root, on Linux 5.8 or newer"
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)


def programs_of(pid: int) -> dict[str, int]:
    """The ids of the programs that a process holds, by name."""
    ids = set()
    for path in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            found = re.search(r"^prog_id:\s+(\d+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        except FileNotFoundError:  # it has just been closed
            continue
        if found is not None:
            ids.add(int(found[1]))
    return {_info(id_)[_NAME:][:_NAME_SIZE].partition(b"\0")[0].decode(): id_ for id_ in ids}


def runs(id_: int) -> Runs:
    """What the kernel has counted of a program."""
    return Runs(*struct.unpack_from("=QQ", _info(id_), _RUN_TIME_NS))


@contextmanager
def empty_program(namespace: str) -> Iterator[int]:
    """Attaches a program that does nothing behind the hedger's splitter, while entered; its id."""
    code, licence = ctypes.create_string_buffer(_EMPTY_PROGRAM), ctypes.create_string_buffer(b"GPL")
    addresses = ctypes.addressof(code), ctypes.addressof(licence)
    attributes = struct.pack("=IIQQIIQII16s", _SCHED_CLS, 2, *addresses, 0, 0, 0, 0, 0, EMPTY.encode())
    descriptor = _bpf(_PROG_LOAD, bytearray(attributes))
    try:
        with inside(namespace):
            ip = IPRoute()
        with ip:
            index = ip.link_lookup(ifname=INTERFACE)[0]
            attachments = Attachments(ip)
            attachments.attach(index, EGRESS, EMPTY, descriptor, PREFERENCE + 1)
            try:
                yield programs_of(os.getpid())[EMPTY]
            finally:
                attachments.detach(index, EMPTY)
    finally:
        os.close(descriptor)


def _info(id_: int) -> bytes:
    descriptor = _bpf(_GET_FD_BY_ID, bytearray(struct.pack("=III", id_, 0, 0)))
    try:
        info = ctypes.create_string_buffer(_INFO_SIZE)
        _bpf(_GET_INFO, bytearray(struct.pack("=IIQ", descriptor, _INFO_SIZE, ctypes.addressof(info))))
    finally:
        os.close(descriptor)
    return info.raw


def _bpf(command: int, attributes: bytearray) -> int:
    buffer = (ctypes.c_char * len(attributes)).from_buffer(attributes)
    answer = int(_LIBC.syscall(_SYSCALL[os.uname().machine], command, buffer, len(attributes)))
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"bpf command {command}: {os.strerror(number)}")
    return answer
