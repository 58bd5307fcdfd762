"""Draws that belong to a request: computed from numbers, not from a running generator, so that all have the same.

The server takes its service times from here, and the analysis learns from here which requests were slow ones.
"""

from __future__ import annotations

import math

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15  # splitmix64's increment: 2**64 divided by the golden ratio, made odd


def _mix(state: int) -> int:
    """Splitmix64's output function: a bijection of 64-bit numbers in which every bit depends on every other."""
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
    return state ^ (state >> 31)


def standard_normal(seed: int, request_id: int, copy: int, replica: int = 0) -> float:
    """A draw from the standard normal distribution that belongs to these four numbers.

    They are hashed one after the other into the state of a splitmix64 generator, whose next two outputs become,
    by Box and Muller's transform, the draw. The first replica's draws are those of a server without replicas.
    """
    state = 0
    for number in (seed, request_id, copy, *((replica,) if replica else ())):
        state = _mix((state + _STEP + number) & _MASK)
    first, second = _mix((state + _STEP) & _MASK), _mix((state + 2 * _STEP) & _MASK)
    radius = math.sqrt(-2.0 * math.log(((first >> 11) + 1) * 2.0**-53))  # of a number in (0, 1]: zero has no log
    return radius * math.cos(2.0 * math.pi * (second >> 11) * 2.0**-53)
