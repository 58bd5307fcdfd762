"""Faults that begin soon and last longer than any test waits, and how one is seen from outside to be in force."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from support.fault_run import NODES

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.observer import Observer, Sight

_SERVERS = tuple(node for node in NODES if node != "client")
_RECENT = 20
#: Datagrams: what 200 requests a second are short of within a fraction of a second, and never by themselves.
_MANY = 40
#: Requests: all that are sent before the faults begin, and some.
_BEGUN = 80
#: Ticks of processor time, of 10 ms: what answering a request never takes, nor 20 of them.
_LONG = 2


def _workers(observer: Observer) -> list[Sight]:
    return [sight for sight in observer.sights if (sight.node, sight.depth) == ("server-0", 1)]


def _recent_workers(observer: Observer) -> list[Sight]:
    return [s for s in observer.sights[-_RECENT:] if (s.node, s.depth) == ("server-0", 1)]


def _counted(observer: Observer, node: str, counter: str) -> int:
    return observer.datagrams.get(node, {}).get(counter, 0)


def is_stopped(observer: Observer) -> bool:
    return any(sight.state == "T" for sight in _recent_workers(observer))


def is_frozen(observer: Observer) -> bool:
    return any(look.node == "server-0" and look.frozen for look in observer.groups[-_RECENT:])


def is_burning(observer: Observer) -> bool:
    ticks: dict[int, set[int]] = {}
    workers = _workers(observer)
    stopped = {sight.pid for sight in workers if sight.state == "T"}
    for sight in workers:
        ticks.setdefault(sight.pid, set()).add(sight.cpu_ticks)
    return any(len(ticks[pid]) > 5 for pid in stopped)


def is_limited(observer: Observer) -> bool:
    return any(look.node == "server-0" and look.quota.startswith("2000") for look in observer.groups[-_RECENT:])


def is_killed(observer: Observer) -> bool:
    """There was a worker; now there is a supervisor, and no other process alive."""
    supervised = any((s.node, s.depth) == ("server-0", 0) for s in observer.sights[-_RECENT:])
    alive = [sight for sight in _recent_workers(observer) if sight.state not in "ZX"]
    return bool(_workers(observer)) and supervised and not alive


def is_replaced(observer: Observer) -> bool:
    """One worker after the other."""
    return len({sight.pid for sight in _workers(observer)}) > 3


def is_collecting(observer: Observer) -> bool:
    """Look after look, a worker computes that has little to do; of how many, hosts are too different."""
    computing = list(takewhile(lambda sight: sight.state == "R", reversed(_workers(observer))))
    ticks = {sight.cpu_ticks for sight in computing}
    return _counted(observer, "client", "OutDatagrams") > _BEGUN and bool(ticks) and max(ticks) - min(ticks) >= _LONG


def is_unanswered(observer: Observer) -> bool:
    """The client has sent more than it got answers for."""
    counted = [_counted(observer, "client", counter) for counter in ("OutDatagrams", "InDatagrams")]
    return counted[0] > _BEGUN and counted[0] - counted[1] > _MANY


def is_doubled(observer: Observer) -> bool:
    """Servers receive more than was sent."""
    received = sum(_counted(observer, node, "InDatagrams") for node in _SERVERS)
    return received - _counted(observer, "client", "OutDatagrams") > _MANY


def is_corrupted(observer: Observer) -> bool:
    """Servers' kernels refuse what arrives."""
    return sum(_counted(observer, node, "InCsumErrors") for node in _SERVERS) > _MANY


_SOON = "at: 300ms, duration: 10m"
_ALL_SERVERS = f"target: servers, {_SOON}"

#: By kind, without those that only netem has: the scenario's entry, and what is seen then.
FAULTS: dict[str, tuple[str, Callable[[Observer], bool]]] = {
    "pause": (f"fault: pause, target: server-0, {_SOON}", is_stopped),
    "freeze": (f"fault: freeze, target: server-0, {_SOON}", is_frozen),
    "kill": (f"fault: kill, target: server-0, {_SOON}", is_killed),
    "restart": ("fault: restart, target: server-0, at: 300ms, every: 700ms", is_replaced),
    "gc": ("fault: gc, target: server-0, at: 300ms, every: 700ms, objects: 2000000", is_collecting),
    "cpu-stress": (f"fault: cpu-stress, target: server-0, {_SOON}", is_burning),
    "cpu-quota": (f"fault: cpu-quota, target: server-0, {_SOON}, percent: 2", is_limited),
    "slow": (f"fault: slow, {_ALL_SERVERS}, factor: 500", is_unanswered),
    "stall": (f'fault: stall, {_ALL_SERVERS}, when: "id % 1 == 0", delay: 500ms', is_unanswered),
    "drop-requests": (f"fault: drop-requests, {_ALL_SERVERS}", is_unanswered),
    "loss": (f"fault: loss, {_ALL_SERVERS}, percent: 100%", is_unanswered),
    "partition": (f"fault: partition, {_ALL_SERVERS}", is_unanswered),
    "duplicate": (f"fault: duplicate, {_ALL_SERVERS}, percent: 100%", is_doubled),
    "corrupt": (f"fault: corrupt, {_ALL_SERVERS}, percent: 100%", is_corrupted),
    "delay": (f"fault: delay, {_ALL_SERVERS}, percent: 100%, delay: 400ms", is_unanswered),
}
