"""Quantities as people write them ("10ms", "500/s", "2.5%") and as the code keeps them (integers, plain ratios).

Shared by the scenario files and by the programs' command lines, so both accept the same spellings.
"""

from __future__ import annotations

import re
from decimal import Decimal

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

_DURATION_UNITS_NS = {
    "ns": 1,
    "us": NS_PER_US,
    "µs": NS_PER_US,
    "ms": NS_PER_MS,
    "s": NS_PER_S,
    "m": 60 * NS_PER_S,
    "min": 60 * NS_PER_S,
}
_BIT_UNITS = {"bit": 1, "kbit": 1_000, "mbit": 1_000_000, "gbit": 1_000_000_000}
_RATE_UNITS_PER_S = {"s": Decimal(1), "ms": Decimal(1000), "m": Decimal(1) / 60, "min": Decimal(1) / 60}
_NUMBER = r"(\d+(?:\.\d+)?)"
_DURATION = re.compile(_NUMBER + r"\s*(ns|us|µs|ms|s|m|min)\Z")
_RATE = re.compile(_NUMBER + r"\s*/\s*(s|ms|m|min)\Z")
_BIT_RATE = re.compile(_NUMBER + r"\s*(bit|kbit|mbit|gbit)\Z")
_PERCENT = re.compile(_NUMBER + r"\s*%\Z")


def parse_duration_ns(text: str) -> int:
    """The duration `text` ("400ms", "1.5s", "0s") in integer nanoseconds.

    Raises ValueError where the unit is missing or unknown, or the value is no whole number of nanoseconds.
    """
    match = _DURATION.match(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write a number and a unit (ns, us, ms, s, m), e.g. 10ms")
    value_ns = Decimal(match[1]) * _DURATION_UNITS_NS[match[2]]
    if value_ns != int(value_ns):
        raise ValueError(f"{text!r} is finer than one nanosecond")
    return int(value_ns)


def parse_rate_per_s(text: str) -> float:
    """The rate `text` ("500/s", "2/ms") in events per second; ValueError where it is not one."""
    match = _RATE.match(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a rate; write a number per unit of time, e.g. 500/s")
    return float(Decimal(match[1]) * _RATE_UNITS_PER_S[match[2]])


def parse_ratio(text: str) -> float:
    """The percentage `text` ("2.5%") as a ratio (0.025); ValueError where it is not one."""
    match = _PERCENT.match(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a percentage; write e.g. 2.5%")
    return float(Decimal(match[1]) / 100)


def parse_bit_rate(text: str) -> int:
    """The bandwidth `text` ("10mbit", as tc(8) spells it) in bits per second; ValueError where it is not one."""
    match = _BIT_RATE.match(text.strip())
    if match is None:
        raise ValueError(
            f"{text!r} is not a bandwidth; write a number and a unit (bit, kbit, mbit, gbit), e.g. 10mbit"
        )
    return int(Decimal(match[1]) * _BIT_UNITS[match[2]])


def format_rate(value_per_s: float) -> str:
    """`value_per_s` as `parse_rate_per_s` reads it: 500.0 → "500/s"."""
    digits = str(int(value_per_s)) if value_per_s == int(value_per_s) else f"{Decimal(repr(value_per_s)):f}"
    return f"{digits}/s"


def format_bit_rate(value: int) -> str:
    """`value` bits per second in the largest unit that keeps it exact: 10000000 → "10mbit"."""
    unit = next(unit for unit in reversed(_BIT_UNITS) if value % _BIT_UNITS[unit] == 0)
    return f"{value // _BIT_UNITS[unit]}{unit}"


def format_duration(value_ns: int) -> str:
    """`value_ns` in the largest unit that keeps it exact: 10000000 → "10ms"."""
    for unit in ("s", "ms", "us"):
        size_ns = _DURATION_UNITS_NS[unit]
        if value_ns and value_ns % size_ns == 0:
            return f"{value_ns // size_ns}{unit}"
    return f"{value_ns}ns" if value_ns else "0s"
