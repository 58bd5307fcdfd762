"""What the verifier makes of each program: how many instructions it follows, how many the kernel then has.

Programs are loaded again by the raw system call: bcc does not hand out the verifier's log.
"""

from __future__ import annotations

import ctypes
import os
import re
import struct
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.bpf_objects import bpf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hedgerow_hedger.edges import BpfClass
    from hedgerow_hedger.programs import KernelPrograms

_BPF_PROG_LOAD, _BPF_OBJ_GET_INFO_BY_FD = 5, 15
_SCHED_CLS = 3
_STATISTICS = 4  #: the log's level: no more than the last lines
_LOG_SIZE = 1 << 20
_INSTRUCTION_SIZE = 8
_INFO_SIZE, _TRANSLATED_LENGTH_AT = 256, 20  #: struct bpf_prog_info
_PROCESSED = re.compile(r"processed (\d+) insns")
_EMPTY = struct.pack("<BBhiBBhi", 0xB7, 0, 0, -1, 0x95, 0, 0, 0)  #: return TC_ACT_UNSPEC


@dataclass(frozen=True)
class Verified:
    """A program that the kernel takes; all figures are instructions."""

    written: int  #: as the compiler wrote it
    processed: int  #: that the verifier followed, all paths together; a million is its limit
    translated: int  #: what the kernel made of it, helpers inlined


def program_names(programs: KernelPrograms) -> list[str]:
    """Of all that the object holds, also those that are only loaded when they are needed."""
    from bcc.libbcc import lib  # noqa: PLC0415 -- slow to import

    module = _bcc(programs).module
    return [lib.bpf_function_name(module, number).decode() for number in range(lib.bpf_num_functions(module))]


def verify(programs: KernelPrograms, name: str) -> Verified:
    """Has program `name` of bpf/hedger.c verified; OSError with the verifier's log where the kernel refuses it."""
    code = bytes(programs._bpf.dump_func(name.encode()))
    with _loaded(code) as (descriptor, log):
        found = _PROCESSED.search(log)
        assert found, log
        info = ctypes.create_string_buffer(_INFO_SIZE)
        bpf(_BPF_OBJ_GET_INFO_BY_FD, struct.pack("IIQ", descriptor, _INFO_SIZE, ctypes.addressof(info)))
        translated = struct.unpack_from("I", info, _TRANSLATED_LENGTH_AT)[0]
    return Verified(len(code) // _INSTRUCTION_SIZE, int(found[1]), translated // _INSTRUCTION_SIZE)


@contextmanager
def empty_program() -> Iterator[int]:
    """The descriptor of a program that lets every packet pass: what running any program costs."""
    with _loaded(_EMPTY) as (descriptor, _):
        yield descriptor


def _bcc(programs: KernelPrograms) -> BpfClass:
    """The parts of the loaded object that only these tests use."""
    return programs._bpf


@contextmanager
def _loaded(code: bytes) -> Iterator[tuple[int, str]]:
    instructions, licence = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"GPL")
    log = ctypes.create_string_buffer(_LOG_SIZE)
    attributes = struct.pack(
        "IIQQIIQII16s",
        _SCHED_CLS,
        len(code) // _INSTRUCTION_SIZE,
        ctypes.addressof(instructions),
        ctypes.addressof(licence),
        _STATISTICS,
        _LOG_SIZE,
        ctypes.addressof(log),
        0,  # the kernel's version, which this type of program is not asked for
        0,  # flags
        b"verified",
    )
    try:
        descriptor = bpf(_BPF_PROG_LOAD, attributes)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}: {log.value.decode(errors='replace')}") from error
    try:
        yield descriptor, log.value.decode(errors="replace")
    finally:
        os.close(descriptor)
