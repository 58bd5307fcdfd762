"""The HTB delay line's geometry, and with it the request rate that it can carry.

An HTB class whose rate is `CHARGED_BYTES` per hedge delay, with every packet charged `CHARGED_BYTES` (`mpu`)
and no burst, lets one packet through at once when idle and the next exactly one hedge delay later. A request
entering a lane sends a primer (leaves at once) and its clone (leaves one delay later); after the clone the class
is in debt for one more delay. So a lane serves one request per two delays.
"""

from __future__ import annotations

from hedgerow_node.units import NS_PER_S, NS_PER_US

LANES = 256
CHARGED_BYTES = 65_535
DELAYS_PER_REQUEST = 2
#: Shorter hedge delays drown in the wake-up latency of the qdisc's timer; longer ones are no hedging any more.
MIN_DELAY_NS = 100 * NS_PER_US
MAX_DELAY_NS = 60 * NS_PER_S


def capacity_per_s(delay_ns: int, lanes: int = LANES) -> float:
    """Requests per second that `lanes` HTB lanes hold for `delay_ns` each: lanes / (2 · delay)."""
    return lanes * NS_PER_S / (DELAYS_PER_REQUEST * delay_ns)


def class_rate_bytes_per_s(delay_ns: int) -> int:
    """The rate of a lane's HTB class, rounded down so that a clone never leaves early."""
    return CHARGED_BYTES * NS_PER_S // delay_ns
