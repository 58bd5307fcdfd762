"""Deterministic pseudo-random selection: which copies a network fault affects.

It is computed from numbers that are the same under every strategy, so that all strategies meet the same faults, and
can be computed again afterwards. In the kernel bpf/fault_draw.h does the same.
"""

from __future__ import annotations

import hashlib

_ODD = 0xD6E8FEB86659FD93
_WORD = (1 << 64) - 1
ALWAYS = 1 << 32  #: the threshold of 100 %


def _mix(value: int) -> int:
    """A bijection of 64 bits in which every bit of the argument reaches every bit of the result."""
    value ^= value >> 32
    value = value * _ODD & _WORD
    value ^= value >> 32
    value = value * _ODD & _WORD
    return value ^ (value >> 32)


def draw(seed: int, request_id: int, copy: int, replica: int, rule_salt: int) -> int:
    """A number uniform over 64 bits: the rule selects the copy where its upper 32 are below the rule's `threshold`.

    `copy` is, of a request's, how many copies of it have left by now (1: the primary), and of a response's, the order
    of its arrival among those from `replica` (from 1; 15 stands for all after it too).
    """
    value = _mix((seed + _ODD) & _WORD)
    value = _mix(value ^ request_id)
    value = _mix(value ^ (copy << 32 | replica))
    return _mix(value ^ rule_salt)


def threshold(percent: float) -> int:
    """The probability in units of 2^-32; 100 % selects every copy."""
    return round(percent / 100 * ALWAYS)


def rule_salt(key: str, direction: str) -> int:
    """What sets a rule apart from others: the same wherever in the list of rules it stands."""
    return int.from_bytes(hashlib.sha256(f"{key} {direction}".encode()).digest()[:8], "big")


def is_selected(seed: int, request_id: int, copy: int, replica: int, salt: int, percent: float) -> bool:
    """Whether a rule of `percent` affects that copy."""
    return draw(seed, request_id, copy, replica, salt) >> 32 < threshold(percent)
