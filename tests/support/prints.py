"""The scoreboard's prints, computed as the programs do (bpf/hash.h, bpf/identify.h), and the other way round."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from hedgerow_hedger.endpoints import kernel_address

if TYPE_CHECKING:
    from hedgerow_hedger.programs import KernelPrograms

_ODD = 0xD6E8FEB86659FD93
_WORD = (1 << 64) - 1
_INVERSE = pow(_ODD, -1, 1 << 64)


def mix(value: int) -> int:
    for _ in range(2):
        value = (value ^ value >> 32) * _ODD & _WORD
    return value ^ value >> 32


def unmix(value: int) -> int:
    """What `mix` makes `value` of."""
    value ^= value >> 32
    for _ in range(2):
        value = value * _INVERSE & _WORD
        value ^= value >> 32
    return value


def before_the_id(programs: KernelPrograms, client: tuple[str, int], service: int = 0) -> int:
    """The print of a flow, to which only the request's id is still to be added."""
    config = programs.table("config_map")[ctypes.c_int(0)]
    words, port = kernel_address(*client)
    value = mix(config.print_seed ^ (words[0] << 32 | words[1]))
    value = mix(value ^ (words[2] << 32 | words[3]))
    return mix(value ^ (config.block << 32 | service << 16 | port))


def id_with_print(programs: KernelPrograms, client: tuple[str, int], wanted: int) -> int:
    """The id of eight bytes that gives a request of this client the print `wanted`."""
    return unmix(wanted) ^ before_the_id(programs, client)
