"""Where the programs find an address and port among those of the services (bpf/identify.h): a table of hashes.

It has two places a slot and no third, so a seed is drawn until none needs one.
"""

from __future__ import annotations

import secrets
import sys
from collections import Counter
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SLOTS = 1_024
WAYS = 2
_WORD = (1 << 64) - 1

Seed = tuple[int, int, int]
Address = tuple[tuple[int, ...], int]  #: four words and a port, as the programs load them


def kernel_address(host: str, port: int) -> Address:
    """Network order, IPv4 as ::ffff:a.b.c.d."""
    address = ip_address(host)
    packed = address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed
    words = tuple(int.from_bytes(packed[i : i + 4], sys.byteorder) for i in range(0, 16, 4))
    return words, int.from_bytes(port.to_bytes(2, "big"), sys.byteorder)


def slot_of(address: Address, seed: Seed) -> int:
    """As in bpf/hash.h."""
    words, port = address
    value = (words[0] << 32 | words[1]) * seed[0] + (words[2] << 32 | words[3]) * seed[1] + port * seed[2]
    return (value & _WORD) >> 54


def seed_for(addresses: Sequence[Address]) -> Seed:
    """One that puts no more of these addresses into a slot than it has places."""
    while True:
        seed = (secrets.randbits(64) | 1, secrets.randbits(64) | 1, secrets.randbits(64) | 1)
        if max(Counter(slot_of(address, seed) for address in addresses).values()) <= WAYS:
            return seed
