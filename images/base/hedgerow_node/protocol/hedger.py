"""Messages between the orchestrator and the hedger."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

from hedgerow_node.control import ControlError
from hedgerow_node.lanes import MAX_DELAY_NS, MIN_DELAY_NS
from hedgerow_node.protocol.codec import AtLeast, Between, Message
from hedgerow_node.protocol.limits import MAX_REPLICAS, MAX_RULES, MAX_SERVICES
from hedgerow_node.wire import IdPlace, RequestIdPlaces

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_WORD = (1 << 64) - 1
_MAX_RATE_BIT_PER_S = 10**12
_RUN_ID = re.compile(r"[0-9a-z]{6}\Z")

Target = Literal["same", "other"]
Engine = Literal["auto", "clone", "queue"]
DelayLine = Literal["auto", "netem", "fq", "htb"]
HedgerMode = Literal["off", "tap", "hedge"]
Identity = Literal["flow", "block"]


def checked_run_id(text: str) -> str:
    """`text`; ValueError where it would not fit into the name of a link."""
    if not _RUN_ID.match(text):
        raise ValueError(f"{text!r}: a run id is six digits or lower-case letters")
    return text


@dataclass(frozen=True)
class Assignment(Message):
    """`configure`: what to hedge and how; answered by a `HedgerStatus`. Hedging begins with `SetMode`."""

    #: Each service is the list of its replicas' addresses and ports; clients may ask any of them.
    services: tuple[tuple[tuple[str, int], ...], ...]
    target: Target  #: the replica that hedges go to: the request's own, or the others in turn
    request_id: RequestIdPlaces
    delay_ns: Annotated[int, Between(MIN_DELAY_NS, MAX_DELAY_NS)]
    expiry_ns: int  #: age at which a request is forgotten
    delay_line: DelayLine
    budget_ratio: Annotated[float, AtLeast(0)]  #: hedges per request
    budget_burst: Annotated[int, AtLeast(1)]  #: hedges that may exceed the budget at once
    copy_id: IdPlace | None = None  #: the byte of a response that says which copy it answers
    #: What holds requests back; auto: the queue, but the clones where `delay_line` is netem, which only they have.
    engine: Engine = "auto"
    run_id: str | None = None  #: stands in the delay link's name; random where None

    def __post_init__(self) -> None:
        sizes = [len(replicas) for replicas in self.services]
        if not 1 <= len(sizes) <= MAX_SERVICES or not all(1 <= size <= MAX_REPLICAS for size in sizes):
            raise ValueError(f"from 1 to {MAX_SERVICES} services of 1 to {MAX_REPLICAS} replicas each")
        if self.copy_id is not None and self.copy_id.length != 1:
            raise ControlError(f"field 'copy_id.length' is {self.copy_id.length}, expected 1")
        if self.expiry_ns <= self.delay_ns:
            raise ControlError(f"field 'expiry_ns' is {self.expiry_ns}, expected at least {self.delay_ns + 1}")
        if self.engine == "queue" and self.delay_line == "netem":
            raise ControlError(
                "field 'delay_line' is 'netem', which the engine 'queue' has no use for; ask for clone"
            )
        if self.run_id is not None:
            checked_run_id(self.run_id)


@dataclass(frozen=True)
class SetMode(Message):
    """`mode`: what the programs do from now on."""

    mode: HedgerMode
    identity: Identity  #: what identifies a request: its flow and id, or `block` and id alone
    block: Annotated[int, AtLeast(0)] = 0


@dataclass(frozen=True)
class FaultRule(Message):
    """What the programs do to copies of some requests to one replica, or of its responses."""

    key: str  #: hits are reported by it; several rules may share one
    kind: Literal["loss", "duplicate", "corrupt", "delay", "partition"]  #: a partition is a loss of everything
    direction: Literal["requests", "responses"]
    replica: Annotated[int, AtLeast(0)]
    first_id: Annotated[int, Between(0, _MAX_WORD)]
    last_id: Annotated[int, Between(0, _MAX_WORD)]  #: included
    percent: Annotated[float, Between(0, 100)]  #: chance of each copy; 100 for a partition
    delay_ns: Annotated[int, Between(MIN_DELAY_NS, MAX_DELAY_NS)] | None = None  #: of a delay

    def __post_init__(self) -> None:
        if self.last_id < self.first_id:
            raise ValueError(f"rule {self.key}: last_id is {self.last_id}, expected at least {self.first_id}")
        _need(self.key, "delay_ns", self.delay_ns, self.kind == "delay")
        _need_all(self.key, self.percent, self.kind == "partition")


@dataclass(frozen=True)
class FaultRules(Message):
    """`faults`: network faults by the programs, in place of those before."""

    seed: Annotated[int, Between(0, _MAX_WORD)]  #: of the draws
    rules: tuple[FaultRule, ...]

    def __post_init__(self) -> None:
        if len(self.rules) > MAX_RULES:
            raise ControlError(f"{len(self.rules)} network fault rules; there is room for {MAX_RULES}")
        delays_ns = {rule.delay_ns for rule in self.rules if rule.delay_ns is not None}
        if len(delays_ns) > 1:
            raise ControlError(f"network faults with delays of {sorted(delays_ns)} ns; only one delay at a time")

    @property
    def delay_ns(self) -> int | None:
        """The one delay of all rules that delay; None where none does."""
        return next((rule.delay_ns for rule in self.rules if rule.delay_ns is not None), None)


@dataclass(frozen=True)
class FaultHits(Message):
    """The answer to `fault-hits`, since the rules were put in force."""

    hits: dict[str, int]  #: by the rules' keys, copies affected
    failed: int  #: copies that were to be affected, but passed: no clone, or no lane, could be had


class NetemKind(StrEnum):
    """What netem can do to requests."""

    LOSS = "loss"
    DUPLICATE = "duplicate"
    CORRUPT = "corrupt"
    DELAY = "delay"
    PARTITION = "partition"
    REORDER = "reorder"
    RATE = "rate"


@dataclass(frozen=True)
class NetemRule(Message):
    """What netem does to the requests to one replica."""

    key: str  #: for people who read the messages
    kind: NetemKind
    replica: Annotated[int, AtLeast(0)]
    percent: Annotated[float, Between(0, 100)]  #: chance of each packet; 100 for a partition or a rate
    delay_ns: Annotated[int, Between(1, MAX_DELAY_NS)] | None = None  #: of a delay, or for reordering
    rate_bit_per_s: Annotated[int, Between(8, _MAX_RATE_BIT_PER_S)] | None = None  #: of a rate

    def __post_init__(self) -> None:
        _need(self.key, "delay_ns", self.delay_ns, self.kind in (NetemKind.DELAY, NetemKind.REORDER))
        _need(self.key, "rate_bit_per_s", self.rate_bit_per_s, self.kind is NetemKind.RATE)
        _need_all(self.key, self.percent, self.kind in (NetemKind.PARTITION, NetemKind.RATE))


@dataclass(frozen=True)
class NetemRules(Message):
    """`netem`: network faults by netem, in place of those before; answered by a `NetemChange`."""

    rules: tuple[NetemRule, ...]


@dataclass(frozen=True)
class NetemPhases(Message):
    """`prepare-netem`: makes beforehand what `netem` needs for each of the phases, so that it then takes no time.

    It replaces what was prepared before.
    """

    phases: tuple[NetemRules, ...]


@dataclass(frozen=True)
class NetemClass(Message):
    """What a class of netem's did while it was in force."""

    options: str  #: netem's own
    replicas: tuple[int, ...]  #: whose requests it was for
    packets: int  #: that it took
    drops: int  #: that it dropped as they came
    qlen: int  #: that it still holds


@dataclass(frozen=True)
class NetemChange(Message):
    """The answer to `netem`."""

    at_ns: int  #: since when the new rules are in force
    was: tuple[NetemClass, ...]  #: what those before did since the last answer


def check_replicas(rules: Iterable[FaultRule | NetemRule], replicas: int) -> None:
    """Raises ControlError where a rule is for a replica beyond the `replicas` of the service."""
    for number, rule in enumerate(rules):
        if rule.replica >= replicas:
            bounds = f"at least 0 and at most {replicas - 1}"
            raise ControlError(f"field 'rules.{number}.replica' is {rule.replica}, expected {bounds}")


@dataclass(frozen=True)
class CollectHedges(Message):
    """`collect`: the hedges since the last one go to the file `hedges`; answered by `CollectedHedges`."""

    hedges: str


@dataclass(frozen=True)
class CollectedHedges(Message):
    """How many hedges were written, and all counters since `configure`."""

    rows: int
    counters: dict[str, int]


@dataclass(frozen=True)
class Quantiles(Message):
    """None where there are no values."""

    p50: float | None = None
    p99: float | None = None
    p999: float | None = None


@dataclass(frozen=True)
class HedgerStatistics(Message):
    """The answer to `stats`."""

    monotonic_ns: int
    counters: dict[str, int]  #: since `configure`, by the names of bpf/counters.h
    hedges_lost: int  #: that found no way out: no neighbour or route, or the link is down
    latency_us: Quantiles  #: from request to first response, as the kernel saw it, since `configure`
    lateness_us: dict[str, float] | None = None  #: p50, p99 and max of hedges since the last call; None without any


@dataclass(frozen=True)
class HedgerStatus(Message):
    """The answer to `configure`: where and how it hedges; nulls where it does not."""

    interface: str | None = None
    engine: Literal["clone", "queue"] | None = None
    delay_line: Literal["netem", "fq", "htb"] | None = None


@dataclass(frozen=True)
class HedgerPing(HedgerStatus):
    """The answer to `ping`."""

    role: Literal["hedger"] = "hedger"
    sources: str = ""  #: a digest of the program's sources


@dataclass(frozen=True)
class InterfaceQuery(Message):
    """`interface`: the state of the interface by which packets to the address `towards` leave."""

    towards: str


@dataclass(frozen=True)
class InterfaceState(Message):
    """A network interface as the kernel has it."""

    name: str
    #: By the kernel's names, whether those are on that are on or can be switched; null where it does not say.
    offloads: dict[str, bool] | None = None
    qdiscs: dict[str, dict[str, int]] | None = None  #: by kind and handle, their counters; null where tc cannot say
    statistics: dict[str, int] = field(default_factory=dict)  #: bytes, packets, errors and drops, each way
    udp: dict[str, int] = field(default_factory=dict)  #: the network namespace's counters by the kernel's names


def _need(key: str, name: str, value: int | None, is_needed: bool) -> None:
    if is_needed and value is None:
        raise ValueError(f"rule {key}: {name} is missing")
    if not is_needed and value is not None:
        raise ValueError(f"rule {key}: {name} has no effect here")


def _need_all(key: str, percent: float, is_needed: bool) -> None:
    if is_needed and percent != 100:
        raise ValueError(f"rule {key}: percent is {percent}, expected 100")
